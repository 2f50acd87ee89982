#include "container_io.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "coracle/base/file.h"
#include "coracle/sys/pty.h"

namespace coracle::shim {
namespace {

Result<std::pair<UniqueFd, UniqueFd>> MakePipe() {
  std::array<int, 2> fds{};
  if (pipe2(fds.data(), O_CLOEXEC) != 0) return KernelError("pipe2(2)");
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

struct Uri {
  std::string_view scheme, rest;
};

Uri SplitUri(std::string_view uri) {
  const std::size_t end = uri.find("://");
  if (end == std::string_view::npos) return {"fifo", uri};
  return {uri.substr(0, end), uri.substr(end + 3)};
}

Result<UniqueFd> OpenAt(const std::string& path, int flags, mode_t mode = 0) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, mode));
  if (!fd) return KernelError("open(2) path=" + path);
  return fd;
}

// A client's mistake in one line, with everything that is allowed.
Error BadUri(const std::string& uri, const std::string& problem) {
  return {
      Code::kInvalidConfig, 0,
      "stdio " + uri + ": " + problem +
          "; allowed are a FIFO, file://, binary:// and cri-log://, each with an absolute path"};
}

// O_RDWR never waits for the other side (fifo(7)); what is no FIFO is not ours to open.
Result<UniqueFd> OpenKeeper(const std::string& path) {
  UniqueFd fd = TRY(OpenAt(path, O_RDWR | O_NONBLOCK));
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return KernelError("fstat(2) path=" + path);
  if (!S_ISFIFO(status.st_mode)) return BadUri(path, "not a FIFO");
  return fd;
}

std::size_t Index(LogStream stream) { return static_cast<std::size_t>(stream); }

}  // namespace

Result<std::unique_ptr<ContainerIo>> ContainerIo::Open(EventLoop& loop, const IoRequest& request) {
  std::unique_ptr<ContainerIo> io(new ContainerIo(loop));
  TRY(io->OpenStdin(request));
  TRY(io->OpenOutput(LogStream::kStdout, request));
  // With a terminal clients name a stderr that nobody reads, or none.
  if (!request.terminal) TRY(io->OpenOutput(LogStream::kStderr, request));
  return io;
}

ContainerIo::~ContainerIo() {
  for (const auto& source : sources_) source->Drain();
}

Status ContainerIo::OpenStdin(const IoRequest& request) {
  if (request.stdin_.empty()) {
    if (!request.terminal) process_fds_[0] = TRY(OpenAt("/dev/null", O_RDONLY));
    return {};
  }
  if (!request.stdin_.starts_with('/')) return BadUri(request.stdin_, "not an absolute path");
  if (!request.terminal && !request.is_init) {
    stdin_keeper_ = TRY(OpenKeeper(request.stdin_));
    process_fds_[0] = TRY(OpenAt(request.stdin_, O_RDONLY));
    return {};
  }
  stdin_path_ = request.stdin_;
  if (request.terminal) return {};
  auto [read_end, write_end] = TRY(MakePipe());
  if (fcntl(write_end.get(), F_SETFL, O_NONBLOCK) != 0) return KernelError("fcntl(2) F_SETFL");
  process_fds_[0] = std::move(read_end);
  stdin_target_ = std::move(write_end);
  return {};
}

Status ContainerIo::ConnectStdin() {
  if (stdin_path_.empty()) return {};
  stdin_keeper_ = TRY(OpenKeeper(stdin_path_));
  stdin_pump_ = std::make_unique<Pump>(
      loop_, Pump::Ends{TRY(OpenAt(stdin_path_, O_RDONLY | O_NONBLOCK)), std::move(stdin_target_)},
      [this] { StdinEnded(); });
  return stdin_pump_->Start();
}

Status ContainerIo::OpenOutput(LogStream stream, const IoRequest& request) {
  const std::string& uri = stream == LogStream::kStdout ? request.stdout_ : request.stderr_;
  UniqueFd& target = request.terminal ? terminal_output_ : process_fds_[Index(stream) + 1];
  if (uri.empty()) {
    target = TRY(OpenAt("/dev/null", O_WRONLY));
    return {};
  }
  const Uri parts = SplitUri(uri);
  if (!parts.rest.starts_with('/')) return BadUri(uri, "not an absolute path");
  const std::string path(parts.rest);
  if (parts.scheme == "fifo") {
    target = TRY(OpenFifo(path, stream, request.terminal));
  } else if (parts.scheme == "file") {
    TRY(MakeDirectories(path.substr(0, std::max(path.rfind('/'), std::size_t{1})), 0755));
    target = TRY(OpenAt(path, O_WRONLY | O_APPEND | O_CREAT, 0644));
  } else if (parts.scheme == "cri-log") {
    target = TRY(OpenCriLog(path, stream, request.terminal));
  } else if (parts.scheme == "binary" || parts.scheme == "binary-v2") {
    target = TRY(OpenLogger(stream, request));
  } else {
    return BadUri(uri, "unknown scheme");
  }
  return {};
}

Result<UniqueFd> ContainerIo::OpenFifo(const std::string& path, LogStream stream, bool terminal) {
  output_keepers_[Index(stream)] = TRY(OpenKeeper(path));
  // With the keeper open for reading this does not wait for a reader.
  return OpenAt(path, O_WRONLY | (terminal ? O_NONBLOCK : 0));
}

Result<UniqueFd> ContainerIo::OpenCriLog(const std::string& path, LogStream stream, bool terminal) {
  auto found = std::ranges::find(logs_, path, [](const auto& log) { return log->path(); });
  if (found == logs_.end())
    found = logs_.insert(logs_.end(), std::shared_ptr<CriLog>(TRY(CriLog::Open(path))));
  if (terminal) {
    terminal_log_ = *found;
    return UniqueFd();
  }
  auto [read_end, write_end] = TRY(MakePipe());
  if (fcntl(read_end.get(), F_SETFL, O_NONBLOCK) != 0) return KernelError("fcntl(2) F_SETFL");
  TRY(sources_.emplace_back(std::make_unique<LogSource>(loop_, *found, stream))
          ->Start(std::move(read_end)));
  return write_end;
}

Result<UniqueFd> ContainerIo::OpenLogger(LogStream stream, const IoRequest& request) {
  if (stream == LogStream::kStderr && logger_ && request.stdout_ == request.stderr_)
    return std::move(logger_->stderr_pipe);
  const std::string& uri = stream == LogStream::kStdout ? request.stdout_ : request.stderr_;
  logger_ = TRY(StartLogger(uri, request.container_id, request.container_namespace));
  auto& pipe = stream == LogStream::kStdout ? logger_->stdout_pipe : logger_->stderr_pipe;
  if (request.terminal && fcntl(pipe.get(), F_SETFL, O_NONBLOCK) != 0)
    return KernelError("fcntl(2) F_SETFL");
  return std::move(pipe);
}

std::array<int, 3> ContainerIo::ProcessFds() const {
  return {process_fds_[0].get(), process_fds_[1].get(), process_fds_[2].get()};
}

void ContainerIo::CloseProcessFds() {
  for (auto& fd : process_fds_) fd.reset();
  if (!logger_) return;
  logger_->stdout_pipe.reset();
  logger_->stderr_pipe.reset();
}

Status ContainerIo::AttachTerminal(UniqueFd master) {
  master_ = std::move(master);
  if (fcntl(master_.get(), F_SETFL, O_NONBLOCK) != 0) return KernelError("fcntl(2) F_SETFL");
  const auto copy = [this]() -> Result<UniqueFd> {
    UniqueFd fd(fcntl(master_.get(), F_DUPFD_CLOEXEC, 3));
    if (!fd) return KernelError("fcntl(2) F_DUPFD_CLOEXEC");
    return fd;
  };
  if (terminal_log_) {
    TRY(sources_
            .emplace_back(std::make_unique<LogSource>(loop_, terminal_log_, LogStream::kStdout))
            ->Start(TRY(copy())));
  } else {
    output_pump_ = std::make_unique<Pump>(
        loop_, Pump::Ends{TRY(copy()), std::move(terminal_output_)}, [this] { OutputEnded(); });
    TRY(output_pump_->Start());
  }
  stdin_target_ = TRY(copy());
  return {};
}

// A terminal has no end of file, only a character that the reader's line discipline takes for one.
void ContainerIo::StdinEnded() {
  constexpr char kEndOfTransmission = 4;
  if (master_) (void)!write(master_.get(), &kEndOfTransmission, 1);
}

void ContainerIo::OutputEnded() {
  output_keepers_ = {};
  if (on_drained_) std::exchange(on_drained_, {})();
}

Status ContainerIo::Resize(std::uint16_t height, std::uint16_t width) {
  if (!master_) return {};  // clients resize without a terminal too
  return sys::SetWindowSize(master_.get(), height, width);
}

void ContainerIo::CloseStdin() { stdin_keeper_.reset(); }

Status ContainerIo::ReopenLog() {
  if (logs_.empty()) return Error{Code::kWrongState, 0, "the container has no CRI log"};
  for (const auto& log : logs_) TRY(log->Reopen());
  return {};
}

void ContainerIo::ProcessEnded() {
  for (const auto& source : sources_) source->Drain();
  stdin_pump_.reset();
  stdin_keeper_.reset();
  // While its pump runs, the terminal's FIFO must not lose what a slow reader has yet to take.
  if (!output_pump_ || output_pump_->HasEnded()) output_keepers_ = {};
}

bool ContainerIo::IsDrained() const { return !output_pump_ || output_pump_->HasEnded(); }

void ContainerIo::OnDrained(std::function<void()> on_drained) {
  on_drained_ = std::move(on_drained);
}

}  // namespace coracle::shim
