#include "cgroup_devices.h"

#include <fcntl.h>

#include "coracle/sys/bpf.h"
#include "runtime/cgroup_fixture.h"

namespace coracle::runtime {
namespace {

using Number = std::optional<std::int64_t>;

oci::DeviceRule Allow(const char* type, Number major, Number minor, const char* access) {
  return {.allow = true, .type = type, .major = major, .minor = minor, .access = access};
}
oci::DeviceRule Deny(const char* type, Number major, Number minor, const char* access) {
  return {.allow = false, .type = type, .major = major, .minor = minor, .access = access};
}

const oci::DeviceRule kDenyAll = Deny("a", {}, {}, "rwm");

class DeviceTest : public CgroupTest {
 protected:
  // errno of opening `path` with `flags` under `rules`, seen from a process in the cgroup.
  int Open(const std::vector<oci::DeviceRule>& rules, const char* path, int flags) {
    const Result<Cgroup> cgroup = Make();
    if (!cgroup.has_value()) return -1;
    const Status status = AttachDevices(cgroup->directory.get(), rules);
    EXPECT_TRUE(status.has_value()) << status.error().message;
    return WEXITSTATUS(
        Wait(Spawn(*cgroup, [&] { return ::open(path, flags | O_CLOEXEC) >= 0 ? 0 : errno; })));
  }
};

TEST_F(DeviceTest, NothingIsAllowedWithoutARule) {
  EXPECT_EQ(Open({}, "/dev/null", O_RDONLY), EPERM);
  EXPECT_EQ(Open({kDenyAll}, "/dev/null", O_RDONLY), EPERM);
  EXPECT_EQ(Open(WithDefaultDevices({kDenyAll}), "/dev/null", O_RDWR), 0);
}

TEST_F(DeviceTest, LaterRulesHaveTheLastWord) {
  const oci::DeviceRule all = Allow("a", {}, {}, "rwm");
  const oci::DeviceRule null = Deny("c", 1, 3, "rwm");
  EXPECT_EQ(Open({all, null}, "/dev/null", O_RDONLY), EPERM);
  EXPECT_EQ(Open({all, null}, "/dev/zero", O_RDONLY), 0);
  EXPECT_EQ(Open({null, all}, "/dev/null", O_RDONLY), 0);
}

TEST_F(DeviceTest, EachAccessIsDecidedByItself) {
  const oci::DeviceRule read = Allow("c", 1, 3, "r");
  const oci::DeviceRule write = Allow("c", 1, {}, "w");
  EXPECT_EQ(Open({kDenyAll, read}, "/dev/null", O_RDONLY), 0);
  EXPECT_EQ(Open({kDenyAll, read}, "/dev/null", O_WRONLY), EPERM);
  EXPECT_EQ(Open({kDenyAll, read}, "/dev/null", O_RDWR), EPERM);
  EXPECT_EQ(Open({kDenyAll, read, write}, "/dev/null", O_RDWR), 0);
  EXPECT_EQ(Open({kDenyAll, read, write, Deny("c", {}, 3, "w")}, "/dev/null", O_RDWR), EPERM);
  EXPECT_EQ(Open({kDenyAll, read, write, Deny("c", {}, 3, "w")}, "/dev/null", O_RDONLY), 0);
}

TEST_F(DeviceTest, TypesAndNumbersMustMatch) {
  EXPECT_EQ(Open({kDenyAll, Allow("b", 1, 3, "rwm")}, "/dev/null", O_RDONLY), EPERM);
  EXPECT_EQ(Open({kDenyAll, Allow("c", 1, 5, "rwm")}, "/dev/null", O_RDONLY), EPERM);
  EXPECT_EQ(Open({kDenyAll, Allow("c", 5, 3, "rwm")}, "/dev/null", O_RDONLY), EPERM);
  EXPECT_EQ(Open({kDenyAll, Allow("c", 1, -1, "rwm")}, "/dev/null", O_RDONLY), 0);
}

TEST_F(DeviceTest, ARuleWithoutAccessNeverWidens) {
  EXPECT_EQ(Open({kDenyAll, Allow("c", 1, 3, "")}, "/dev/null", O_RDONLY), EPERM);
  EXPECT_EQ(Open({Allow("a", {}, {}, "rwm"), Deny("a", {}, {}, "")}, "/dev/null", O_RDONLY), EPERM);
}

TEST_F(DeviceTest, ReplacesOnlyItsOwnProgram) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  const int fd = cgroup->directory.get();
  const UniqueFd foreign =
      sys::LoadCgroupDeviceProgram(CompileDeviceRules(WithDefaultDevices({})), "foreign").value();
  ASSERT_TRUE(sys::AttachToCgroup(fd, foreign.get(), BPF_CGROUP_DEVICE).has_value());
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(AttachDevices(fd, WithDefaultDevices({kDenyAll})).has_value());
  const auto programs = sys::CgroupPrograms(fd, BPF_CGROUP_DEVICE);
  ASSERT_TRUE(programs.has_value());
  ASSERT_EQ(programs->size(), 2U);
  EXPECT_EQ((*programs)[0].name, "foreign");
}

TEST_F(DeviceTest, LongListsLoad) {
  std::vector<oci::DeviceRule> rules = {kDenyAll};
  for (int i = 0; i < 400; ++i)
    rules.push_back(i % 2 == 0 ? Allow("c", 240, i, "rw") : Deny("c", 240, i, "rw"));
  EXPECT_EQ(Open(WithDefaultDevices(rules), "/dev/null", O_RDONLY), 0);
}

}  // namespace
}  // namespace coracle::runtime
