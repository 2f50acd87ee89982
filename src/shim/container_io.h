// Standard input and output of one process: what its Task request names, opened.
//
//   fifo (a bare path)     the FIFO itself becomes the process's descriptor; we only hold it open,
//                          so that a reader's end is no EPIPE for the container
//   file:///path           appended, 0644; stdout and stderr may share it
//   binary:///program?k=v  a logger of containerd's kind, on a pipe
//   cri-log:///path        our own: a pipe that we write into a log of the CRI's format
//   empty                  /dev/null
//
// With a terminal all output is stdout, and we copy between the pty and these. Init's stdin is
// copied too: it opens only at Start (see ConnectStdin).
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "cri_log.h"
#include "event_loop.h"
#include "log_source.h"
#include "logger_binary.h"
#include "pump.h"

namespace coracle::shim {

struct IoRequest {
  std::string stdin_, stdout_, stderr_;
  bool terminal = false;
  bool is_init = false;
  // For a binary:// logger.
  std::string container_id, container_namespace;
};

class ContainerIo {
 public:
  static Result<std::unique_ptr<ContainerIo>> Open(EventLoop& loop, const IoRequest& request);
  ~ContainerIo();

  // What becomes 0, 1 and 2 of the process; all -1 (nothing to hand over) with a terminal.
  [[nodiscard]] std::array<int, 3> ProcessFds() const;
  // The process has them: we let go of ours.
  void CloseProcessFds();

  Status AttachTerminal(UniqueFd master);
  // Lets the client's writer through: for init at Start. Not before, since a client that is at the
  // end of its input too early (`echo hello | ctr run ...`) does not say CloseIO.
  Status ConnectStdin();
  Status Resize(std::uint16_t height, std::uint16_t width);
  void CloseStdin();
  Status ReopenLog();  // kWrongState without a CRI log

  // The process has ended: what it wrote goes where it belongs, then everything is closed that does
  // not wait for a slow reader of the terminal's output.
  void ProcessEnded();
  // Nothing of the terminal's output is left to write.
  [[nodiscard]] bool IsDrained() const;
  // Called once, when that becomes true.
  void OnDrained(std::function<void()> on_drained);

 private:
  explicit ContainerIo(EventLoop& loop) : loop_(loop) {}
  Status OpenStdin(const IoRequest& request);
  Status OpenOutput(LogStream stream, const IoRequest& request);
  Result<UniqueFd> OpenFifo(const std::string& path, LogStream stream, bool terminal);
  Result<UniqueFd> OpenCriLog(const std::string& path, LogStream stream, bool terminal);
  Result<UniqueFd> OpenLogger(LogStream stream, const IoRequest& request);
  void StdinEnded();
  void OutputEnded();

  EventLoop& loop_;
  std::array<UniqueFd, 3> process_fds_;
  // Ours: a writer of the stdin FIFO until CloseStdin, and a reader of each output FIFO.
  UniqueFd stdin_keeper_;
  std::array<UniqueFd, 2> output_keepers_;
  std::vector<std::shared_ptr<CriLog>> logs_;
  std::vector<std::unique_ptr<LogSource>> sources_;
  std::optional<Logger> logger_;

  std::string stdin_path_;  // of the FIFO that ConnectStdin opens
  UniqueFd stdin_target_;   // and where what it has goes: a pipe, or the terminal
  std::unique_ptr<Pump> stdin_pump_;

  // With a terminal: where its output goes.
  UniqueFd master_, terminal_output_;
  std::shared_ptr<CriLog> terminal_log_;
  std::unique_ptr<Pump> output_pump_;
  std::function<void()> on_drained_;
};

}  // namespace coracle::shim
