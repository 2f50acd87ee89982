#include "coracle/sys/bpf.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace coracle::sys {
namespace {

constexpr std::size_t kMaxPrograms = 64;  // BPF_CGROUP_MAX_PROGS of the kernel

long Bpf(bpf_cmd command, bpf_attr& attr) {
  return ::syscall(SYS_bpf, command, &attr, sizeof attr);
}

std::uint64_t Address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

// The verifier ends with "processed N insns ..."; the line before it says what it did not like.
std::string LastComplaint(std::string log) {
  while (!log.empty() && log.back() == '\n') log.pop_back();
  if (const auto statistics = log.rfind("\nprocessed "); statistics != std::string::npos)
    log.resize(statistics);
  const auto line = log.rfind('\n');
  return line == std::string::npos ? log : log.substr(line + 1);
}

Result<CgroupProgram> OpenProgram(std::uint32_t id) {
  bpf_attr attr{};
  attr.prog_id = id;
  CgroupProgram program{.fd = UniqueFd(static_cast<int>(Bpf(BPF_PROG_GET_FD_BY_ID, attr))),
                        .id = id};
  if (!program.fd) return KernelError("bpf(2) BPF_PROG_GET_FD_BY_ID id=" + std::to_string(id));
  bpf_prog_info info{};
  bpf_attr query{};
  query.info.bpf_fd = static_cast<std::uint32_t>(program.fd.get());
  query.info.info_len = sizeof info;
  query.info.info = Address(&info);
  if (Bpf(BPF_OBJ_GET_INFO_BY_FD, query) != 0)
    return KernelError("bpf(2) BPF_OBJ_GET_INFO_BY_FD id=" + std::to_string(id));
  program.name.assign(info.name, ::strnlen(info.name, sizeof info.name));
  return program;
}

}  // namespace

Result<UniqueFd> LoadCgroupDeviceProgram(std::span<const bpf_insn> instructions,
                                         const std::string& name) {
  constexpr std::array<char, 11> kLicense = {"Apache-2.0"};
  bpf_attr attr{};
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.expected_attach_type = BPF_CGROUP_DEVICE;
  attr.insns = Address(instructions.data());
  attr.insn_cnt = static_cast<std::uint32_t>(instructions.size());
  attr.license = Address(kLicense.data());
  name.copy(attr.prog_name, sizeof attr.prog_name - 1);
  if (UniqueFd fd(static_cast<int>(Bpf(BPF_PROG_LOAD, attr))); fd) return fd;
  const int errnum = errno;
  std::string log(16384, '\0');  // a second time, only to hear why
  attr.log_level = 1;
  attr.log_buf = Address(log.data());
  attr.log_size = static_cast<std::uint32_t>(log.size());
  if (UniqueFd fd(static_cast<int>(Bpf(BPF_PROG_LOAD, attr))); fd) return fd;
  log.resize(::strnlen(log.data(), log.size()));
  Error error = KernelError("bpf(2) BPF_PROG_LOAD type=BPF_PROG_TYPE_CGROUP_DEVICE instructions=" +
                                std::to_string(instructions.size()),
                            errnum);
  if (!log.empty()) error.message += ": " + LastComplaint(std::move(log));
  return error;
}

Status AttachToCgroup(int cgroup_fd, int program_fd, bpf_attach_type type) {
  bpf_attr attr{};
  attr.target_fd = static_cast<std::uint32_t>(cgroup_fd);
  attr.attach_bpf_fd = static_cast<std::uint32_t>(program_fd);
  attr.attach_type = type;
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  if (Bpf(BPF_PROG_ATTACH, attr) != 0)
    return KernelError("bpf(2) BPF_PROG_ATTACH flags=BPF_F_ALLOW_MULTI");
  return {};
}

Status DetachFromCgroup(int cgroup_fd, int program_fd, bpf_attach_type type) {
  bpf_attr attr{};
  attr.target_fd = static_cast<std::uint32_t>(cgroup_fd);
  attr.attach_bpf_fd = static_cast<std::uint32_t>(program_fd);
  attr.attach_type = type;
  if (Bpf(BPF_PROG_DETACH, attr) != 0) return KernelError("bpf(2) BPF_PROG_DETACH");
  return {};
}

Result<std::vector<CgroupProgram>> CgroupPrograms(int cgroup_fd, bpf_attach_type type) {
  std::array<std::uint32_t, kMaxPrograms> ids{};
  bpf_attr attr{};
  attr.query.target_fd = static_cast<std::uint32_t>(cgroup_fd);
  attr.query.attach_type = type;
  attr.query.prog_ids = Address(ids.data());
  attr.query.prog_cnt = kMaxPrograms;
  if (Bpf(BPF_PROG_QUERY, attr) != 0) return KernelError("bpf(2) BPF_PROG_QUERY");
  std::vector<CgroupProgram> programs;
  for (std::size_t i = 0; i < attr.query.prog_cnt; ++i) {
    Result<CgroupProgram> program = OpenProgram(ids[i]);
    if (program.has_value())
      programs.push_back(*std::move(program));
    else if (program.error().errnum != ENOENT)  // detached and gone since the query
      return std::move(program).error();
  }
  return programs;
}

}  // namespace coracle::sys
