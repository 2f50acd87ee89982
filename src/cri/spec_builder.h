// What CRI, the image and the host say about a container -> its config.json. Pure: everything that
// had to be looked up is in the input.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api.h"
#include "coracle/base/result.h"
#include "coracle/oci/image.h"
#include "coracle/oci/spec.h"
#include "host_facts.h"
#include "paths.h"
#include "users.h"

namespace coracle::cri {

// A mount of the request, after its host path was looked at.
struct RequestMount {
  std::string source;  // exists
  v1::Mount mount;
};

struct SpecInput {
  std::string id;
  std::string sandbox_id;
  const v1::ContainerConfig* config = nullptr;
  const v1::PodSandboxConfig* pod = nullptr;
  const oci::ImageConfig* image = nullptr;
  const HostFacts* host = nullptr;
  SandboxPaths sandbox;
  std::string hostname;  // for $HOSTNAME
  Identity identity;
  std::string pid_namespace;  // path, for the modes POD and TARGET
  std::string cgroups_path;
  std::vector<RequestMount> mounts;
  std::vector<oci::Device> devices;               // of a privileged container: all of the host
  std::vector<oci::Device> requested_devices;     // in the order of config.devices
  std::optional<oci::Seccomp> localhost_seccomp;  // a Localhost profile, parsed
  std::int64_t pids_limit = 0;                    // 0: none
  bool programs_32_bit = true;                    // under RuntimeDefault
};

Result<oci::Spec> BuildSpec(const SpecInput& input);

// command and args of the request over ENTRYPOINT and CMD of the image. Nothing to run is an error.
Result<std::vector<std::string>> MakeArgs(const v1::ContainerConfig& config,
                                          const oci::ImageConfig& image);
// The image's, then the request's; PATH, HOSTNAME, HOME and TERM where nobody set them.
Result<std::vector<std::string>> MakeEnv(const SpecInput& input);

// "SIGTERM", "SIGRTMIN+3": the request's, the image's, else SIGTERM.
Result<std::string> StopSignal(const v1::ContainerConfig& config, const oci::ImageConfig& image);
v1::Signal ToCriSignal(const std::string& name);

// The parent of a shared PID namespace: our own program as the only file, read-only, no rights.
struct PauseInput {
  std::string sandbox_id;
  const v1::PodSandboxConfig* pod = nullptr;
  SandboxPaths sandbox;
  std::string shim_binary;
  std::vector<std::string> library_dirs;  // only where that program is linked dynamically
  std::string cgroups_path;
};
oci::Spec BuildPauseSpec(const PauseInput& input);

// How a pod or container gets a namespace ("network", "ipc", "pid").
v1::NamespaceOption Namespaces(const v1::PodSandboxConfig& pod);

}  // namespace coracle::cri
