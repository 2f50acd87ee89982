// Version, Status, RuntimeConfig, UpdateRuntimeConfig.
#include "coracle/base/json.h"
#include "rpcs.h"
#include "text.h"

namespace coracle::cri {
namespace {

void AddCondition(v1::StatusResponse& response, const std::string& type, const Status& status) {
  v1::RuntimeCondition* condition = response.mutable_status()->add_conditions();
  condition->set_type(type);
  condition->set_status(status.has_value());
  if (status.has_value()) return;
  condition->set_reason(type == "NetworkReady" ? "NetworkPluginNotReady" : "RuntimeNotReady");
  condition->set_message(ToUtf8(status.error().message));
}

void AddInfo(Daemon& daemon, v1::StatusResponse& response) {
  const Json config = {{"stateDir", daemon.paths.state},
                       {"rootDir", daemon.paths.root},
                       {"cniConfDir", daemon.config.cni_conf_dir},
                       {"cniBinDirs", daemon.config.cni_bin_dirs},
                       {"registryConfigDir", daemon.config.registry_config_dir}};
  (*response.mutable_info())["config"] = PrintJson(config);
  const Result<Json> cni = daemon.cni->Configuration();
  if (cni.has_value()) (*response.mutable_info())["cniconfig"] = PrintJson(*cni);
  (*response.mutable_info())["cgroupMount"] = PrintJson(Json(daemon.host.cgroup_mount));
}

}  // namespace

namespace rpc {

Result<v1::VersionResponse> Version(Daemon&, const v1::VersionRequest&, const Call&) {
  v1::VersionResponse response;
  response.set_version("0.1.0");  // of the kubelet's API, not ours
  response.set_runtime_name("coracle");
  response.set_runtime_version(CORACLE_VERSION);
  response.set_runtime_api_version("v1");
  return response;
}

Result<v1::StatusResponse> Status(Daemon& daemon, const v1::StatusRequest& request, const Call&) {
  v1::StatusResponse response;
  AddCondition(response, "RuntimeReady", {});
  AddCondition(response, "NetworkReady", daemon.cni->Ready());
  for (const char* name : {"", "coracle"}) {
    v1::RuntimeHandler* handler = response.add_runtime_handlers();
    handler->set_name(name);
    handler->mutable_features()->set_recursive_read_only_mounts(true);
    handler->mutable_features()->set_user_namespaces(false);
  }
  response.mutable_features()->set_supplemental_groups_policy(true);
  if (request.verbose()) AddInfo(daemon, response);
  return response;
}

Result<v1::RuntimeConfigResponse> RuntimeConfig(Daemon&, const v1::RuntimeConfigRequest&,
                                                const Call&) {
  v1::RuntimeConfigResponse response;
  response.mutable_linux()->set_cgroup_driver(v1::CGROUPFS);
  return response;
}

Result<v1::UpdateRuntimeConfigResponse> UpdateRuntimeConfig(
    Daemon& daemon, const v1::UpdateRuntimeConfigRequest& request, const Call&) {
  const std::string& cidr = request.runtime_config().network_config().pod_cidr();
  if (cidr.find_first_not_of("0123456789abcdefABCDEF.:/,") != std::string::npos) {
    return Error{Code::kInvalidConfig, 0,
                 "/runtime_config/network_config/pod_cidr: expected CIDRs with commas between"};
  }
  const std::lock_guard lock(daemon.pod_cidr_mutex);
  if (!cidr.empty()) daemon.pod_cidr = cidr;
  return v1::UpdateRuntimeConfigResponse();
}

}  // namespace rpc
}  // namespace coracle::cri
