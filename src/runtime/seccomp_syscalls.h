// Names to numbers, per architecture: libseccomp's tables, and the calls newer than those.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coracle::runtime {

// One way to reach a system call. On i386 the older ones of sockets and System V IPC also go
// through one call, whose first argument says which is meant.
struct SyscallEntry {
  std::uint32_t number = 0;
  std::optional<std::uint32_t> selector;  // what the first argument must be
};

bool IsKnownSyscall(const std::string& name);
// `architecture` is libseccomp's token. Empty when it does not have that call.
std::vector<SyscallEntry> SyscallEntries(std::uint32_t architecture, const std::string& name);

// The highest number of a call that this program knows the name of.
std::uint32_t LastKnownSyscall(std::uint32_t architecture);

// Of which programs can be that run on this machine, its own first.
std::vector<std::uint32_t> RunnableArchitectures();

constexpr std::uint32_t kX32Bit = 0x40000000;  // in the numbers of x32, which else is x86_64

}  // namespace coracle::runtime
