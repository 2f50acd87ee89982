#include "spec_builder.h"

#include <algorithm>
#include <csignal>
#include <cstring>

#include "coracle/sys/process.h"
#include "seccomp_default.h"
#include "security_context.h"
#include "spec_mounts.h"
#include "spec_resources.h"

namespace coracle::cri {
namespace {

constexpr const char* kOciVersion = "1.2.0";
constexpr const char* kDefaultPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
    "/bin";

Error Bad(const std::string& where, const std::string& text) {
  return {Code::kInvalidConfig, 0, where + ": " + text};
}

const v1::LinuxContainerSecurityContext& Security(const SpecInput& input) {
  return input.config->linux().security_context();
}

bool Has(const std::vector<std::string>& env, const std::string& key) {
  return std::ranges::any_of(
      env, [&](const std::string& entry) { return entry.starts_with(key + "="); });
}

void Set(std::vector<std::string>& env, const std::string& entry) {
  const std::string prefix = entry.substr(0, entry.find('=') + 1);
  const auto old = std::ranges::find_if(
      env, [&](const std::string& other) { return other.starts_with(prefix); });
  if (old == env.end()) {
    env.push_back(entry);
  } else {
    *old = entry;
  }
}

// CRI counts real-time signals from both ends.
std::string SignalName(int number) {
  const int above = number - SIGRTMIN;
  if (above < 0) {
    const char* abbreviation = ::sigabbrev_np(number);
    return abbreviation == nullptr ? std::to_string(number) : "SIG" + std::string(abbreviation);
  }
  if (above == 0) return "SIGRTMIN";
  if (number == SIGRTMAX) return "SIGRTMAX";
  if (above <= 15) return "SIGRTMIN+" + std::to_string(above);
  return "SIGRTMAX-" + std::to_string(SIGRTMAX - number);
}

Result<std::string> MakeCwd(const SpecInput& input) {
  const std::string& asked = input.config->working_dir();
  if (!asked.empty() && !asked.starts_with('/')) {
    return Bad("/config/working_dir", "\"" + asked + "\": expected an absolute path");
  }
  if (!asked.empty()) return asked;
  const std::string& image = input.image->working_dir;
  return image.starts_with('/') ? image : "/" + image;
}

Status SetProcess(const SpecInput& input, oci::Spec& spec) {
  const auto& context = Security(input);
  oci::Process process;
  process.terminal = input.config->tty();
  process.user.uid = input.identity.uid;
  process.user.gid = input.identity.gid;
  process.user.additional_gids = input.identity.groups;
  process.args = TRY(MakeArgs(*input.config, *input.image));
  process.env = TRY(MakeEnv(input));
  process.cwd = TRY(MakeCwd(input));
  process.capabilities = TRY(MakeCapabilities(context, *input.host));
  process.no_new_privileges = context.no_new_privs();
  process.apparmor_profile = TRY(ChooseAppArmor(context, *input.host));
  const std::int64_t score = input.config->linux().resources().oom_score_adj();
  if (score < -1000 || score > 1000) {
    return Bad("/config/linux/resources/oom_score_adj",
               std::to_string(score) + ": expected -1000 to 1000");
  }
  process.oom_score_adj =
      std::max(static_cast<std::int32_t>(score), input.host->least_oom_score_adj);
  if (context.has_selinux_options() && !context.selinux_options().type().empty()) {
    return Error{Code::kUnsupported, 0,
                 std::string(kSecurityContext) + "/selinux_options: SELinux is not supported"};
  }
  spec.process = std::move(process);
  return {};
}

Status SetNamespaces(const SpecInput& input, oci::Linux& linux_) {
  const v1::NamespaceOption pod = Namespaces(*input.pod);
  linux_.namespaces = {{.type = "mount", .path = ""}, {.type = "cgroup", .path = ""}};
  if (pod.network() != v1::NODE) {
    linux_.namespaces.push_back({.type = "network", .path = input.sandbox.NetworkNamespace()});
    linux_.namespaces.push_back({.type = "uts", .path = input.sandbox.UtsNamespace()});
  }
  if (pod.ipc() != v1::NODE) {
    linux_.namespaces.push_back({.type = "ipc", .path = input.sandbox.IpcNamespace()});
  }
  const auto& own = Security(input).namespace_options();
  switch (own.pid()) {
    case v1::NODE:
      return {};
    case v1::CONTAINER:
      linux_.namespaces.push_back({.type = "pid", .path = ""});
      return {};
    case v1::POD:
    case v1::TARGET:
      if (input.pid_namespace.empty()) {
        return Bad(std::string(kSecurityContext) + "/namespace_options/pid",
                   "POD: the pod has no shared PID namespace");
      }
      linux_.namespaces.push_back({.type = "pid", .path = input.pid_namespace});
      return {};
    default:
      return Bad(std::string(kSecurityContext) + "/namespace_options/pid",
                 "expected POD, CONTAINER, NODE or TARGET");
  }
}

Status SetDevices(const SpecInput& input, oci::Linux& linux_) {
  auto& rules = linux_.resources.devices;
  rules.push_back({.allow = false, .type = "a", .major = {}, .minor = {}, .access = "rwm"});
  if (Security(input).privileged()) {
    rules.push_back({.allow = true, .type = "a", .major = {}, .minor = {}, .access = "rwm"});
    linux_.devices = input.devices;
  }
  for (int i = 0; i < input.config->devices_size(); ++i) {
    const v1::Device& asked = input.config->devices(i);
    const std::string where = "/config/devices/" + std::to_string(i);
    if (!asked.container_path().starts_with('/')) {
      return Bad(where + "/container_path", "expected an absolute path");
    }
    if (asked.permissions().find_first_not_of("rwm") != std::string::npos) {
      return Bad(where + "/permissions", "\"" + asked.permissions() + "\": expected some of rwm");
    }
    oci::Device device = input.requested_devices[static_cast<std::size_t>(i)];
    device.path = asked.container_path();
    rules.push_back({.allow = true,
                     .type = device.type,
                     .major = device.major,
                     .minor = device.minor,
                     .access = asked.permissions().empty() ? "rwm" : asked.permissions()});
    std::erase_if(linux_.devices,
                  [&](const oci::Device& other) { return other.path == device.path; });
    linux_.devices.push_back(std::move(device));
  }
  return {};
}

Status SetSeccomp(const SpecInput& input, oci::Spec& spec) {
  const SeccompChoice choice = TRY(ChooseSeccomp(Security(input)));
  switch (choice.kind) {
    case SeccompChoice::Kind::kUnconfined:
      return {};
    case SeccompChoice::Kind::kRuntimeDefault:
      spec.linux_.seccomp =
          DefaultSeccomp(spec.process->capabilities->bounding, input.programs_32_bit);
      return {};
    case SeccompChoice::Kind::kLocalhost:
      if (!input.localhost_seccomp) return Bad(choice.path, "the profile was not read");
      spec.linux_.seccomp = input.localhost_seccomp;
      return {};
  }
  return {};
}

}  // namespace

v1::NamespaceOption Namespaces(const v1::PodSandboxConfig& pod) {
  return pod.linux().security_context().namespace_options();
}

Result<std::vector<std::string>> MakeArgs(const v1::ContainerConfig& config,
                                          const oci::ImageConfig& image) {
  // A new ENTRYPOINT without a new CMD drops the image's CMD: it was meant for the old one.
  std::vector<std::string> args(config.command().begin(), config.command().end());
  if (config.command().empty()) args = image.entrypoint;
  if (!config.args().empty()) {
    args.insert(args.end(), config.args().begin(), config.args().end());
  } else if (config.command().empty()) {
    args.insert(args.end(), image.cmd.begin(), image.cmd.end());
  }
  if (args.empty() || args.front().empty()) {
    return Bad("/config/command", "nothing to run: neither the request nor the image says what");
  }
  return args;
}

Result<std::vector<std::string>> MakeEnv(const SpecInput& input) {
  std::vector<std::string> env;
  for (const std::string& entry : input.image->env) {
    // An entry without "=" would inherit from whoever starts it: no image gets our environment.
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos && equals > 0) Set(env, entry);
  }
  if (!Has(env, "PATH")) env.emplace_back(kDefaultPath);
  if (!input.hostname.empty()) Set(env, "HOSTNAME=" + input.hostname);
  if (input.config->tty() && !Has(env, "TERM")) env.emplace_back("TERM=xterm");
  for (int i = 0; i < input.config->envs_size(); ++i) {
    const v1::KeyValue& entry = input.config->envs(i);
    const std::string where = "/config/envs/" + std::to_string(i);
    if (entry.key().empty() ||
        entry.key().find_first_of(std::string_view("=\0", 2)) != std::string::npos) {
      return Bad(where + "/key", "expected a name without \"=\" and NUL");
    }
    if (entry.value().find('\0') != std::string::npos) {
      return Bad(where + "/value", "expected no NUL byte");
    }
    Set(env, entry.key() + "=" + entry.value());
  }
  if (!Has(env, "HOME")) {
    const std::string& home = input.identity.home;
    env.push_back("HOME=" + (home.starts_with('/') ? home : std::string("/")));
  }
  return env;
}

Result<std::string> StopSignal(const v1::ContainerConfig& config, const oci::ImageConfig& image) {
  if (config.stop_signal() == v1::RUNTIME_DEFAULT) {
    if (image.stop_signal.empty()) return std::string("SIGTERM");
    const Result<int> number = sys::SignalNumber(image.stop_signal);
    if (!number.has_value()) return Within("image: config.StopSignal", number.error());
    return SignalName(*number);
  }
  if (!v1::Signal_IsValid(config.stop_signal())) {
    return Bad("/config/stop_signal", "no such signal");
  }
  std::string name = v1::Signal_Name(config.stop_signal());
  for (const auto& [word, sign] : {std::pair("PLUS", "+"), std::pair("MINUS", "-")}) {
    const std::size_t at = name.find(word);
    if (at != std::string::npos) name.replace(at, std::strlen(word), sign);
  }
  return SignalName(TRY(sys::SignalNumber(name)));
}

v1::Signal ToCriSignal(const std::string& name) {
  std::string word = name;
  for (const auto& [text, sign] : {std::pair("PLUS", '+'), std::pair("MINUS", '-')}) {
    const std::size_t at = word.find(sign);
    if (at != std::string::npos) word.replace(at, 1, text);
  }
  v1::Signal signal = v1::RUNTIME_DEFAULT;
  return v1::Signal_Parse(word, &signal) ? signal : v1::RUNTIME_DEFAULT;
}

Result<oci::Spec> BuildSpec(const SpecInput& input) {
  oci::Spec spec;
  spec.oci_version = kOciVersion;
  const auto& context = Security(input);
  spec.root = oci::Root{.path = "rootfs", .readonly = context.readonly_rootfs()};
  TRY(SetProcess(input, spec));
  spec.mounts = TRY(MakeMounts(input));
  TRY(SetNamespaces(input, spec.linux_));
  spec.linux_.resources =
      TRY(MakeResources(input.config->linux().resources(), "/config/linux/resources"));
  if (input.pids_limit > 0) spec.linux_.resources.pids_limit = input.pids_limit;
  TRY(SetDevices(input, spec.linux_));
  TRY(SetSeccomp(input, spec));
  spec.linux_.masked_paths = MaskedPaths(context);
  spec.linux_.readonly_paths = ReadonlyPaths(context);
  spec.linux_.cgroups_path = input.cgroups_path;
  for (const RequestMount& mount : input.mounts) {
    // A mount that is to see the host's later mounts needs a root that is at least a slave.
    if (mount.mount.propagation() == v1::PROPAGATION_BIDIRECTIONAL) {
      spec.linux_.rootfs_propagation = "rshared";
    } else if (mount.mount.propagation() == v1::PROPAGATION_HOST_TO_CONTAINER &&
               spec.linux_.rootfs_propagation.empty()) {
      spec.linux_.rootfs_propagation = "rslave";
    }
  }
  // Annotations of ours only: a tenant's annotations mean nothing to the runtime.
  spec.annotations = {{"io.kubernetes.cri.container-name", input.config->metadata().name()},
                      {"io.kubernetes.cri.container-type", "container"},
                      {"io.kubernetes.cri.sandbox-id", input.sandbox_id},
                      {"io.kubernetes.cri.sandbox-name", input.pod->metadata().name()},
                      {"io.kubernetes.cri.sandbox-namespace", input.pod->metadata().namespace_()},
                      {"io.kubernetes.cri.sandbox-uid", input.pod->metadata().uid()}};
  return spec;
}

oci::Spec BuildPauseSpec(const PauseInput& input) {
  oci::Spec spec;
  spec.oci_version = kOciVersion;
  spec.root = oci::Root{.path = "rootfs", .readonly = true};
  oci::Process process;
  process.args = {"/coracle-pause"};
  process.cwd = "/";
  process.capabilities = oci::Capabilities{};
  process.no_new_privileges = true;
  spec.process = std::move(process);
  const auto bind = [&](const std::string& destination, const std::string& source) {
    oci::Mount mount;
    mount.destination = destination;
    mount.type = "bind";
    mount.source = source;
    mount.options = {"bind", "ro", "nosuid", "nodev", "rprivate"};
    spec.mounts.push_back(std::move(mount));
  };
  oci::Mount proc;
  proc.destination = "/proc";
  proc.type = proc.source = "proc";
  proc.options = {"nosuid", "noexec", "nodev", "ro"};
  spec.mounts.push_back(std::move(proc));
  bind("/coracle-pause", input.shim_binary);
  for (const std::string& dir : input.library_dirs) bind(dir, dir);
  const v1::NamespaceOption modes = Namespaces(*input.pod);
  spec.linux_.namespaces = {{.type = "mount", .path = ""}, {.type = "pid", .path = ""}};
  if (modes.network() != v1::NODE) {
    spec.linux_.namespaces.push_back({.type = "network", .path = input.sandbox.NetworkNamespace()});
    spec.linux_.namespaces.push_back({.type = "uts", .path = input.sandbox.UtsNamespace()});
  }
  if (modes.ipc() != v1::NODE) {
    spec.linux_.namespaces.push_back({.type = "ipc", .path = input.sandbox.IpcNamespace()});
  }
  spec.linux_.cgroups_path = input.cgroups_path;
  spec.linux_.resources.devices = {
      {.allow = false, .type = "a", .major = {}, .minor = {}, .access = "rwm"}};
  spec.linux_.seccomp = DefaultSeccomp({}, false);
  return spec;
}

}  // namespace coracle::cri
