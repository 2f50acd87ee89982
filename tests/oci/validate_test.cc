#include "validate.h"

#include <gtest/gtest.h>

#include "coracle/base/json.h"

namespace coracle::oci {
namespace {

// A plain configuration with `patch` (RFC 7386) merged into it.
std::string ProblemOf(const std::string& patch) {
  Json json = Json::parse(R"({"ociVersion": "1.0.0", "root": {"path": "rootfs"},
    "process": {"args": ["sh"], "cwd": "/"},
    "linux": {"namespaces": [{"type": "mount"}, {"type": "uts"}]}})");
  json.merge_patch(Json::parse(patch));
  const auto spec = ParseSpec(PrintJson(json), "c");
  return spec.has_value() ? "" : spec.error().message;
}

struct Case {
  const char* patch;
  const char* problem;  // how the message goes on after "c: "
};
void PrintTo(const Case& test_case, std::ostream* out) { *out << test_case.patch; }

class Refused : public testing::TestWithParam<Case> {};

TEST_P(Refused, WithThePlaceAndTheRule) {
  const std::string message = ProblemOf(GetParam().patch);
  EXPECT_TRUE(message.starts_with(std::string("c: ") + GetParam().problem)) << message;
}

INSTANTIATE_TEST_SUITE_P(
    Config, Refused,
    testing::Values(
        Case{R"({"ociVersion": null})", "/ociVersion: required, but missing"},
        Case{R"({"ociVersion": "1.0"})", "/ociVersion: \"1.0\" is not a version"},
        Case{R"({"ociVersion": "1.00.0"})", "/ociVersion: \"1.00.0\" is not a version"},
        Case{R"({"ociVersion": "1.0.0-"})", "/ociVersion: \"1.0.0-\" is not a version"},
        Case{R"({"ociVersion": "2.0.0"})", "/ociVersion: \"2.0.0\" is not supported"},
        Case{R"({"root": null})", "/root: required"},
        Case{R"({"root": {"path": ""}})", "/root/path: must not be empty"},
        Case{R"({"process": {"cwd": "tmp"}})", "/process/cwd: \"tmp\" must be an absolute path"},
        Case{R"({"process": {"cwd": null}})", "/process/cwd: required, but missing"},
        Case{R"({"process": {"args": []}})", "/process/args: at least one"},
        Case{R"({"process": {"args": null}})", "/process/args: at least one"},
        Case{R"({"process": {"env": ["A=b", "=c"]}})", "/process/env/1: \"=c\" must be NAME"},
        Case{R"({"process": {"env": ["A=b\u0000"]}})", "/process/env/0: contains a NUL"},
        Case{R"({"process": {"user": {"umask": 512}}})", "/process/user/umask: 512 is out of"},
        Case{R"({"process": {"oomScoreAdj": 1001}})", "/process/oomScoreAdj: 1001 is out of range"},
        Case{R"({"process": {"rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}})",
             "/process/rlimits/0/type: unknown value \"RLIMIT_X\"; allowed: RLIMIT_AS"},
        Case{R"({"process": {"rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1},
                                         {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]}})",
             "/process/rlimits/1/type: RLIMIT_CPU is given twice"},
        Case{R"({"process": {"rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]}})",
             "/process/rlimits/0/soft: 2 exceeds the hard limit 1"},
        Case{R"({"process": {"scheduler": {"policy": "FIFO"}}})",
             "/process/scheduler/policy: unknown value \"FIFO\""},
        Case{R"({"process": {"scheduler": {"policy": "SCHED_FIFO", "flags": ["X"]}}})",
             "/process/scheduler/flags/0: unknown value \"X\""},
        Case{R"({"process": {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}}})",
             "/process/ioPriority/priority: 8 is out of range; allowed: 0 to 7"},
        Case{R"({"process": {"execCPUAffinity": {"initial": "a"}}})",
             "/process/execCPUAffinity/initial: \"a\" is not a list of CPUs"},
        Case{R"({"mounts": [{"destination": ""}]})", "/mounts/0/destination: must not be empty"},
        Case{R"({"mounts": [{"destination": "/a",
                "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}]})",
             "/mounts/0: uidMappings and gidMappings must be given together"},
        Case{R"({"hooks": {"poststop": [{"path": "a"}]}})",
             "/hooks/poststop/0/path: \"a\" must be an absolute path"},
        Case{R"({"hooks": {"prestart": [{"path": "/a", "timeout": 0}]}})",
             "/hooks/prestart/0/timeout: must be greater than 0, got 0"},
        Case{R"({"hooks": {"prestart": [{"path": "/a", "env": ["x"]}]}})",
             "/hooks/prestart/0/env/0: \"x\" must be NAME=value"},
        Case{R"({"annotations": {"": "x"}})", "/annotations: a key must not be empty"},
        Case{R"({"annotations": {"x": 1}})", "/annotations/x: expected string, got number 1"},
        Case{R"({"hostname": "h", "linux": {"namespaces": null}})",
             "/hostname: needs a \"uts\" entry"},
        Case{R"({"domainname": "d", "linux": {"namespaces": null}})",
             "/domainname: needs a \"uts\" entry"}));

INSTANTIATE_TEST_SUITE_P(
    Linux, Refused,
    testing::Values(
        Case{R"({"linux": {"namespaces": [{"type": "net"}]}})",
             "/linux/namespaces/0/type: unknown value \"net\"; allowed: pid network mount ipc uts"},
        Case{R"({"linux": {"namespaces": [{"type": "pid"}, {"type": "pid", "path": "/p"}]}})",
             "/linux/namespaces/1/type: \"pid\" is given twice"},
        Case{R"({"linux": {"namespaces": [{"type": "pid", "path": "p"}]}})",
             "/linux/namespaces/0/path: \"p\" must be an absolute path"},
        Case{R"({"linux": {"uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}})",
             "/linux/uidMappings: needs a \"user\" entry"},
        Case{R"({"linux": {"namespaces": [{"type": "user"}]}})",
             "2 problems: /linux/uidMappings: required with a new user namespace"},
        Case{R"({"linux": {"namespaces": [{"type": "user", "path": "/u"}],
                "uidMappings": [{"containerID": 0, "hostID": 0, "size": 0}]}})",
             "/linux/uidMappings/0/size: must be greater than 0"},
        Case{R"({"linux": {"timeOffsets": {"boottime": {"secs": 1}}}})",
             "/linux/timeOffsets: needs a \"time\" entry without path"},
        Case{R"({"linux": {"namespaces": [{"type": "time"}],
                "timeOffsets": {"realtime": {"secs": 1}}}})",
             "/linux/timeOffsets/realtime: unknown value \"realtime\"; allowed: monotonic bootti"},
        Case{R"({"linux": {"namespaces": [{"type": "time"}],
                "timeOffsets": {"boottime": {"nanosecs": 1000000000}}}})",
             "/linux/timeOffsets/boottime/nanosecs: must be less than 1000000000"},
        Case{R"({"linux": {"devices": [{"type": "x", "path": "/d", "major": 1, "minor": 1}]}})",
             "/linux/devices/0/type: unknown value \"x\"; allowed: c b u p"},
        Case{R"({"linux": {"devices": [{"type": "c", "path": "/d", "minor": 1}]}})",
             "/linux/devices/0/major: required unless"},
        Case{R"({"linux": {"devices": [{"type": "p", "path": "d"}]}})",
             "/linux/devices/0/path: \"d\" must be an absolute path"},
        Case{R"({"linux": {"netDevices": {"eth0": {}}}})",
             "/linux/netDevices: needs a \"network\" entry"},
        Case{R"({"linux": {"namespaces": [{"type": "network"}],
                "netDevices": {"eth0": {"name": "a/b"}}}})",
             "/linux/netDevices/eth0/name: not the name"},
        Case{R"({"linux": {"rootfsPropagation": "private2"}})",
             "/linux/rootfsPropagation: unknown value \"private2\"; allowed: shared slave"},
        Case{R"({"linux": {"maskedPaths": ["proc"]}})",
             "/linux/maskedPaths/0: \"proc\" must be an absolute path"},
        Case{R"({"linux": {"readonlyPaths": ["proc"]}})",
             "/linux/readonlyPaths/0: \"proc\" must be an absolute path"},
        Case{R"({"linux": {"intelRdt": {"closID": "../x"}}})", "/linux/intelRdt/closID: must be"},
        Case{R"({"linux": {"memoryPolicy": {"mode": "BIND"}}})",
             "/linux/memoryPolicy/mode: unknown value \"BIND\""},
        Case{R"({"linux": {"personality": {"domain": "LINUX", "flags": ["X"]}}})",
             "/linux/personality/flags: no flag is supported"},
        Case{R"({"linux": {"personality": {"domain": "BSD"}}})",
             "/linux/personality/domain: unknown value \"BSD\""}));

INSTANTIATE_TEST_SUITE_P(
    Resources, Refused,
    testing::Values(
        Case{R"({"linux": {"resources": {"devices": [{"allow": true, "type": "d"}]}}})",
             "/linux/resources/devices/0/type: unknown value \"d\"; allowed: a c b"},
        Case{R"({"linux": {"resources": {"devices": [{"type": "c"}]}}})",
             "/linux/resources/devices/0/allow: required, but missing"},
        Case{R"({"linux": {"resources": {"devices": [{"allow": true, "access": "rx"}]}}})",
             "/linux/resources/devices/0/access: \"rx\" must be made of"},
        Case{R"({"linux": {"resources": {"memory": {"limit": -2}}}})",
             "/linux/resources/memory/limit: -2 must be -1"},
        Case{R"({"linux": {"resources": {"memory": {"swappiness": 101}}}})",
             "/linux/resources/memory/swappiness: must be 0 to 100"},
        Case{R"({"linux": {"resources": {"pids": {"limit": -2}}}})",
             "/linux/resources/pids/limit: must be -1"},
        Case{R"({"linux": {"resources": {"hugepageLimits": [{"pageSize": "2", "limit": 1}]}}})",
             "/linux/resources/hugepageLimits/0/pageSize: \"2\" is not a page size"},
        Case{R"({"linux": {"resources": {"unified": {"../cgroup.procs": "1"}}}})",
             "/linux/resources/unified/..~1cgroup.procs: must be the name of a cgroup v2 file"}));

INSTANTIATE_TEST_SUITE_P(
    Seccomp, Refused,
    testing::Values(
        Case{R"({"linux": {"seccomp": {"defaultAction": "ALLOW"}}})",
             "/linux/seccomp/defaultAction: unknown value \"ALLOW\"; allowed: SCMP_ACT_KILL"},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_NOTIFY"}}})",
             "/linux/seccomp/defaultAction: SCMP_ACT_NOTIFY cannot be the default"},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}}})",
             "/linux/seccomp/defaultErrnoRet: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE return"},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                "architectures": ["x86"]}}})",
             "/linux/seccomp/architectures/0: unknown value \"x86\""},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["LOG"]}}})",
             "/linux/seccomp/flags/0: unknown value \"LOG\""},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                "listenerMetadata": "m"}}})",
             "/linux/seccomp/listenerMetadata: needs listenerPath"},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}}})",
             "/linux/seccomp/syscalls/0/names: at least one"},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["dup"], "action": "SCMP_ACT_NOTIFY"}]}}})",
             "/linux/seccomp/syscalls/0/action: SCMP_ACT_NOTIFY needs"},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["dup"], "action": "SCMP_ACT_KILL", "errnoRet": 1}]}}})",
             "/linux/seccomp/syscalls/0/errnoRet: only"},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["dup"], "action": "SCMP_ACT_KILL",
                  "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}}})",
             "/linux/seccomp/syscalls/0/args/0/index: must be 0 to 5"},
        Case{R"({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["dup"], "action": "SCMP_ACT_KILL",
                  "args": [{"index": 1, "value": 1, "op": "EQ"}]}]}}})",
             "/linux/seccomp/syscalls/0/args/0/op: unknown value \"EQ\""}));

TEST(Validate, TakesEveryVersionOfTheFirstMajor) {
  for (const char* version : {"1.0.0", "1.0.2-dev", "1.3.0", "1.42.7", "1.1.0+dev", "1.0.0-rc6"})
    EXPECT_EQ(ProblemOf(R"({"ociVersion": ")" + std::string(version) + "\"}"), "") << version;
}

TEST(Validate, TakesWhatIsOptional) {
  EXPECT_EQ(ProblemOf(R"({"process": null})"), "");
  EXPECT_EQ(ProblemOf(R"({"linux": null})"), "");
  EXPECT_EQ(ProblemOf(R"({"hostname": "h"})"), "");
  EXPECT_EQ(ProblemOf(R"({"mounts": [{"destination": "relative"}]})"), "");
  EXPECT_EQ(ProblemOf(R"({"process": {"capabilities": {"bounding": ["CAP_NEW"]}}})"), "");
}

TEST(Problems, SayAThingOnce) {
  std::vector<std::string> list = {"/process/args: expected array, got string \"sh\""};
  Problems problems(list);
  problems.Add("/process/args", "at least one", "x");
  problems.Add("/process/args/0", "at least one", "x");
  problems.Add("/process/args2", "other", "x");
  EXPECT_EQ(list.size(), 2U);
}

}  // namespace
}  // namespace coracle::oci
