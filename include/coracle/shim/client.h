// The daemon's end of a shim: starts the shim program of a container and speaks containerd's Task
// service (ttrpc) with it. Works with our own shim and with others (runc's, Kata's): nothing here
// needs more than the standard, except where a comment says "our own shim".
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/json.h"
#include "coracle/base/result.h"
#include "coracle/oci/spec.h"
#include "coracle/runtime/cgroup.h"

namespace coracle::shim {

// For our own shim, `stdout_uri` and `stderr_uri` may be "cri-log:///absolute/path": the shim
// writes that file in the CRI log format itself. Any shim: a FIFO path, or empty for /dev/null.
struct Stdio {
  std::string stdin_path, stdout_uri, stderr_uri;
  bool terminal = false;
};

struct LaunchOptions {
  std::string shim_binary = {};  // absolute path
  std::string container_namespace = "k8s.io";
  std::string id = {};
  std::string bundle = {};  // directory with config.json and rootfs/; the shim's working directory
  std::string events_address = {};  // TTRPC_ADDRESS for the shim; may be empty
  // Our own shim, and only that: {"root": ..., "ignoreMissingControllers": ...}, each optional.
  std::optional<Json> runtime_options = {};
  std::chrono::milliseconds timeout{20'000};
};

struct ExitStatus {
  std::uint32_t code = 0;  // 0..255, 128 + signal
  std::uint64_t exited_at_unix_ns = 0;
  bool oom_killed = false;  // our own shim; others: ask Stats
};

enum class TaskStatus : std::uint8_t { kUnknown, kCreated, kRunning, kStopped, kPaused };

struct TaskState {
  pid_t pid = 0;
  TaskStatus status = TaskStatus::kUnknown;
  ExitStatus exit;
};

struct CreateRequest {
  std::string id, bundle;
  std::vector<oci::Mount> rootfs;  // mounted by the shim on <bundle>/rootfs
  Stdio stdio;
};

struct ExecRequest {
  std::string id, exec_id;
  oci::Process process;
  Stdio stdio;
};

// One connection to one shim. All calls are safe from several threads and block until answered or
// until `deadline`; a lost connection is kProtocol "ttrpc: closed".
class Client {
 public:
  using Clock = std::chrono::steady_clock;
  // Called once, from the connection's reader thread: must not block. An Error: connection lost.
  using OnExit = std::function<void(Result<ExitStatus>)>;

  // Runs `<shim> start` and connects.
  static Result<std::unique_ptr<Client>> Launch(const LaunchOptions& options);
  // After a restart of the daemon: the address is in <bundle>/address.
  static Result<std::unique_ptr<Client>> Reconnect(const std::string& bundle,
                                                   const std::string& container_namespace,
                                                   std::chrono::milliseconds timeout);
  virtual ~Client() = default;

  virtual Result<pid_t> Create(const CreateRequest& request, Clock::time_point deadline) = 0;
  virtual Result<pid_t> Start(const std::string& id, const std::string& exec_id,
                              Clock::time_point deadline) = 0;
  virtual Result<TaskState> State(const std::string& id, const std::string& exec_id,
                                  Clock::time_point deadline) = 0;
  virtual Status Kill(const std::string& id, const std::string& exec_id, int signal, bool all,
                      Clock::time_point deadline) = 0;
  virtual Result<ExitStatus> Delete(const std::string& id, const std::string& exec_id,
                                    Clock::time_point deadline) = 0;
  virtual Status Exec(const ExecRequest& request, Clock::time_point deadline) = 0;
  virtual void Wait(const std::string& id, const std::string& exec_id, OnExit on_exit) = 0;
  virtual Status Pause(const std::string& id, Clock::time_point deadline) = 0;
  virtual Status Resume(const std::string& id, Clock::time_point deadline) = 0;
  virtual Status Update(const std::string& id, const oci::Resources& resources,
                        Clock::time_point deadline) = 0;
  virtual Status CloseStdin(const std::string& id, const std::string& exec_id,
                            Clock::time_point deadline) = 0;
  virtual Status ResizePty(const std::string& id, const std::string& exec_id, std::uint16_t height,
                           std::uint16_t width, Clock::time_point deadline) = 0;
  virtual Result<std::vector<pid_t>> Pids(const std::string& id, Clock::time_point deadline) = 0;
  virtual Result<runtime::CgroupStats> Stats(const std::string& id, Clock::time_point deadline) = 0;
  // Our own shim: opens the log file anew (after it was renamed away).
  virtual Status ReopenLog(const std::string& id, Clock::time_point deadline) = 0;
  // Asks the shim to end once it has no container, and forgets the connection.
  virtual Status Shutdown(const std::string& id, Clock::time_point deadline) = 0;
};

// Runs `<shim> delete`: cleans up after a shim that died, tells how its container ended.
Result<ExitStatus> DeleteAfterShim(const LaunchOptions& options);

// What our own shim wrote when its container ended; kNotFound while it runs.
Result<ExitStatus> ReadExitRecord(const std::string& bundle);

}  // namespace coracle::shim
