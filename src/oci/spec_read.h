// Reads each section of config.json; JsonReader finds these by argument-dependent lookup.
#pragma once

#include "coracle/base/json.h"
#include "coracle/oci/spec.h"

namespace coracle::oci {

void Read(JsonReader& reader, Spec& spec);
void Read(JsonReader& reader, Root& root);
void Read(JsonReader& reader, Mount& mount);
void Read(JsonReader& reader, IdMapping& mapping);
void Read(JsonReader& reader, Process& process);
void Read(JsonReader& reader, ConsoleSize& size);
void Read(JsonReader& reader, User& user);
void Read(JsonReader& reader, Rlimit& rlimit);
void Read(JsonReader& reader, Capabilities& capabilities);
void Read(JsonReader& reader, Scheduler& scheduler);
void Read(JsonReader& reader, IoPriority& priority);
void Read(JsonReader& reader, ExecCpuAffinity& affinity);
void Read(JsonReader& reader, Hook& hook);
void Read(JsonReader& reader, Hooks& hooks);

void Read(JsonReader& reader, Linux& linux_);
void Read(JsonReader& reader, Namespace& ns);
void Read(JsonReader& reader, Device& device);
void Read(JsonReader& reader, NetDevice& device);
void Read(JsonReader& reader, TimeOffset& offset);
void Read(JsonReader& reader, Seccomp& seccomp);
void Read(JsonReader& reader, SeccompRule& rule);
void Read(JsonReader& reader, SeccompArg& arg);
void Read(JsonReader& reader, IntelRdt& rdt);
void Read(JsonReader& reader, MemoryPolicy& policy);
void Read(JsonReader& reader, Personality& personality);

void Read(JsonReader& reader, Resources& resources);
void Read(JsonReader& reader, DeviceRule& rule);
void Read(JsonReader& reader, MemoryLimits& memory);
void Read(JsonReader& reader, CpuLimits& cpu);
void Read(JsonReader& reader, BlockIoLimits& io);
void Read(JsonReader& reader, WeightDevice& device);
void Read(JsonReader& reader, ThrottleDevice& device);
void Read(JsonReader& reader, HugepageLimit& limit);
void Read(JsonReader& reader, NetworkLimits& network);
void Read(JsonReader& reader, RdmaLimit& limit);

}  // namespace coracle::oci
