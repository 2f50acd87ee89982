#include "rpcs.h"
#include "serve_rpc.h"
#include "services.h"

// After api.h: see there.
#include "runtime/v1/api.grpc.pb.h"

namespace coracle::cri {
namespace {

constexpr std::chrono::milliseconds kPollGone{250};

#define CORACLE_SERVE(name)                                                         \
  grpc::Status name(grpc::ServerContext* context, const v1::name##Request* request, \
                    v1::name##Response* response) override {                        \
    return ServeRpc({#name, daemon_, *context}, rpc::name, *request, *response);    \
  }

// What this daemon does not do yet is said in one sentence; whoever asks goes another way.
#define CORACLE_REFUSE(name, text)                                                       \
  grpc::Status name(grpc::ServerContext*, const v1::name##Request*, v1::name##Response*) \
      override {                                                                         \
    return {grpc::StatusCode::UNIMPLEMENTED, #name ": " text};                           \
  }

class RuntimeService final : public v1::RuntimeService::Service {
 public:
  explicit RuntimeService(Daemon& daemon) : daemon_(daemon) {}

  CORACLE_SERVE(Version)
  CORACLE_SERVE(RunPodSandbox)
  CORACLE_SERVE(StopPodSandbox)
  CORACLE_SERVE(RemovePodSandbox)
  CORACLE_SERVE(PodSandboxStatus)
  CORACLE_SERVE(ListPodSandbox)
  CORACLE_SERVE(CreateContainer)
  CORACLE_SERVE(StartContainer)
  CORACLE_SERVE(StopContainer)
  CORACLE_SERVE(RemoveContainer)
  CORACLE_SERVE(ListContainers)
  CORACLE_SERVE(ContainerStatus)
  CORACLE_SERVE(UpdateContainerResources)
  CORACLE_SERVE(ReopenContainerLog)
  CORACLE_SERVE(ExecSync)
  CORACLE_SERVE(ContainerStats)
  CORACLE_SERVE(ListContainerStats)
  CORACLE_SERVE(PodSandboxStats)
  CORACLE_SERVE(ListPodSandboxStats)
  CORACLE_SERVE(UpdateRuntimeConfig)
  CORACLE_SERVE(Status)
  CORACLE_SERVE(RuntimeConfig)
  CORACLE_SERVE(UpdatePodSandboxResources)
  CORACLE_REFUSE(Exec, "not supported yet; ExecSync is")
  CORACLE_REFUSE(Attach, "not supported yet")
  CORACLE_REFUSE(PortForward, "not supported yet")
  CORACLE_REFUSE(CheckpointContainer, "checkpoints are not supported")
  CORACLE_REFUSE(ListMetricDescriptors, "not supported yet; the stats RPCs are")
  CORACLE_REFUSE(ListPodSandboxMetrics, "not supported yet; the stats RPCs are")

  grpc::Status GetContainerEvents(grpc::ServerContext* context, const v1::GetEventsRequest*,
                                  grpc::ServerWriter<v1::ContainerEventResponse>* out) override {
    const auto reader = daemon_.events.Subscribe();
    while (!context->IsCancelled() && !daemon_.stopping) {
      const auto event = reader->Next(kPollGone);
      if (event && !out->Write(*event)) break;
      if (reader->CutOff()) {
        return {grpc::StatusCode::RESOURCE_EXHAUSTED,
                "GetContainerEvents: the reader is too slow: list, and subscribe again"};
      }
    }
    return grpc::Status::OK;
  }

 private:
  Daemon& daemon_;
};

#undef CORACLE_SERVE
#undef CORACLE_REFUSE

}  // namespace

std::unique_ptr<grpc::Service> MakeRuntimeService(Daemon& daemon) {
  return std::make_unique<RuntimeService>(daemon);
}

}  // namespace coracle::cri
