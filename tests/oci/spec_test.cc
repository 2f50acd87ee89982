#include "coracle/oci/spec.h"

#include <gtest/gtest.h>

#include "coracle/base/json.h"

namespace coracle::oci {
namespace {

// Every member of the specification that this program knows, none with its default value.
constexpr const char* kFull = R"({
  "ociVersion": "1.3.0",
  "process": {
    "terminal": true, "consoleSize": {"height": 24, "width": 80},
    "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [5, 6]},
    "args": ["sh", "-c", "true"], "env": ["A=b", "C="], "cwd": "/tmp",
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"],
      "inheritable": ["CAP_KILL"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 18446744073709551615}],
    "noNewPrivileges": true, "apparmorProfile": "p", "selinuxLabel": "l", "oomScoreAdj": -7,
    "scheduler": {"policy": "SCHED_DEADLINE", "nice": 3, "priority": 4,
      "flags": ["SCHED_FLAG_RECLAIM"], "runtime": 1, "deadline": 2, "period": 3},
    "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 7},
    "execCPUAffinity": {"initial": "0-1", "final": "1"}},
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "h", "domainname": "d",
  "mounts": [{"destination": "/data", "type": "none", "source": "/src",
    "options": ["rbind", "idmap"],
    "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 4294967295}],
    "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]}],
  "hooks": {"prestart": [{"path": "/a"}], "createRuntime": [{"path": "/b", "timeout": 5}],
    "createContainer": [{"path": "/c", "args": ["c", "x"]}],
    "startContainer": [{"path": "/d", "env": ["A=b"]}],
    "poststart": [{"path": "/e"}], "poststop": [{"path": "/f"}]},
  "annotations": {"a": "b"},
  "linux": {
    "namespaces": [{"type": "pid"}, {"type": "network", "path": "/n"}, {"type": "uts"},
      {"type": "user"}, {"type": "time"}],
    "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
    "gidMappings": [{"containerID": 3, "hostID": 4, "size": 5}],
    "timeOffsets": {"boottime": {"secs": -1, "nanosecs": 999999999}},
    "devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 0, "fileMode": 438,
      "uid": 0, "gid": 7}, {"type": "p", "path": "/dev/fifo"}],
    "netDevices": {"eth0": {"name": "net0"}, "eth1": {}},
    "cgroupsPath": "/c",
    "resources": {
      "devices": [{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": -1, "minor": 3, "access": "r"}],
      "memory": {"limit": -1, "reservation": 2, "swap": 3, "kernel": 4, "kernelTCP": 5,
        "swappiness": 6, "disableOOMKiller": false, "useHierarchy": true,
        "checkBeforeUpdate": true},
      "cpu": {"shares": 1, "quota": -1, "burst": 2, "period": 3, "realtimeRuntime": 4,
        "realtimePeriod": 5, "cpus": "0", "mems": "0", "idle": 1},
      "pids": {"limit": 0},
      "blockIO": {"weight": 10, "leafWeight": 11,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 12, "leafWeight": 13}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}],
        "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 2}],
        "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 3}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 4}]},
      "hugepageLimits": [{"pageSize": "2MB", "limit": 18446744073709551615}],
      "network": {"classID": 1, "priorities": [{"name": "eth0", "priority": 2}]},
      "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}},
      "unified": {"memory.high": "10"}},
    "rootfsPropagation": "slave",
    "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
      "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
      "listenerPath": "/s", "listenerMetadata": "m",
      "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
        "args": [{"index": 1, "value": 18446744073709551615, "valueTwo": 3,
          "op": "SCMP_CMP_MASKED_EQ"}]}]},
    "sysctl": {"net.core.somaxconn": "256"},
    "maskedPaths": ["/m"], "readonlyPaths": ["/r"], "mountLabel": "ml",
    "intelRdt": {"closID": "g", "schemata": ["L3:0=f"], "l3CacheSchema": "L3:0=7",
      "memBwSchema": "MB:0=20", "enableMonitoring": true},
    "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]},
    "personality": {"domain": "LINUX32"}}})";

// Both sides through the same (sorting) type: the order of members does not count.
nlohmann::json Sorted(std::string_view text) { return nlohmann::json::parse(text); }

TEST(Spec, PrintsWhatItRead) {
  std::vector<std::string> ignored;
  const auto spec = ParseSpec(kFull, "config.json", &ignored);
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_TRUE(ignored.empty()) << ignored.front();
  EXPECT_EQ(nlohmann::json::diff(Sorted(PrintJson(ToJson(*spec))), Sorted(kFull)),
            nlohmann::json::array());
}

TEST(Spec, ReadsEachKindOfValue) {
  const auto spec = ParseSpec(kFull, "config.json");
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_EQ(spec->process->user.additional_gids, (std::vector<std::uint32_t>{5, 6}));
  EXPECT_EQ(spec->process->rlimits[0].hard, UINT64_MAX);
  EXPECT_EQ(spec->mounts[0].uid_mappings[0].size, UINT32_MAX);
  EXPECT_EQ(spec->hooks.create_runtime[0].timeout_s, 5);
  EXPECT_EQ(spec->linux_.resources.pids_limit, 0);
  EXPECT_EQ(spec->linux_.resources.memory->disable_oom_killer, false);
  EXPECT_EQ(spec->linux_.resources.devices[0].type, "a");
  EXPECT_EQ(spec->linux_.resources.network->priorities.at("eth0"), 2U);
  EXPECT_EQ(spec->linux_.time_offsets.at("boottime").secs, -1);
}

TEST(Spec, ListsWhatItIgnores) {
  std::vector<std::string> ignored;
  const auto spec = ParseSpec(
      R"({"ociVersion": "1.9.0", "root": {"path": "r", "new": 1}, "windows": {}})", "c", &ignored);
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_EQ(ignored, (std::vector<std::string>{"/root/new", "/windows"}));
}

TEST(Spec, NamesEveryProblemAtOnce) {
  const auto spec = ParseSpec(
      R"({"process": {"args": "sh", "cwd": "tmp"}, "root": {"path": 3},
          "linux": {"namespaces": [{"type": "pid"}, {"type": "pid"}]}})",
      "/b/config.json");
  ASSERT_FALSE(spec.has_value());
  EXPECT_EQ(spec.error().code, Code::kInvalidConfig);
  EXPECT_EQ(spec.error().message,
            "/b/config.json: 5 problems: /ociVersion: required, but missing; "
            "/root/path: expected string, got number 3; "
            "/process/args: expected array, got string \"sh\"; "
            "/process/cwd: \"tmp\" must be an absolute path (config.md#process); "
            "/linux/namespaces/1/type: \"pid\" is given twice (config-linux.md#namespaces)");
}

TEST(Spec, RefusesWhatIsNotAnObject) {
  for (const char* text : {"", "[]", "null", "3", "{\"ociVersion\":", "\xff"})
    EXPECT_FALSE(ParseSpec(text, "c").has_value()) << text;
}

TEST(Spec, ExampleIsValidAndPrintsTheSame) {
  const std::string text = PrintJson(ToJson(ExampleSpec()), 2);
  const auto spec = ParseSpec(text, "example");
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_EQ(PrintJson(ToJson(*spec), 2), text);
}

TEST(ParseProcess, ReadsAFileOfItsOwn) {
  const auto process = ParseProcess(R"({"args": ["id"], "cwd": "/", "env": ["A=b"]})", "p.json");
  ASSERT_TRUE(process.has_value()) << process.error().message;
  EXPECT_EQ(process->args, (std::vector<std::string>{"id"}));
  const auto bad = ParseProcess(R"({"args": [], "cwd": "/", "env": ["A"]})", "p.json");
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().message,
            "p.json: 2 problems: /args: at least one argument is required "
            "(config.md#posix-process); /env/0: \"A\" must be NAME=value (config.md#process)");
}

TEST(ParseResources, ReadsAFileOfItsOwn) {
  const auto resources = ParseResources(R"({"memory": {"limit": 1048576}, "pids": {}})", "-");
  ASSERT_FALSE(resources.has_value());
  EXPECT_EQ(resources.error().message, "-: /pids/limit: required, but missing");
  const auto good = ParseResources(R"({"memory": {"limit": 1048576}})", "-");
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->memory->limit, 1048576);
}

}  // namespace
}  // namespace coracle::oci
