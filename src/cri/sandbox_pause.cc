// The parent of a shared PID namespace: a task of our own shim, with our own program.
#include <elf.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "coracle/sys/mount.h"
#include "sandbox_parts.h"
#include "spec_builder.h"
#include "spec_resources.h"
#include "task.h"
#include "text.h"

namespace coracle::cri {
namespace {

// A build whose shim is linked dynamically (sanitizers) needs the host's libraries beside it; a
// static one is alone in its root.
std::vector<std::string> LibraryDirs(const std::string& program) {
  const UniqueFd fd(::open(program.c_str(), O_RDONLY | O_CLOEXEC));
  Elf64_Ehdr header{};
  if (::pread(fd.get(), &header, sizeof(header), 0) != sizeof(header)) return {};
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    const auto offset = static_cast<off_t>(header.e_phoff + i * sizeof(segment));
    if (::pread(fd.get(), &segment, sizeof(segment), offset) != sizeof(segment)) return {};
    if (segment.p_type == PT_INTERP) return {"/lib", "/lib64", "/usr/lib"};
  }
  return {};
}

Status WritePauseBundle(Daemon& daemon, const SandboxRecord& record) {
  const SandboxPaths paths = daemon.paths.Sandbox(record.id);
  PauseInput input;
  input.sandbox_id = record.id;
  input.pod = record.config.get();
  input.sandbox = paths;
  input.shim_binary = daemon.shim_binary;
  input.library_dirs = LibraryDirs(daemon.shim_binary);
  input.cgroups_path =
      PauseCgroup(TRY(PodCgroup(record.config->linux().cgroup_parent(), record.id)), record.id);
  TRY(MakeDirectories(paths.PauseBundle() + "/rootfs", 0700));
  return WriteFileAtomically(paths.PauseBundle() + "/config.json",
                             PrintJson(oci::ToJson(BuildPauseSpec(input))));
}

}  // namespace

Result<std::shared_ptr<shim::Client>> StartPause(Daemon& daemon, SandboxRecord& record) {
  const auto& modes = record.config->linux().security_context().namespace_options();
  if (modes.pid() != v1::POD) return std::shared_ptr<shim::Client>();
  const SandboxPaths paths = daemon.paths.Sandbox(record.id);
  TRY(WritePauseBundle(daemon, record));
  std::shared_ptr<shim::Client> client =
      TRY(daemon.shim.launch(MakeLaunchOptions(daemon, record.id, paths.PauseBundle())));
  shim::CreateRequest request;
  request.id = record.id;
  request.bundle = paths.PauseBundle();
  const Result<pid_t> pid = client->Create(request, After(kShimTimeout));
  Status status;
  if (!pid.has_value()) {
    status = Status(pid.error());
  } else {
    const Result<pid_t> started = client->Start(record.id, "", After(kShimTimeout));
    if (!started.has_value()) status = Status(started.error());
  }
  if (status.has_value()) {
    // Pinned like the others: a pid could be another process one day.
    record.pause_pid = *pid;
    status = WriteFileAtomically(paths.PidNamespace(), "", 0444);
  }
  if (status.has_value()) {
    status = sys::mount({.source = "/proc/" + std::to_string(*pid) + "/ns/pid",
                         .target = paths.PidNamespace(),
                         .fstype = "",
                         .flags = MS_BIND,
                         .data = ""});
  }
  if (status.has_value()) return client;
  LogFailure(daemon, "stop the PID namespace's parent", StopPause(daemon, record.id, client));
  return std::move(status).error();
}

void WatchPause(Daemon& daemon, const Sandbox& sandbox) {
  const std::shared_ptr<shim::Client> client = sandbox.pause.Get();
  if (client == nullptr) return;
  // By id: the connection must not own what owns it.
  client->Wait(sandbox.id, "", [&daemon, id = sandbox.id](const Result<shim::ExitStatus>&) {
    daemon.exits.Post([&daemon, id] {
      const std::shared_ptr<Sandbox> lost = daemon.sandboxes.Find(id);
      if (lost == nullptr || !lost->Read().Ready()) return;
      LogFailure(daemon, "record sandbox " + id,
                 lost->Change(*daemon.database,
                              [](SandboxRecord& record) { record.lost_at_ns = NowUnixNs(); }));
    });
  });
}

Status StopPause(Daemon& daemon, const std::string& sandbox_id,
                 const std::shared_ptr<shim::Client>& client) {
  const std::string bundle = daemon.paths.Sandbox(sandbox_id).PauseBundle();
  if (::access(bundle.c_str(), F_OK) != 0) return {};
  TRY(EndTask(daemon, sandbox_id, bundle, client));
  return RemoveTree(bundle);
}

}  // namespace coracle::cri
