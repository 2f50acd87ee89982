#include "mounts.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <algorithm>

#include "child.h"
#include "coracle/sys/mountinfo.h"
#include "rootfs.h"

namespace coracle::runtime {
namespace {

using test::Bundle;
using test::InChild;
using test::ReadText;

oci::Mount MakeMount(const std::string& type, const std::string& source,
                     const std::string& destination, std::vector<std::string> options) {
  oci::Mount mount;
  mount.type = type;
  mount.source = source;
  mount.destination = destination;
  mount.options = std::move(options);
  return mount;
}
oci::Mount Tmpfs(const std::string& destination, std::vector<std::string> options = {}) {
  return MakeMount("tmpfs", "tmpfs", destination, std::move(options));
}
oci::Mount Bind(const std::string& source, const std::string& destination,
                std::vector<std::string> options = {"bind"}) {
  return MakeMount("none", source, destination, std::move(options));
}
oci::Mount Kernel(const std::string& type, const std::string& destination) {
  return MakeMount(type, type, destination, {});
}

struct Case {
  oci::Spec spec;
  Bundle bundle;
  std::uint64_t namespaces = CLONE_NEWNS;

  explicit Case(std::vector<oci::Mount> mounts) {
    spec.root = oci::Root{.path = "rootfs"};
    spec.linux_.namespaces = {{.type = "mount", .path = ""}};
    spec.mounts = std::move(mounts);
  }
};

// Mounts what the case lists, enters the root and runs `body` there.
std::string InContainer(const Case& test_case, const std::function<std::string()>& body) {
  const auto rootfs = PlanRootfs(test_case.spec, test_case.bundle.path());
  MUST_WORK(rootfs);
  const auto plan = PlanMounts(test_case.spec, test_case.bundle.path());
  MUST_WORK(plan);
  const auto root = CloneRoot(*rootfs);
  MUST_WORK(root);
  const auto sources = OpenMountSources(*plan);
  MUST_WORK(sources);
  return InChild(test_case.namespaces, [&]() -> std::string {
    MUST_WORK(IsolateMounts(*rootfs));
    MUST_WORK(AttachRoot(*rootfs, root->get()));
    MUST_WORK(AttachMounts(*plan, *sources, root->get(), "/sys/fs/cgroup/unified"));
    MUST_WORK(PivotRoot(*rootfs, root->get()));
    return body();
  });
}

std::string Nothing() { return ""; }

unsigned long Flags(const char* path) {
  struct statvfs status {};
  return ::statvfs(path, &status) == 0 ? status.f_flag : ~0UL;
}
long Magic(const char* path) {
  struct statfs status {};
  return ::statfs(path, &status) == 0 ? static_cast<long>(status.f_type) : 0;
}
mode_t Mode(const char* path) {
  struct stat status {};
  return ::lstat(path, &status) == 0 ? status.st_mode & 07777U : ~0U;
}

TEST(Mounts, TmpfsWithFlagsAndData) {
  const Case test_case({Tmpfs("/data", {"nosuid", "noexec", "nodev", "noatime", "mode=711",
                                        "size=64k", "sync", "iversion", "silent", "defaults"})});
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(Magic("/data") == TMPFS_MAGIC);
                          MUST(Mode("/data") == 0711);
                          const unsigned long wanted =
                              ST_NOSUID | ST_NOEXEC | ST_NODEV | ST_NOATIME | ST_SYNCHRONOUS;
                          MUST((Flags("/data") & wanted) == wanted);
                          struct statvfs status {};
                          MUST(::statvfs("/data", &status) == 0);
                          MUST(status.f_blocks * status.f_frsize == 64 * 1024);
                          return "";
                        }),
            "");
}

TEST(Mounts, DestinationIsMadeAndRelativeToTheRoot) {
  const Case test_case({Tmpfs("new/deep/directory")});
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(Magic("/new/deep/directory") == TMPFS_MAGIC);
                          return "";
                        }),
            "");
}

TEST(Mounts, LinksInTheImageStayInside) {
  Case test_case({Tmpfs("/link/target")});
  EXPECT_EQ(::symlink("/../../../../data", (test_case.bundle.root() + "/link").c_str()), 0);
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(Magic("/data/target") == TMPFS_MAGIC);
                          return "";
                        }),
            "");
}

TEST(Mounts, BindOfDirectoryAndFileRelativeToTheBundle) {
  Case test_case({Bind("source", "/data", {"rbind", "ro", "nosymfollow"}),
                  Bind("source/file", "/etc/new_file", {"bind", "mode=755"})});
  std::filesystem::create_directory(test_case.bundle.path() + "/source");
  std::ofstream(test_case.bundle.path() + "/source/file") << "host";
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(ReadText("/data/file") == "host");
                          MUST(ReadText("/etc/new_file") == "host");
                          MUST((Flags("/data") & ST_RDONLY) != 0);
                          MUST((Flags("/etc/new_file") & ST_RDONLY) == 0);
                          MUST(::open("/data/file", O_WRONLY) < 0 && errno == EROFS);
                          return "";
                        }),
            "");
}

TEST(Mounts, RecursiveReadonlyReachesWhatIsBelow) {
  Case test_case(
      {Bind("source", "/data", {"rbind", "rro"}), Bind("source", "/tmp", {"rbind", "ro"})});
  const std::string source = test_case.bundle.path() + "/source";
  std::filesystem::create_directories(source + "/below");
  EXPECT_EQ(InChild(CLONE_NEWNS,
                    [&]() -> std::string {
                      MUST(::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0);
                      MUST(::mount("t", (source + "/below").c_str(), "tmpfs", 0, nullptr) == 0);
                      return InContainer(test_case, []() -> std::string {
                        MUST((Flags("/data/below") & ST_RDONLY) != 0);
                        MUST((Flags("/tmp/below") & ST_RDONLY) == 0);
                        return "";
                      });
                    }),
            "");
}

TEST(Mounts, PropagationOptions) {
  Case test_case({Bind("source", "/data", {"bind", "shared"}), Tmpfs("/tmp", {"unbindable"})});
  std::filesystem::create_directory(test_case.bundle.path() + "/source");
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(::mount("proc", "/proc", "proc", 0, nullptr) == 0);
                          const auto mounts = sys::ReadMountInfo();
                          const auto optional = [&](const char* path) {
                            const auto found =
                                std::ranges::find(*mounts, path, &sys::MountInfo::mount_point);
                            return found->optional.empty() ? "" : found->optional[0];
                          };
                          MUST(optional("/data").starts_with("shared:"));
                          MUST(optional("/tmp") == "unbindable");
                          return "";
                        }),
            "");
}

TEST(Mounts, TmpfsCoversADirectoryWithItsContentAndMode) {
  Case test_case({Tmpfs("/data", {"tmpcopyup"}), Tmpfs("/tmp")});
  const std::string data = test_case.bundle.root() + "/data";
  std::filesystem::create_directory(data + "/sub");
  std::ofstream(data + "/sub/file") << "copied";
  EXPECT_EQ(::symlink("/nowhere", (data + "/link").c_str()), 0);
  ::mkfifo((data + "/fifo").c_str(), 0600);
  EXPECT_EQ(::chown((data + "/sub/file").c_str(), 7, 8), 0);
  ::chmod((data + "/sub/file").c_str(), 04751);
  ::chmod(data.c_str(), 01770);
  ::chmod((test_case.bundle.root() + "/tmp").c_str(), 0701);
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(Magic("/data/sub") == TMPFS_MAGIC);
                          MUST(ReadText("/data/sub/file") == "copied");
                          struct stat status {};
                          MUST(::stat("/data/sub/file", &status) == 0);
                          MUST(status.st_uid == 7 && status.st_gid == 8);
                          MUST(Mode("/data/sub/file") == 04751);
                          MUST(Mode("/data") == 01770);
                          MUST(std::filesystem::read_symlink("/data/link") == "/nowhere");
                          MUST(std::filesystem::is_fifo("/data/fifo"));
                          MUST(Mode("/tmp") == 0701);
                          return "";
                        }),
            "");
}

TEST(Mounts, KernelFileSystemsShowTheNewNamespaces) {
  Case test_case({Kernel("proc", "/proc"), Kernel("sysfs", "/sys"),
                  Kernel("cgroup", "/sys/fs/cgroup"), Tmpfs("/dev"), Kernel("devpts", "/dev/pts"),
                  Kernel("mqueue", "/dev/mqueue")});
  test_case.namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWCGROUP;
  for (const char* type : {"pid", "network", "ipc", "cgroup"})
    test_case.spec.linux_.namespaces.push_back({.type = type, .path = ""});
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(std::filesystem::read_symlink("/proc/self") == "1");
                          MUST(Magic("/sys/fs/cgroup") == CGROUP2_SUPER_MAGIC);
                          MUST(Magic("/dev/pts") == DEVPTS_SUPER_MAGIC);
                          const auto nics = std::filesystem::directory_iterator("/sys/class/net");
                          MUST(std::ranges::all_of(
                              nics, [](const auto& nic) { return nic.path().filename() == "lo"; }));
                          return "";
                        }),
            "");
}

TEST(Mounts, CgroupWithoutItsNamespaceIsTheContainersOwn) {
  if (!std::filesystem::exists("/sys/fs/cgroup/unified/cgroup.procs"))
    GTEST_SKIP() << "no cgroup2 at /sys/fs/cgroup/unified";
  Case test_case({Kernel("sysfs", "/sys"), Kernel("cgroup", "/sys/fs/cgroup")});
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(Magic("/sys/fs/cgroup") == CGROUP2_SUPER_MAGIC);
                          return "";
                        }),
            "");
}

TEST(Mounts, UserNamespaceWithTheHostsNetworkGetsTheHostsSysfs) {
  Case test_case({Kernel("sysfs", "/sys"), Bind("source", "/data", {"bind", "ro"})});
  test_case.namespaces = CLONE_NEWNS | CLONE_NEWUSER;
  test_case.spec.linux_.namespaces.push_back({.type = "user", .path = ""});
  std::filesystem::create_directory(test_case.bundle.path() + "/source");
  for (const char* name : {"/rootfs/sys", "/rootfs/data", "/rootfs", "/rootfs/old_root"})
    std::filesystem::permissions(test_case.bundle.path() + name, std::filesystem::perms::all);
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(Magic("/sys") == SYSFS_MAGIC);
                          MUST((Flags("/data") & ST_RDONLY) != 0);
                          return "";
                        }),
            "");
}

TEST(Mounts, IdMappedBindShowsOtherOwners) {
  Case test_case({Bind("source", "/data", {"bind", "idmap"})});
  test_case.spec.mounts[0].uid_mappings = {{.container_id = 0, .host_id = 5000, .size = 10}};
  test_case.spec.mounts[0].gid_mappings = {{.container_id = 0, .host_id = 6000, .size = 10}};
  std::filesystem::create_directory(test_case.bundle.path() + "/source");
  std::ofstream(test_case.bundle.path() + "/source/file") << "x";
  const std::string result = InContainer(test_case, []() -> std::string {
    struct stat status {};
    MUST(::stat("/data/file", &status) == 0);
    MUST(status.st_uid == 5000 && status.st_gid == 6000);
    return "";
  });
  if (result.find("EINVAL") != std::string::npos)
    GTEST_SKIP() << "the file system of the temporary directory has no id-mapped mounts";
  EXPECT_EQ(result, "");
}

TEST(Mounts, RemountChangesWhatIsThere) {
  const Case test_case({Tmpfs("/data", {"size=64k"}),
                        MakeMount("", "", "/data", {"remount", "noexec"}),
                        MakeMount("", "", "/data", {"remount", "size=128k", "ro", "nosuid"})});
  EXPECT_EQ(
      InContainer(test_case,
                  []() -> std::string {
                    struct statvfs status {};
                    MUST(::statvfs("/data", &status) == 0);
                    MUST(status.f_blocks * status.f_frsize == 128 * 1024);
                    MUST((status.f_flag & (ST_RDONLY | ST_NOSUID)) == (ST_RDONLY | ST_NOSUID));
                    return "";
                  }),
      "");
}

TEST(Mounts, DataLongerThanFsconfigTakes) {
  Case test_case({MakeMount("overlay", "overlay", "/data", {})});
  std::string lower = "lowerdir=";
  for (int i = 0; i < 8; ++i) {
    const std::string layer =
        test_case.bundle.path() + "/" + std::string(40, 'l') + std::to_string(i);
    std::filesystem::create_directory(layer);
    std::ofstream(layer + "/f" + std::to_string(i)) << i;
    lower += (i == 0 ? "" : ":") + layer;
  }
  test_case.spec.mounts[0].options = {lower, "ro"};
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(ReadText("/data/f0") == "0");
                          MUST(ReadText("/data/f7") == "7");
                          return "";
                        }),
            "");
}

TEST(Mounts, NothingIsMountedOverProc) {
  Case over({Kernel("proc", "/proc"), Bind("source", "/proc")});
  std::filesystem::create_directory(over.bundle.path() + "/source");
  EXPECT_NE(InContainer(over, Nothing).find("only a procfs may be mounted on /proc"),
            std::string::npos);

  Case inside({Kernel("proc", "/proc"), Bind("source", "/proc/self/attr")});
  std::filesystem::create_directory(inside.bundle.path() + "/source");
  EXPECT_NE(InContainer(inside, Nothing).find("only a procfs"), std::string::npos);

  Case link({Kernel("proc", "/proc"), Tmpfs("/link/fs")});
  EXPECT_EQ(::symlink("/proc", (link.bundle.root() + "/link").c_str()), 0);
  EXPECT_NE(InContainer(link, Nothing).find("only a procfs"), std::string::npos);

  Case allowed({Kernel("proc", "/proc"), Bind("source", "/proc/uptime")});
  std::ofstream(allowed.bundle.path() + "/source") << "lxcfs";
  EXPECT_EQ(InContainer(allowed,
                        []() -> std::string {
                          MUST(ReadText("/proc/uptime") == "lxcfs");
                          return "";
                        }),
            "");
}

TEST(Mounts, ProcOfTheImageMustBeADirectory) {
  Case test_case({Kernel("proc", "/proc")});
  std::filesystem::remove(test_case.bundle.root() + "/proc");
  EXPECT_EQ(::symlink("/data", (test_case.bundle.root() + "/proc").c_str()), 0);
  EXPECT_NE(InContainer(test_case, Nothing).find("must be mounted on an ordinary directory"),
            std::string::npos);
}

TEST(Mounts, ErrorsNameTheirPlace) {
  EXPECT_NE(InContainer(Case({Tmpfs("/data"), Bind("missing", "/tmp")}), Nothing).find("/mounts/1"),
            std::string::npos);
  EXPECT_NE(InContainer(Case({Tmpfs("/data", {"nosuchoption"})}), Nothing).find("nosuchoption"),
            std::string::npos);
  EXPECT_NE(InContainer(Case({Tmpfs("/")}), Nothing).find("/mounts/0/destination"),
            std::string::npos);
  EXPECT_NE(InContainer(Case({MakeMount("", "", "/data", {})}), Nothing).find("/mounts/0/type"),
            std::string::npos);
  Case half({Bind("rootfs", "/data")});
  half.spec.mounts[0].uid_mappings = {{.container_id = 0, .host_id = 0, .size = 1}};
  EXPECT_NE(InContainer(half, Nothing).find("go together"), std::string::npos);
  EXPECT_NE(
      InContainer(Case({Bind("rootfs", "/data", {"bind", "idmap"})}), Nothing).find("idmap needs"),
      std::string::npos);
  EXPECT_EQ(PlanMounts(Case({Tmpfs("/data", {"idmap"})}).spec, "/b").error().code,
            Code::kUnsupported);
}

}  // namespace
}  // namespace coracle::runtime
