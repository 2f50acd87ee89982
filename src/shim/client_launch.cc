#include "client_launch.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>

#include "bootstrap.pb.h"
#include "coracle/base/file.h"
#include "coracle/sys/process.h"
#include "coracle/sys/socket.h"
#include "runtime_options.pb.h"
#include "task/v2/task.pb.h"

namespace coracle::shim {
namespace {

using namespace std::chrono_literals;
namespace bootstrap = containerd::runtime::bootstrap;

constexpr std::string_view kUnixScheme = "unix://";
constexpr auto kDeleteTimeout = 5s;  // containerd's

std::string Trim(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// All five flags: Kata's shim demands them even where it does not use them.
sys::Command ShimCommand(const LaunchOptions& options, const std::string& verb) {
  sys::Command command;
  command.path = options.shim_binary;
  command.directory = options.bundle;
  command.args = {options.shim_binary,
                  "-namespace",
                  options.container_namespace,
                  "-address",
                  options.events_address,
                  "-publish-binary",
                  options.shim_binary,
                  "-id",
                  options.id};
  if (verb == "delete") command.args.insert(command.args.end(), {"-bundle", options.bundle});
  command.args.push_back(verb);
  const char* path = getenv("PATH");
  command.env = {std::string("PATH=") + (path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin")};
  if (!options.events_address.empty())
    command.env.push_back("TTRPC_ADDRESS=" + options.events_address);
  return command;
}

bootstrap::BootstrapParams Params(const LaunchOptions& options) {
  bootstrap::BootstrapParams params;
  params.set_instance_id(options.id);
  params.set_namespace_(options.container_namespace);
  params.set_containerd_ttrpc_address(options.events_address);
  params.set_containerd_grpc_address(options.events_address);
  params.set_containerd_binary(options.shim_binary);
  if (!options.runtime_options) return params;
  // Our own shim: its socket goes into the bundle, and away with it.
  params.set_socket_dir(options.bundle);
  runtimeoptions::v1::Options table;
  table.set_config_body(PrintJson(*options.runtime_options));
  auto* any = params.add_extensions()->mutable_value();
  any->set_type_url("runtimeoptions.v1.Options");
  any->set_value(table.SerializeAsString());
  return params;
}

Error Failed(const std::string& what, const sys::CommandResult& result) {
  if (result.timed_out) return {Code::kKernel, ETIMEDOUT, what + ": no answer in time"};
  return {Code::kKernel, 0,
          what + ": exit status " + std::to_string(result.exit_code) + ": " +
              Trim(result.output + result.error_output)};
}

}  // namespace

Result<std::string> ParseStartAnswer(const std::string& answer) {
  std::string address;
  bootstrap::BootstrapResult result;
  const std::string text = Trim(answer);
  if (result.ParseFromString(answer) && result.version() >= 2 && !result.address().empty()) {
    if (result.protocol() == "grpc")
      return Error{Code::kUnsupported, 0, "the shim speaks grpc; ttrpc is supported"};
    address = result.address();
  } else if (text.starts_with('{')) {
    const Json json = TRY(ParseJson(text, "the shim's answer"));
    const auto found = json.find("address");
    if (found != json.end() && found->is_string()) address = found->get<std::string>();
  } else {
    address = text;
  }
  if (!address.starts_with(kUnixScheme)) {
    return Error{
        Code::kProtocol, 0,
        "the shim's answer to start is not an address: \"" + text + "\"; allowed is unix:///path"};
  }
  return address;
}

Result<std::string> RunStart(const LaunchOptions& options) {
  const std::string what = "start of " + options.shim_binary;
  sys::Command command = ShimCommand(options, "start");
  command.timeout = options.timeout;
  command.input = Params(options).SerializeAsString();
  auto result = TRY(sys::RunCommand(command));
  // runc's shim before 1.7 takes what it reads for its options, and knows no such type.
  if (result.exit_code != 0 &&
      (result.output + result.error_output).find("type with url") != std::string::npos) {
    command.input.clear();
    result = TRY(sys::RunCommand(command));
  }
  if (result.exit_code != 0 || result.timed_out) return Failed(what, result);
  return TRY(ParseStartAnswer(result.output));
}

Result<UniqueFd> ConnectToShim(const std::string& address) {
  if (!address.starts_with(kUnixScheme))
    return Error{Code::kUnsupported, 0, address + ": only unix:///path is supported"};
  return sys::ConnectUnix(address.substr(kUnixScheme.size()), SOCK_STREAM);
}

Result<ExitStatus> DeleteAfterShim(const LaunchOptions& options) {
  sys::Command command = ShimCommand(options, "delete");
  command.timeout = kDeleteTimeout;
  const auto result = TRY(sys::RunCommand(command));
  if (result.exit_code != 0 || result.timed_out)
    return Failed("delete of " + options.shim_binary, result);
  containerd::task::v2::DeleteResponse response;
  if (!response.ParseFromString(result.output))
    return Error{Code::kProtocol, 0, "delete of " + options.shim_binary + ": unreadable answer"};
  ExitStatus exit;
  exit.code = response.exit_status();
  exit.exited_at_unix_ns =
      static_cast<std::uint64_t>(response.exited_at().seconds()) * 1'000'000'000U +
      static_cast<std::uint64_t>(response.exited_at().nanos());
  if (const auto record = ReadExitRecord(options.bundle)) exit.oom_killed = record->oom_killed;
  return exit;
}

}  // namespace coracle::shim
