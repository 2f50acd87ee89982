// ContainerStatus and ListContainers: from memory.
#include <google/protobuf/util/json_util.h>

#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "describe.h"
#include "rpcs.h"

namespace coracle::cri {
namespace {

bool Passes(const v1::ContainerFilter& filter, const ContainerRecord& record) {
  if (!filter.id().empty() && !record.id.starts_with(filter.id())) return false;
  if (!filter.pod_sandbox_id().empty() && !record.sandbox_id.starts_with(filter.pod_sandbox_id())) {
    return false;
  }
  if (filter.has_state() && filter.state().state() != record.State()) return false;
  return Matches(filter.label_selector(), record.config->labels());
}

v1::Container Brief(const ContainerRecord& record) {
  v1::Container item;
  item.set_id(record.id);
  item.set_pod_sandbox_id(record.sandbox_id);
  *item.mutable_metadata() = record.config->metadata();
  *item.mutable_image() = record.config->image();
  item.set_image_ref(record.image_id);
  item.set_image_id(record.image_id);
  item.set_state(record.State());
  item.set_created_at(record.created_at_ns);
  *item.mutable_labels() = record.config->labels();
  *item.mutable_annotations() = record.config->annotations();
  return item;
}

std::string VerboseInfo(const Daemon& daemon, const ContainerRecord& record) {
  std::string config;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  (void)google::protobuf::util::MessageToJsonString(*record.config, &config, options);
  const ContainerPaths paths = daemon.paths.Container(record.id);
  // The bundle may be gone: the host was restarted.
  const std::string spec = ReadFile(paths.Bundle() + "/config.json").value_or("null");
  Json info = {{"sandboxID", record.sandbox_id},
               {"pid", record.pid},
               {"cgroupsPath", record.cgroups_path},
               {"bundle", paths.Bundle()},
               {"config", Json::parse(config, nullptr, /*allow_exceptions=*/false)},
               {"runtimeSpec", Json::parse(spec, nullptr, /*allow_exceptions=*/false)}};
  return PrintJson(info);
}

}  // namespace

namespace rpc {

Result<v1::ContainerStatusResponse> ContainerStatus(Daemon& daemon,
                                                    const v1::ContainerStatusRequest& request,
                                                    const Call&) {
  const auto container = TRY(FindContainer(daemon, request.container_id()));
  const ContainerRecord record = container->Read();
  v1::ContainerStatusResponse response;
  *response.mutable_status() = DescribeContainer(record);
  if (request.verbose()) (*response.mutable_info())["info"] = VerboseInfo(daemon, record);
  return response;
}

Result<v1::ListContainersResponse> ListContainers(Daemon& daemon,
                                                  const v1::ListContainersRequest& request,
                                                  const Call&) {
  v1::ListContainersResponse response;
  for (const auto& container : daemon.containers.List()) {
    const ContainerRecord record = container->Read();
    if (Passes(request.filter(), record)) *response.add_containers() = Brief(record);
  }
  return response;
}

}  // namespace rpc
}  // namespace coracle::cri
