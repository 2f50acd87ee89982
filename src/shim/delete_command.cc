// coracle-shim delete: takes away what a shim has left, and tells how its container ended. It runs
// for every container, also after a clean Delete and beside a live shim: everything may be gone.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <cstdio>
#include <ctime>

#include "command_line.h"
#include "coracle/base/file.h"
#include "coracle/runtime/container.h"
#include "exit_record.h"
#include "options.h"
#include "rootfs.h"
#include "task/v2/task.pb.h"
#include "task_messages.h"

namespace coracle::shim {
namespace {

Result<std::string> Bundle(const CommandLine& command_line) {
  if (!command_line.bundle.empty()) return command_line.bundle;
  std::array<char, PATH_MAX> directory;
  if (getcwd(directory.data(), directory.size()) == nullptr) return KernelError("getcwd(2)");
  return std::string(directory.data());
}

// Killed by us just now, unless the shim has written how it ended.
ExitRecord EndOf(const std::string& bundle) {
  if (const auto record = ReadWholeExitRecord(bundle)) return *record;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  ExitRecord record;
  record.exit.code = 128 + SIGKILL;
  record.exit.exited_at_unix_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
                                  static_cast<std::uint64_t>(now.tv_nsec);
  return record;
}

// A shim that was killed could not remove its socket.
void RemoveSocket(const std::string& bundle) {
  constexpr std::string_view kScheme = "unix://";
  const auto address = ReadFile(bundle + "/address");
  if (address && address->starts_with(kScheme)) unlink(address->substr(kScheme.size()).c_str());
}

Result<std::string> Delete(const CommandLine& command_line) {
  const std::string bundle = TRY(Bundle(command_line));
  const ShimOptions options = TRY(LoadOptions(bundle, command_line.container_namespace));
  TRY(runtime::Delete(MakeRuntime(options), command_line.id, true));
  const ExitRecord record = EndOf(bundle);
  TRY(UnmountRootfs(bundle));
  RemoveSocket(bundle);
  containerd::task::v2::DeleteResponse response;
  response.set_pid(static_cast<std::uint32_t>(record.pid));
  response.set_exit_status(record.exit.code);
  SetTimestamp(record.exit.exited_at_unix_ns, *response.mutable_exited_at());
  return response.SerializeAsString();
}

}  // namespace

int RunDelete(const CommandLine& command_line) {
  const auto response = Delete(command_line);
  if (!response) {
    fprintf(stderr, "coracle-shim: delete %s: %s\n", command_line.id.c_str(),
            response.error().message.c_str());
    return 1;
  }
  return WriteAll(STDOUT_FILENO, *response, "standard output") ? 0 : 1;
}

}  // namespace coracle::shim
