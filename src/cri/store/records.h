// What the daemon knows for good about a pod and a container: facts only, states are derived.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api.h"

namespace coracle::cri {

struct SandboxRecord {
  std::string id;
  std::shared_ptr<const v1::PodSandboxConfig> config;
  std::string runtime_handler;
  std::string boot_id;             // of the boot that made its namespaces
  std::int64_t created_at_ns = 0;  // nanoseconds since 1970, as all times here; 0: not yet
  std::int64_t ready_at_ns = 0;    // 0: RunPodSandbox did not finish
  std::int64_t lost_at_ns = 0;     // its PID namespace or its boot ended
  std::int64_t stopped_at_ns = 0;  // StopPodSandbox finished
  std::vector<std::string> ips;
  std::string cni_result;  // JSON
  pid_t pause_pid = 0;     // parent of the shared PID namespace
  [[nodiscard]] bool Ready() const {
    return ready_at_ns != 0 && lost_at_ns == 0 && stopped_at_ns == 0;
  }
};

struct ContainerRecord {
  std::string id, sandbox_id;
  std::shared_ptr<const v1::ContainerConfig> config;  // `resources` are those in force
  std::string image_id;
  std::string boot_id;
  std::string cgroups_path;  // below the cgroup2 mount
  std::string log_path;      // absolute, or empty
  std::string stop_signal;   // "SIGTERM"
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> groups;
  pid_t pid = 0;
  std::int64_t created_at_ns = 0;
  std::int64_t ready_at_ns = 0;  // 0: CreateContainer did not finish
  std::int64_t started_at_ns = 0;
  std::int64_t finished_at_ns = 0;
  std::int32_t exit_code = 0;
  std::string reason, message;
  [[nodiscard]] v1::ContainerState State() const {
    if (finished_at_ns != 0) return v1::CONTAINER_EXITED;
    return started_at_ns != 0 ? v1::CONTAINER_RUNNING : v1::CONTAINER_CREATED;
  }
};

}  // namespace coracle::cri
