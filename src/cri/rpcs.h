// The RPCs of CRI v1 as plain functions: one file each, named after the function. The services only
// carry them.
#pragma once

#include <functional>

#include "api.h"
#include "coracle/base/result.h"
#include "daemon.h"

namespace coracle::cri::rpc {

// Declares `Result<v1::<Name>Response> Name(...)`, defined in the file the comment names.
#define CORACLE_RPC(name) \
  Result<v1::name##Response> name(Daemon&, const v1::name##Request&, const Call&)

// runtime_status.cc
CORACLE_RPC(Version);
CORACLE_RPC(Status);
CORACLE_RPC(RuntimeConfig);
CORACLE_RPC(UpdateRuntimeConfig);
// sandbox_run.cc, sandbox_stop.cc, sandbox_status.cc
CORACLE_RPC(RunPodSandbox);
CORACLE_RPC(StopPodSandbox);
CORACLE_RPC(RemovePodSandbox);
CORACLE_RPC(PodSandboxStatus);
CORACLE_RPC(ListPodSandbox);
CORACLE_RPC(UpdatePodSandboxResources);
// container_create.cc, container_start.cc, container_stop.cc, container_remove.cc
CORACLE_RPC(CreateContainer);
CORACLE_RPC(StartContainer);
CORACLE_RPC(StopContainer);
CORACLE_RPC(RemoveContainer);
// container_status.cc
CORACLE_RPC(ListContainers);
CORACLE_RPC(ContainerStatus);
// container_update.cc, container_exec_sync.cc
CORACLE_RPC(UpdateContainerResources);
CORACLE_RPC(ReopenContainerLog);
CORACLE_RPC(ExecSync);
// stats.cc
CORACLE_RPC(ContainerStats);
CORACLE_RPC(ListContainerStats);
CORACLE_RPC(PodSandboxStats);
CORACLE_RPC(ListPodSandboxStats);
// images.cc
CORACLE_RPC(ListImages);
CORACLE_RPC(ImageStatus);
CORACLE_RPC(PullImage);
CORACLE_RPC(RemoveImage);
CORACLE_RPC(ImageFsInfo);

#undef CORACLE_RPC

}  // namespace coracle::cri::rpc
