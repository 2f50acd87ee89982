// RunPodSandbox as a table of steps.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "daemon.h"

namespace coracle::cri {

struct SandboxRun {
  Daemon& daemon;
  SandboxRecord record;
  SandboxPaths paths;
  std::shared_ptr<shim::Client> pause = {};
  bool leftovers = false;  // an undo failed: the record stays, recovery tries again
};

std::span<const Step<SandboxRun>> SandboxSteps();

// Everything that the steps make, unmade from what the record says: for a sandbox that a crash left
// half-made.
Status DestroySandbox(Daemon& daemon, const SandboxRecord& record);
// The same without the files and the record: what StopPodSandbox does.
Status StopSandboxParts(Daemon& daemon, const SandboxRecord& record,
                        const std::shared_ptr<shim::Client>& pause);

std::string SandboxName(const v1::PodSandboxMetadata& metadata);

}  // namespace coracle::cri
