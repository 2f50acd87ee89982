#include "loaded.h"

#include "coracle/base/id.h"
#include "coracle/sys/process.h"

namespace coracle::runtime {

Error NotRunning() { return {Code::kWrongState, ESRCH, "container not running"}; }

Error NoProcess() {
  return {Code::kInvalidConfig, EINVAL, "/process: required at start, but missing in config.json"};
}

Error NoCgroup(const std::string& needs) {
  return {Code::kUnsupported, 0,
          "the container has no cgroup of its own, which " + needs + " would need"};
}

Result<Loaded> Load(const Runtime& runtime, const std::string& id) {
  TRY(ValidateId(id));
  Loaded loaded{PathsOf(runtime.root, id), {}};
  loaded.file = TRY(ReadStateFile(loaded.paths));
  return loaded;
}

Result<UniqueFd> OpenContainerProcess(const StateFile& file) {
  if (file.pid <= 0) return NotRunning();
  Result<UniqueFd> pidfd = sys::pidfd_open(file.pid);
  if (!pidfd.has_value())
    return pidfd.error().code == Code::kNotFound ? NotRunning() : pidfd.error();
  if (!IsAlive(file)) return NotRunning();
  return pidfd;
}

}  // namespace coracle::runtime
