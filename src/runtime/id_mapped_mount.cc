#include "id_mapped_mount.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "coracle/base/file.h"
#include "coracle/sys/namespaces.h"

namespace coracle::runtime {
namespace {

std::string MapText(const std::vector<oci::IdMapping>& mappings) {
  std::string text;
  for (const oci::IdMapping& map : mappings)
    text += std::to_string(map.container_id) + " " + std::to_string(map.host_id) + " " +
            std::to_string(map.size) + "\n";
  return text;
}

Result<UniqueFd> MapAndOpen(pid_t pid, const std::string& uid_map, const std::string& gid_map) {
  const std::string proc = "/proc/" + std::to_string(pid);
  TRY(WriteKernelFile(proc + "/uid_map", uid_map));
  TRY(WriteKernelFile(proc + "/gid_map", gid_map));
  return sys::OpenNamespace(proc + "/ns/user", CLONE_NEWUSER);
}

}  // namespace

Result<UniqueFd> NewUserNamespace(const std::vector<oci::IdMapping>& uids,
                                  const std::vector<oci::IdMapping>& gids) {
  // A namespace begins with a process in it, and lives on by our descriptor. The process waits for
  // the end of a pipe, so that it ends with us whatever happens.
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return KernelError("pipe2(2)");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t pid = TRY(sys::clone3({.flags = CLONE_NEWUSER}));
  if (pid == 0) {
    write_end.reset();
    char byte = 0;
    (void)!::read(read_end.get(), &byte, 1);
    ::_exit(0);
  }
  Result<UniqueFd> userns = MapAndOpen(pid, MapText(uids), MapText(gids));
  write_end.reset();
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return userns;
}

}  // namespace coracle::runtime
