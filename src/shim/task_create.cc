// Task: Create, and what takes it back.
#include <fcntl.h>

#include <utility>

#include "coracle/base/file.h"
#include "coracle/runtime/container.h"
#include "coracle/sys/socket.h"
#include "events/task.pb.h"
#include "rootfs.h"
#include "shim.pb.h"
#include "task.h"
#include "task_messages.h"

namespace coracle::shim {
namespace {

namespace task = containerd::task::v2;

std::vector<RootfsMount> RootfsOf(const task::CreateTaskRequest& request) {
  std::vector<RootfsMount> mounts;
  for (const auto& mount : request.rootfs()) {
    mounts.push_back({mount.type(),
                      mount.source(),
                      mount.target(),
                      {mount.options().begin(), mount.options().end()}});
  }
  return mounts;
}

// The namespace's own number of the process is the last one in NSpid (proc_pid_status(5)).
Result<bool> IsPidNamespaceInit(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/status";
  const std::string status = TRY(ReadFile(path));
  const std::size_t begin = status.find("\nNSpid:");
  if (begin == std::string::npos) return Error{Code::kKernel, 0, path + ": no NSpid"};
  const std::string line = status.substr(begin + 1, status.find('\n', begin + 1) - begin - 1);
  return line.ends_with("\t1");
}

// In the worker.
Result<std::string> CreateContainer(const runtime::Runtime& runtime,
                                    const runtime::CreateOptions& options,
                                    const std::vector<RootfsMount>& rootfs) {
  TRY(MountRootfs(options.bundle, rootfs));
  auto created = runtime::Create(runtime, options);
  if (!created) {
    (void)UnmountRootfs(options.bundle);
    return std::move(created).error();
  }
  v1::Created result;
  result.set_pid(created->pid);
  result.set_cgroup_path(TRY(runtime::CgroupPath(runtime, options.id)));
  result.set_is_pid_namespace_init(TRY(IsPidNamespaceInit(created->pid)));
  return result.SerializeAsString();
}

}  // namespace

runtime::Runtime Task::RuntimeForWorker() const {
  runtime::Runtime runtime = MakeRuntime(options_);
  // <bundle>/log is the FIFO that containerd copies to its own log; without it nobody listens.
  runtime.warn = [path = bundle_ + "/log"](const std::string& warning) {
    const UniqueFd log(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (log) (void)WriteAll(log.get(), "coracle-shim: " + warning + "\n", path);
  };
  return runtime;
}

Status Task::OpenIo(Process& process) {
  process.io = TRY(ContainerIo::Open(context_.loop, process.io_request));
  return {};
}

Result<Task::ConsolePair> Task::MakeConsole(const Process& process) {
  if (!process.io_request.terminal) return ConsolePair{};
  auto [ours, theirs] = TRY(sys::SeqpacketPair());
  if (fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0) return KernelError("fcntl(2) F_SETFL");
  return ConsolePair{std::make_shared<UniqueFd>(std::move(ours)), std::move(theirs)};
}

// The worker is done, so the runtime has sent the pty's master, or never will.
Status Task::TakeTerminal(Process& process, int console) {
  if (!process.io_request.terminal) return {};
  auto received = sys::ReceiveFds(console);
  if (!received || received->fds.size() != 1)
    return Error{Code::kProtocol, 0, "the runtime sent no terminal; is process.terminal set?"};
  return process.io->AttachTerminal(std::move(received->fds[0]));
}

void Task::Create(const task::CreateTaskRequest& request, const Reply& reply) {
  if (!request.checkpoint().empty())
    return reply(Error{Code::kUnsupported, 0, "checkpoint: restoring is not supported"});
  if (auto saved = SaveOptions(bundle_, options_); !saved) return reply(saved.error());
  if (auto opened = OpenIo(init_); !opened) return reply(opened.error());
  auto console = MakeConsole(init_);
  if (!console) return reply(console.error());

  runtime::CreateOptions options;
  options.id = id_;
  options.bundle = bundle_;
  options.child_of_parent = true;
  options.no_pivot = options_.no_pivot_root;
  options.no_new_keyring = options_.no_new_keyring;
  if (init_.io_request.terminal) options.io.console_fd = Workers::kConsoleFd;
  const Workers::Descriptors descriptors{init_.io->ProcessFds(), console->theirs.get()};
  const auto work = [&] { return CreateContainer(RuntimeForWorker(), options, RootfsOf(request)); };
  context_.workers.Run(descriptors, work,
                       [self = shared_from_this(), ours = console->ours, request,
                        reply](const Result<std::string>& result) {
                         self->init_.io->CloseProcessFds();
                         if (!result) return reply(result.error());
                         const auto taken = self->TakeCreated(*result, ours->get());
                         if (!taken) return self->UndoCreate(taken.error(), reply);
                         self->TellCreated(request, reply);
                       });
}

Status Task::TakeCreated(const std::string& result, int console) {
  v1::Created created;
  if (!created.ParseFromString(result))
    return Error{Code::kProtocol, 0, "the worker's result is unreadable"};
  init_.pid = created.pid();
  cgroup_path_ = created.cgroup_path();
  is_pid_namespace_init_ = created.is_pid_namespace_init();
  Expect(init_);
  TRY(TakeTerminal(init_, console));
  oom_ = TRY(OomWatcher::Start(context_.loop, cgroup_path_,
                               [this] { Publish("/tasks/oom", containerd::events::TaskOOM()); }));
  return {};
}

void Task::TellCreated(const task::CreateTaskRequest& request, const Reply& reply) {
  init_.phase = Phase::kCreated;
  containerd::events::TaskCreate event;
  event.set_bundle(bundle_);
  *event.mutable_rootfs() = request.rootfs();
  event.mutable_io()->set_stdin(request.stdin());
  event.mutable_io()->set_stdout(request.stdout());
  event.mutable_io()->set_stderr(request.stderr());
  event.mutable_io()->set_terminal(request.terminal());
  event.set_pid(static_cast<std::uint32_t>(init_.pid));
  Publish("/tasks/create", std::move(event));
  task::CreateTaskResponse response;
  response.set_pid(static_cast<std::uint32_t>(init_.pid));
  reply(response.SerializeAsString());
  TellExits();  // it may have died already
}

void Task::UndoCreate(const Error& error, const Reply& reply) {
  const auto work = [this]() -> Result<std::string> {
    TRY(runtime::Delete(RuntimeForWorker(), id_, true));
    TRY(UnmountRootfs(bundle_));
    return std::string();
  };
  context_.workers.Run(
      {}, work,
      [self = shared_from_this(), error, reply](const Result<std::string>&) { reply(error); });
}

}  // namespace coracle::shim
