// What a client may say about the runtime: containerd's Any of runtimeoptions.v1.Options (a TOML
// table, or JSON from our own daemon) or of runc's Options.
#pragma once

#include <string>

#include "coracle/base/result.h"
#include "coracle/runtime/container.h"

namespace coracle::wire {
class Any;
}

namespace coracle::shim {

struct ShimOptions {
  std::string root;  // of the runtime's states
  bool ignore_missing_controllers = false;
  bool systemd_cgroup = false;
  bool no_pivot_root = false;
  bool no_new_keyring = false;
};

// "/run/containerd/coracle/<namespace>", as runc's shim has "/run/containerd/runc/<namespace>".
ShimOptions DefaultOptions(const std::string& container_namespace);

// Takes over what `any` says. Keys: root, ignore_missing_controllers, SystemdCgroup (TOML; a file's
// path is fine too), ignoreMissingControllers, systemdCgroup (JSON). Others are other runtimes' and
// ignored on purpose, also whole messages of an unknown type.
Status ReadOptions(const wire::Any& any, const std::string& container_namespace,
                   ShimOptions& options);

runtime::Runtime MakeRuntime(const ShimOptions& options);

// <bundle>/options.json: `delete` runs in another process, which is told nothing.
Status SaveOptions(const std::string& bundle, const ShimOptions& options);
Result<ShimOptions> LoadOptions(const std::string& bundle, const std::string& container_namespace);

}  // namespace coracle::shim
