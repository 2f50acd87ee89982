// linux.sysctl: config-linux.md#sysctl. Only settings that belong to a namespace of the container.
#pragma once

#include <map>
#include <string>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct SysctlPlan {
  std::map<std::string, std::string> values;  // "sys/net/ipv4/ip_forward" -> "1"
};

// A setting that no namespace keeps apart, or whose namespace the container shares, is an error.
Result<SysctlPlan> PlanSysctl(const oci::Spec& spec);

// Container process; `proc_fd` from OpenProc.
Status WriteSysctls(const SysctlPlan& plan, int proc_fd);

}  // namespace coracle::runtime
