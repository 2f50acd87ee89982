// The verbs that look at a container or signal it: state, list, kill. runtime.md#operations.
#include "coracle/runtime/container.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "cgroup_manager.h"
#include "coracle/base/id.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/sys/process.h"
#include "loaded.h"
#include "processes.h"

namespace coracle::runtime {
namespace {

Status KillLoaded(const StateFile& file, int signal, bool all) {
  if (all) return SignalProcesses(file, signal);
  const UniqueFd pidfd = TRY(OpenContainerProcess(file));
  // Nothing else ends the others with their first process, when its PID namespace is not theirs.
  if (signal == SIGKILL && !file.own_pid_namespace && !file.cgroup.empty())
    return SignalCgroup(file.cgroup, SIGKILL);
  Status sent = sys::pidfd_send_signal(pidfd.get(), signal);
  if (!sent.has_value() && sent.error().code == Code::kNotFound) return NotRunning();
  return sent;
}

Result<oci::State> StateOf(const Runtime& runtime, const std::string& id) {
  const Loaded loaded = TRY(Load(runtime, id));
  return ToOciState(loaded.file, DeriveStatus(loaded.paths, loaded.file));
}

Status KillUnnamed(const Runtime& runtime, const std::string& id, int signal, bool all) {
  return KillLoaded(TRY(Load(runtime, id)).file, signal, all);
}

}  // namespace

Result<oci::State> State(const Runtime& runtime, const std::string& id) {
  return Named("state of", id, StateOf(runtime, id));
}

Result<std::vector<oci::State>> List(const Runtime& runtime) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(runtime.root.c_str()), ::closedir);
  if (dir == nullptr) {
    if (errno == ENOENT) return std::vector<oci::State>();
    return KernelError("opendir(3) path=" + runtime.root);
  }
  std::vector<oci::State> states;
  while (const dirent* entry = ::readdir(dir.get())) {
    // Neither the seccomp cache, nor a container that goes away while we look.
    if (!ValidateId(entry->d_name).has_value()) continue;
    Result<oci::State> state = StateOf(runtime, entry->d_name);
    if (state.has_value()) states.push_back(std::move(*state));
  }
  std::ranges::sort(states, {}, &oci::State::id);
  return states;
}

Result<Created> CreatedAt(const Runtime& runtime, const std::string& id) {
  const Result<Loaded> loaded = Named("state of", id, Load(runtime, id));
  if (!loaded.has_value()) return loaded.error();
  return Created{loaded->file.created_unix_ns, loaded->file.owner_uid};
}

Status Kill(const Runtime& runtime, const std::string& id, int signal, bool all) {
  return Named("kill", id, KillUnnamed(runtime, id, signal, all));
}

}  // namespace coracle::runtime
