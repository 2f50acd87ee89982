// The parts of a pod, each made and unmade: RunPodSandbox's steps make them, and their undo, Stop,
// Remove and recovery unmake them. Unmaking what is not there is success.
#pragma once

#include <memory>
#include <string>

#include "daemon.h"

namespace coracle::cri {

Status PinSandboxNamespaces(Daemon& daemon, const SandboxRecord& record);
Status UnpinSandboxNamespaces(const SandboxPaths& paths);

// tmpfs of 64 MiB, shared by the pod's containers; nothing where the pod uses the host's IPC.
Status MountShm(const SandboxRecord& record, const SandboxPaths& paths);
Status UnmountShm(const SandboxPaths& paths);

// hostname, resolv.conf, hosts.
Status WritePodFiles(const SandboxRecord& record, const SandboxPaths& paths);

// CNI ADD and DEL. A pod in the host's network has none.
net::Attachment MakeAttachment(Daemon& daemon, const SandboxRecord& record);
Status AttachNetwork(Daemon& daemon, SandboxRecord& record);
Status DetachNetwork(Daemon& daemon, const SandboxRecord& record);

// The parent of a shared PID namespace, where the pod wants one (pid mode POD).
Result<std::shared_ptr<shim::Client>> StartPause(Daemon& daemon, SandboxRecord& record);
void WatchPause(Daemon& daemon, const Sandbox& sandbox);
Status StopPause(Daemon& daemon, const std::string& sandbox_id,
                 const std::shared_ptr<shim::Client>& client);

// The directory, and the cgroup where it was of our choosing.
Status RemoveSandboxFiles(Daemon& daemon, const SandboxRecord& record);

std::string PauseCgroup(const std::string& pod_cgroup, const std::string& sandbox_id);

bool HostNetwork(const v1::PodSandboxConfig& config);
// hostname of the request, or the host's for a pod in the host's network.
std::string PodHostname(const v1::PodSandboxConfig& config);

}  // namespace coracle::cri
