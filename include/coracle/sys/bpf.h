// bpf(2): programs on a cgroup.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::sys {

// BPF_PROG_LOAD. `name`: at most 15 characters, letters, digits and `_`. The verifier's last words
// are in the error. RLIMIT_MEMLOCK stays as it is: kernels from 5.11 on do not look at it.
Result<UniqueFd> LoadCgroupDeviceProgram(std::span<const bpf_insn> instructions,
                                         const std::string& name);

// BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI: every program on the cgroup and above has to agree.
Status AttachToCgroup(int cgroup_fd, int program_fd, bpf_attach_type type);
Status DetachFromCgroup(int cgroup_fd, int program_fd, bpf_attach_type type);

// The programs on this very cgroup: BPF_PROG_QUERY, BPF_PROG_GET_FD_BY_ID, BPF_OBJ_GET_INFO_BY_FD.
struct CgroupProgram {
  UniqueFd fd = {};
  std::uint32_t id = 0;
  std::string name = {};
};
Result<std::vector<CgroupProgram>> CgroupPrograms(int cgroup_fd, bpf_attach_type type);

}  // namespace coracle::sys
