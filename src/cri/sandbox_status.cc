// PodSandboxStatus, ListPodSandbox, UpdatePodSandboxResources: from memory.
#include <google/protobuf/util/json_util.h>

#include "coracle/base/json.h"
#include "describe.h"
#include "rpcs.h"
#include "sandbox_run.h"
#include "text.h"

namespace coracle::cri {
namespace {

bool Passes(const v1::PodSandboxFilter& filter, const SandboxRecord& record) {
  if (!filter.id().empty() && !record.id.starts_with(filter.id())) return false;
  const auto state = record.Ready() ? v1::SANDBOX_READY : v1::SANDBOX_NOTREADY;
  if (filter.has_state() && filter.state().state() != state) return false;
  return Matches(filter.label_selector(), record.config->labels());
}

v1::PodSandbox Brief(const SandboxRecord& record) {
  v1::PodSandbox item;
  item.set_id(record.id);
  *item.mutable_metadata() = record.config->metadata();
  item.set_state(record.Ready() ? v1::SANDBOX_READY : v1::SANDBOX_NOTREADY);
  item.set_created_at(record.created_at_ns);
  *item.mutable_labels() = record.config->labels();
  *item.mutable_annotations() = record.config->annotations();
  item.set_runtime_handler(record.runtime_handler);
  return item;
}

std::string VerboseInfo(const Daemon& daemon, const SandboxRecord& record) {
  std::string config;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  (void)google::protobuf::util::MessageToJsonString(*record.config, &config, options);
  const Json cni = Json::parse(record.cni_result, nullptr, /*allow_exceptions=*/false);
  const SandboxPaths paths = daemon.paths.Sandbox(record.id);
  Json info = {{"pid", record.pause_pid},
               {"runtimeHandler", record.runtime_handler},
               {"netNamespace", paths.NetworkNamespace()},
               {"cniResult", cni.is_discarded() ? Json() : cni},
               {"config", Json::parse(config, nullptr, /*allow_exceptions=*/false)}};
  return PrintJson(info);
}

}  // namespace

namespace rpc {

Result<v1::PodSandboxStatusResponse> PodSandboxStatus(Daemon& daemon,
                                                      const v1::PodSandboxStatusRequest& request,
                                                      const Call&) {
  const auto sandbox = TRY(FindSandbox(daemon, request.pod_sandbox_id()));
  v1::PodSandboxStatusResponse response;
  response.set_timestamp(NowUnixNs());
  const SandboxRecord record = sandbox->Read();
  *response.mutable_status() = DescribeSandbox(record);
  for (const auto& container : ContainersOf(daemon, sandbox->id)) {
    *response.add_containers_statuses() = DescribeContainer(container->Read());
  }
  if (request.verbose()) (*response.mutable_info())["info"] = VerboseInfo(daemon, record);
  return response;
}

Result<v1::ListPodSandboxResponse> ListPodSandbox(Daemon& daemon,
                                                  const v1::ListPodSandboxRequest& request,
                                                  const Call&) {
  v1::ListPodSandboxResponse response;
  for (const auto& sandbox : daemon.sandboxes.List()) {
    const SandboxRecord record = sandbox->Read();
    if (Passes(request.filter(), record)) *response.add_items() = Brief(record);
  }
  return response;
}

// The caller changes the pod's cgroup itself and only tells of it.
Result<v1::UpdatePodSandboxResourcesResponse> UpdatePodSandboxResources(
    Daemon& daemon, const v1::UpdatePodSandboxResourcesRequest& request, const Call&) {
  const auto sandbox = TRY(FindSandbox(daemon, request.pod_sandbox_id()));
  TRY(sandbox->Change(*daemon.database, [&](SandboxRecord& record) {
    auto config = std::make_shared<v1::PodSandboxConfig>(*record.config);
    if (request.has_overhead()) *config->mutable_linux()->mutable_overhead() = request.overhead();
    if (request.has_resources()) {
      *config->mutable_linux()->mutable_resources() = request.resources();
    }
    record.config = std::move(config);
  }));
  return v1::UpdatePodSandboxResourcesResponse();
}

}  // namespace rpc
}  // namespace coracle::cri
