// Records as CRI's answers.
#pragma once

#include "api.h"
#include "daemon.h"

namespace coracle::cri {

v1::PodSandboxStatus DescribeSandbox(const SandboxRecord& record);
v1::ContainerStatus DescribeContainer(const ContainerRecord& record);

// Ids are given out whole; a person may shorten them. kNotFound says what was looked for.
Result<std::shared_ptr<Sandbox>> FindSandbox(Daemon& daemon, const std::string& id);
Result<std::shared_ptr<Container>> FindContainer(Daemon& daemon, const std::string& id);
std::vector<std::shared_ptr<Container>> ContainersOf(Daemon& daemon, const std::string& sandbox_id);

// Every key of `selector` with the same value.
bool Matches(const google::protobuf::Map<std::string, std::string>& selector,
             const google::protobuf::Map<std::string, std::string>& labels);

void SendEvent(Daemon& daemon, v1::ContainerEventType type, const SandboxRecord& sandbox);
void SendEvent(Daemon& daemon, v1::ContainerEventType type, const ContainerRecord& container);

}  // namespace coracle::cri
