#include "devices.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "child.h"
#include "coracle/sys/pty.h"
#include "mounts.h"
#include "rootfs.h"

namespace coracle::runtime {
namespace {

using test::Bundle;
using test::InChild;

struct Case {
  oci::Spec spec;
  Bundle bundle;
  std::uint64_t namespaces = CLONE_NEWNS;

  Case() {
    spec.root = oci::Root{.path = "rootfs"};
    spec.linux_.namespaces = {{.type = "mount", .path = ""}};
  }
  void Add(const std::string& type, const std::string& path, std::int64_t major,
           std::int64_t minor) {
    oci::Device device;
    device.type = type;
    device.path = path;
    if (type != "p") device.major = major, device.minor = minor;
    spec.linux_.devices.push_back(device);
  }
};

std::string InContainer(const Case& test_case, const std::function<std::string()>& body) {
  const auto rootfs = PlanRootfs(test_case.spec, test_case.bundle.path());
  MUST_WORK(rootfs);
  const auto plan = PlanDevices(test_case.spec);
  MUST_WORK(plan);
  const auto root = CloneRoot(*rootfs);
  MUST_WORK(root);
  return InChild(test_case.namespaces, [&]() -> std::string {
    MUST_WORK(IsolateMounts(*rootfs));
    MUST_WORK(AttachRoot(*rootfs, root->get()));
    ::umask(077);
    MUST_WORK(CreateDevices(*plan, root->get()));
    MUST_WORK(CreateDeviceLinks(*plan, root->get()));
    MUST_WORK(PivotRoot(*rootfs, root->get()));
    MUST(::umask(0) == 077);
    return body();
  });
}

struct stat Look(const char* path) {
  struct stat status {};
  (void)::lstat(path, &status);
  return status;
}

TEST(Devices, DefaultOnesAndLinks) {
  const Case test_case;
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          const std::pair<const char*, dev_t> kExpected[] = {
                              {"/dev/null", makedev(1, 3)},    {"/dev/zero", makedev(1, 5)},
                              {"/dev/full", makedev(1, 7)},    {"/dev/random", makedev(1, 8)},
                              {"/dev/urandom", makedev(1, 9)}, {"/dev/tty", makedev(5, 0)}};
                          for (const auto& [path, device] : kExpected) {
                            MUST(Look(path).st_rdev == device);
                            MUST(Look(path).st_mode == (S_IFCHR | 0666));
                          }
                          MUST(std::filesystem::read_symlink("/dev/fd") == "/proc/self/fd");
                          MUST(std::filesystem::read_symlink("/dev/stdin") == "/proc/self/fd/0");
                          MUST(std::filesystem::read_symlink("/dev/ptmx") == "pts/ptmx");
                          return "";
                        }),
            "");
}

TEST(Devices, ListedOnesExactlyAsWritten) {
  Case test_case;
  test_case.Add("c", "/dev/null", 1, 3);
  test_case.Add("b", "/dev/sub/block", 7, 200);
  test_case.Add("u", "/dev/unbuffered", 1, 5);
  test_case.Add("p", "/data/fifo", 0, 0);
  test_case.spec.linux_.devices[0].file_mode = 0600;
  test_case.spec.linux_.devices[0].uid = 11;
  test_case.spec.linux_.devices[3].file_mode = 0646;
  test_case.spec.linux_.devices[3].gid = 12;
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(Look("/dev/null").st_mode == (S_IFCHR | 0600));
                          MUST(Look("/dev/null").st_uid == 11);
                          MUST(Look("/dev/sub/block").st_mode == (S_IFBLK | 0666));
                          MUST(Look("/dev/sub/block").st_rdev == makedev(7, 200));
                          MUST(S_ISCHR(Look("/dev/unbuffered").st_mode));
                          MUST(Look("/data/fifo").st_mode == (S_IFIFO | 0646));
                          MUST(Look("/data/fifo").st_gid == 12);
                          return "";
                        }),
            "");
}

TEST(Devices, AnotherFileInItsPlaceIsAnError) {
  Case test_case;
  test_case.bundle.Write("/dev/zero", "not a device");
  EXPECT_NE(InContainer(test_case, [] { return ""; }).find("/dev/zero: exists"), std::string::npos);
  Case numbers;
  ::mknod((numbers.bundle.root() + "/dev/full").c_str(), S_IFCHR | 0666, makedev(1, 5));
  EXPECT_NE(InContainer(numbers, [] { return ""; }).find("/dev/full: exists"), std::string::npos);
}

TEST(Devices, LinksInTheImageStayInside) {
  Case test_case;
  const std::string dev = test_case.bundle.root() + "/dev";
  const std::string outside = test_case.bundle.path() + "/outside";
  std::filesystem::create_directory(outside);
  std::ofstream(outside + "/ptmx") << "marker";
  std::filesystem::remove(dev);
  EXPECT_EQ(::symlink(("../../../../../.." + outside).c_str(), dev.c_str()), 0);
  (void)InContainer(test_case, [] { return ""; });
  EXPECT_EQ(test::ReadText(outside + "/ptmx"), "marker");
  EXPECT_FALSE(std::filesystem::exists(outside + "/null"));
}

TEST(Devices, UserNamespaceBindsTheHostsNodes) {
  Case test_case;
  test_case.namespaces |= CLONE_NEWUSER;
  test_case.spec.linux_.namespaces.push_back({.type = "user", .path = ""});
  for (const char* name : {"/rootfs/dev", "/rootfs"})
    std::filesystem::permissions(test_case.bundle.path() + name, std::filesystem::perms::all);
  EXPECT_EQ(InContainer(test_case,
                        []() -> std::string {
                          MUST(Look("/dev/null").st_rdev == makedev(1, 3));
                          MUST(::open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0);
                          return "";
                        }),
            "");
}

TEST(Devices, BoundDevIsLeftAlone) {
  Case test_case;
  oci::Mount mount;
  mount.destination = "/dev/";
  mount.type = "none";
  mount.source = "/dev";
  mount.options = {"rbind"};
  test_case.spec.mounts = {mount};
  const auto plan = PlanDevices(test_case.spec);
  ASSERT_TRUE(plan.has_value());
  EXPECT_FALSE(plan->create);
}

TEST(Devices, BadValuesNameTheirPlace) {
  const auto message = [](const char* type, const char* path, std::int64_t major) {
    Case test_case;
    test_case.Add(type, path, major, 0);
    const auto plan = PlanDevices(test_case.spec);
    return plan.has_value() ? "" : plan.error().message;
  };
  EXPECT_EQ(message("c", "/dev/x", 1), "");
  EXPECT_NE(message("x", "/dev/x", 1).find("/linux/devices/0/type"), std::string::npos);
  EXPECT_NE(message("c", "dev/x", 1).find("/linux/devices/0/path"), std::string::npos);
  EXPECT_NE(message("c", "/dev/x", -1).find("major must be"), std::string::npos);
  Case missing;
  missing.Add("p", "/dev/x", 0, 0);
  missing.spec.linux_.devices[0].type = "b";
  EXPECT_NE(PlanDevices(missing.spec).error().message.find("needs major and minor"),
            std::string::npos);
}

TEST(Devices, ConsoleIsTheTerminalAndNoLinkIsFollowed) {
  const auto run = [](const Case& test_case) {
    const auto rootfs = PlanRootfs(test_case.spec, test_case.bundle.path());
    const auto root = CloneRoot(*rootfs);
    return InChild(CLONE_NEWNS, [&]() -> std::string {
      MUST_WORK(IsolateMounts(*rootfs));
      MUST_WORK(AttachRoot(*rootfs, root->get()));
      auto pty = sys::OpenPty(UniqueFd(::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)));
      MUST_WORK(pty);
      MUST_WORK(AttachConsole(root->get(), pty->slave.get()));
      MUST_WORK(PivotRoot(*rootfs, root->get()));
      struct stat slave {};
      MUST(::fstat(pty->slave.get(), &slave) == 0);
      MUST(Look("/dev/console").st_rdev == slave.st_rdev);
      return "";
    });
  };
  EXPECT_EQ(run(Case()), "");
  Case hostile;
  EXPECT_EQ(::symlink("/data/new", (hostile.bundle.root() + "/dev/console").c_str()), 0);
  EXPECT_NE(run(hostile).find("/dev/console: exists"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(hostile.bundle.root() + "/data/new"));
}

}  // namespace
}  // namespace coracle::runtime
