#include "describe.h"

#include "spec_builder.h"
#include "text.h"

namespace coracle::cri {
namespace {

void FillMounts(const v1::ContainerConfig& config, v1::ContainerStatus& status) {
  for (const v1::Mount& mount : config.mounts()) *status.add_mounts() = mount;
}

v1::ContainerEventResponse MakeEvent(Daemon& daemon, v1::ContainerEventType type,
                                     const std::string& sandbox_id) {
  v1::ContainerEventResponse event;
  event.set_container_event_type(type);
  event.set_created_at(NowUnixNs());
  const std::shared_ptr<Sandbox> sandbox = daemon.sandboxes.Find(sandbox_id);
  if (sandbox != nullptr) *event.mutable_pod_sandbox_status() = DescribeSandbox(sandbox->Read());
  for (const auto& container : ContainersOf(daemon, sandbox_id)) {
    *event.add_containers_statuses() = DescribeContainer(container->Read());
  }
  return event;
}

}  // namespace

v1::PodSandboxStatus DescribeSandbox(const SandboxRecord& record) {
  const v1::PodSandboxConfig& config = *record.config;
  v1::PodSandboxStatus status;
  status.set_id(record.id);
  *status.mutable_metadata() = config.metadata();
  status.set_state(record.Ready() ? v1::SANDBOX_READY : v1::SANDBOX_NOTREADY);
  status.set_created_at(record.created_at_ns);
  *status.mutable_labels() = config.labels();
  *status.mutable_annotations() = config.annotations();
  status.set_runtime_handler(record.runtime_handler);
  auto* network = status.mutable_network();
  for (const std::string& ip : record.ips) {
    if (network->ip().empty()) {
      network->set_ip(ip);
    } else {
      network->add_additional_ips()->set_ip(ip);
    }
  }
  *status.mutable_linux()->mutable_namespaces()->mutable_options() =
      config.linux().security_context().namespace_options();
  return status;
}

v1::ContainerStatus DescribeContainer(const ContainerRecord& record) {
  const v1::ContainerConfig& config = *record.config;
  v1::ContainerStatus status;
  status.set_id(record.id);
  *status.mutable_metadata() = config.metadata();
  status.set_state(record.State());
  status.set_created_at(record.created_at_ns);
  status.set_started_at(record.started_at_ns);
  status.set_finished_at(record.finished_at_ns);
  status.set_exit_code(record.exit_code);
  *status.mutable_image() = config.image();
  if (status.image().user_specified_image().empty()) {
    status.mutable_image()->set_user_specified_image(config.image().image());
  }
  status.set_image_ref(record.image_id);
  status.set_image_id(record.image_id);
  status.set_reason(record.reason);
  status.set_message(record.message);
  *status.mutable_labels() = config.labels();
  *status.mutable_annotations() = config.annotations();
  FillMounts(config, status);
  status.set_log_path(record.log_path);
  *status.mutable_resources()->mutable_linux() = config.linux().resources();
  auto* user = status.mutable_user()->mutable_linux();
  user->set_uid(record.uid);
  user->set_gid(record.gid);
  for (const std::uint32_t gid : record.groups) user->add_supplemental_groups(gid);
  status.set_stop_signal(ToCriSignal(record.stop_signal));
  return status;
}

Result<std::shared_ptr<Sandbox>> FindSandbox(Daemon& daemon, const std::string& id) {
  std::shared_ptr<Sandbox> sandbox = daemon.sandboxes.Find(id);
  if (sandbox != nullptr) return sandbox;
  return Error{Code::kNotFound, 0, "pod sandbox \"" + ToUtf8(id) + "\": not found"};
}

Result<std::shared_ptr<Container>> FindContainer(Daemon& daemon, const std::string& id) {
  std::shared_ptr<Container> container = daemon.containers.Find(id);
  if (container != nullptr) return container;
  return Error{Code::kNotFound, 0, "container \"" + ToUtf8(id) + "\": not found"};
}

std::vector<std::shared_ptr<Container>> ContainersOf(Daemon& daemon,
                                                     const std::string& sandbox_id) {
  std::vector<std::shared_ptr<Container>> all = daemon.containers.List();
  std::erase_if(all, [&](const std::shared_ptr<Container>& container) {
    return container->Read().sandbox_id != sandbox_id;
  });
  return all;
}

bool Matches(const google::protobuf::Map<std::string, std::string>& selector,
             const google::protobuf::Map<std::string, std::string>& labels) {
  for (const auto& [key, value] : selector) {
    const auto label = labels.find(key);
    if (label == labels.end() || label->second != value) return false;
  }
  return true;
}

void SendEvent(Daemon& daemon, v1::ContainerEventType type, const SandboxRecord& sandbox) {
  if (!daemon.events.HasReaders()) return;
  v1::ContainerEventResponse event = MakeEvent(daemon, type, sandbox.id);
  event.set_container_id(sandbox.id);
  daemon.events.Send(event);
}

void SendEvent(Daemon& daemon, v1::ContainerEventType type, const ContainerRecord& container) {
  if (!daemon.events.HasReaders()) return;
  v1::ContainerEventResponse event = MakeEvent(daemon, type, container.sandbox_id);
  event.set_container_id(container.id);
  daemon.events.Send(event);
}

}  // namespace coracle::cri
