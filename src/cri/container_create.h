// CreateContainer as a table of steps.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "daemon.h"
#include "spec_builder.h"

namespace coracle::cri {

struct ContainerCreate {
  Daemon& daemon;
  std::shared_ptr<Sandbox> sandbox;
  SandboxRecord pod;
  image::Image image;
  ContainerRecord record;
  ContainerPaths paths;
  image::Snapshot snapshot = {};
  SpecInput input = {};
  std::shared_ptr<shim::Client> shim = {};
  bool leftovers = false;  // an undo failed: the record stays, recovery tries again
};

std::span<const Step<ContainerCreate>> ContainerSteps();

// The name that no other container may have: container, attempt and pod.
std::string ContainerName(const ContainerRecord& record);

}  // namespace coracle::cri
