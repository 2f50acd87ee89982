// config.json of the OCI runtime specification 1.3.0 as plain structs: config.md, config-linux.md.
// Member names are the specification's, in our spelling. An absent member is an empty optional,
// string, vector or map; numbers keep the specification's units (bytes, microseconds, ...).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/json_fwd.h"
#include "coracle/base/result.h"

namespace coracle::oci {

using Annotations = std::map<std::string, std::string>;

struct Root {  // config.md#root
  std::string path;
  bool readonly = false;
};

struct IdMapping {  // config-linux.md#user-namespace-mappings
  std::uint32_t container_id = 0;
  std::uint32_t host_id = 0;
  std::uint32_t size = 0;
};

struct Mount {  // config.md#mounts
  std::string destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
};

struct ConsoleSize {
  std::uint16_t height = 0;
  std::uint16_t width = 0;
};

struct User {  // config.md#posix-platform-user
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::optional<std::uint32_t> umask;
  std::vector<std::uint32_t> additional_gids;
};

struct Rlimit {
  std::string type;  // "RLIMIT_NOFILE"
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

struct Capabilities {  // names as in capabilities(7): "CAP_NET_RAW"
  std::vector<std::string> bounding, effective, inheritable, permitted, ambient;
};

struct Scheduler {
  std::string policy;  // "SCHED_OTHER", ...
  std::int32_t nice = 0;
  std::int32_t priority = 0;
  std::vector<std::string> flags;
  std::uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
};

struct IoPriority {
  std::string io_class;  // "IOPRIO_CLASS_BE"
  std::int32_t priority = 0;
};

struct ExecCpuAffinity {
  std::string initial, final_;  // CPU lists: "0-3,7"
};

struct Process {  // config.md#process
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  User user;
  std::vector<std::string> args;
  std::vector<std::string> env;  // "KEY=value"
  std::string cwd;
  std::optional<Capabilities> capabilities;
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::string apparmor_profile;
  std::string selinux_label;
  std::optional<std::int32_t> oom_score_adj;
  std::optional<Scheduler> scheduler;
  std::optional<IoPriority> io_priority;
  std::optional<ExecCpuAffinity> exec_cpu_affinity;
};

struct Hook {  // config.md#posix-platform-hooks
  std::string path;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::optional<std::int64_t> timeout_s;
};

struct Hooks {
  std::vector<Hook> prestart, create_runtime, create_container, start_container, poststart,
      poststop;
};

struct Namespace {   // config-linux.md#namespaces
  std::string type;  // pid network mount ipc uts user cgroup time
  std::string path;  // empty: a new one
};

struct Device {      // config-linux.md#devices
  std::string type;  // c b u p
  std::string path;
  std::optional<std::int64_t> major, minor;
  std::optional<std::uint32_t> file_mode;
  std::optional<std::uint32_t> uid, gid;
};

struct NetDevice {
  std::string name;  // in the container; empty: as on the host
};

struct TimeOffset {
  std::int64_t secs = 0;
  std::uint32_t nanosecs = 0;
};

struct DeviceRule {  // config-linux.md#allowed-device-list
  bool allow = false;
  std::string type = "a";  // a c b
  std::optional<std::int64_t> major, minor;
  std::string access;  // subset of "rwm"
};

struct MemoryLimits {  // bytes; -1 = unlimited
  std::optional<std::int64_t> limit, reservation, swap, kernel, kernel_tcp;
  std::optional<std::uint64_t> swappiness;
  std::optional<bool> disable_oom_killer, use_hierarchy, check_before_update;
};

struct CpuLimits {
  std::optional<std::uint64_t> shares;
  std::optional<std::int64_t> quota_us;
  std::optional<std::uint64_t> burst_us, period_us;
  std::optional<std::int64_t> realtime_runtime_us;
  std::optional<std::uint64_t> realtime_period_us;
  std::string cpus, mems;  // lists: "0-3,7"
  std::optional<std::int64_t> idle;
};

struct WeightDevice {
  std::int64_t major = 0, minor = 0;
  std::optional<std::uint16_t> weight, leaf_weight;
};

struct ThrottleDevice {
  std::int64_t major = 0, minor = 0;
  std::uint64_t rate = 0;  // bytes or operations per second
};

struct BlockIoLimits {
  std::optional<std::uint16_t> weight, leaf_weight;
  std::vector<WeightDevice> weight_device;
  std::vector<ThrottleDevice> throttle_read_bps_device, throttle_write_bps_device,
      throttle_read_iops_device, throttle_write_iops_device;
};

struct HugepageLimit {
  std::string page_size;  // "2MB"
  std::uint64_t limit = 0;
};

struct NetworkLimits {  // cgroup v1 only
  std::optional<std::uint32_t> class_id;
  std::map<std::string, std::uint32_t> priorities;
};

struct RdmaLimit {
  std::optional<std::uint32_t> hca_handles, hca_objects;
};

struct Resources {  // config-linux.md#control-groups
  std::vector<DeviceRule> devices;
  std::optional<MemoryLimits> memory;
  std::optional<CpuLimits> cpu;
  std::optional<std::int64_t> pids_limit;  // pids.limit; -1 = unlimited
  std::optional<BlockIoLimits> block_io;
  std::vector<HugepageLimit> hugepage_limits;
  std::optional<NetworkLimits> network;
  std::map<std::string, RdmaLimit> rdma;
  std::map<std::string, std::string> unified;  // cgroup v2 file -> text
};

struct SeccompArg {
  std::uint32_t index = 0;
  std::uint64_t value = 0, value_two = 0;
  std::string op;  // "SCMP_CMP_EQ", ...
};

struct SeccompRule {
  std::vector<std::string> names;
  std::string action;
  std::optional<std::uint32_t> errno_ret;
  std::vector<SeccompArg> args;
};

struct Seccomp {  // config-linux.md#seccomp
  std::string default_action;
  std::optional<std::uint32_t> default_errno_ret;
  std::vector<std::string> architectures;
  std::vector<std::string> flags;
  std::string listener_path, listener_metadata;
  std::vector<SeccompRule> syscalls;
};

struct IntelRdt {
  std::string clos_id, l3_cache_schema, mem_bw_schema;
  std::vector<std::string> schemata;
  bool enable_monitoring = false;
};

struct MemoryPolicy {
  std::string mode, nodes;
  std::vector<std::string> flags;
};

struct Personality {
  std::string domain;  // LINUX, LINUX32
  std::vector<std::string> flags;
};

struct Linux {
  std::vector<Namespace> namespaces;
  std::vector<IdMapping> uid_mappings, gid_mappings;
  std::map<std::string, TimeOffset> time_offsets;  // monotonic, boottime
  std::vector<Device> devices;
  std::map<std::string, NetDevice> net_devices;
  std::string cgroups_path;
  Resources resources;
  std::string rootfs_propagation;
  std::optional<Seccomp> seccomp;
  std::map<std::string, std::string> sysctl;
  std::vector<std::string> masked_paths, readonly_paths;
  std::string mount_label;
  std::optional<IntelRdt> intel_rdt;
  std::optional<MemoryPolicy> memory_policy;
  std::optional<Personality> personality;
};

struct Spec {  // config.md
  std::string oci_version;
  std::optional<Root> root;
  std::vector<Mount> mounts;
  std::optional<Process> process;
  std::string hostname, domainname;
  Hooks hooks;
  Annotations annotations;
  Linux linux_;
};

// Parses and validates: all problems in one Error. `what` is the path for messages; `ignored`
// (may be null) gets the JSON pointers of members that this program does not know.
Result<Spec> ParseSpec(std::string_view text, const std::string& what,
                       std::vector<std::string>* ignored = nullptr);
Result<Process> ParseProcess(std::string_view text, const std::string& what);
Result<Resources> ParseResources(std::string_view text, const std::string& what);

// The inverse: what ParseSpec reads back to the same struct. Absent members are not printed.
Json ToJson(const Spec& spec);
Json ToJson(const Process& process);
Json ToJson(const Resources& resources);

// What `coracle spec` prints: the specification's example of a container that just works.
Spec ExampleSpec();

}  // namespace coracle::oci
