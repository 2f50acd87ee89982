// The two FIFOs that carry an ExecSync's output, read up to a limit until the process and all that
// inherited its output have ended.
#pragma once

#include <array>
#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "store/objects.h"

namespace coracle::cri {

class ExecOutput {
 public:
  // Makes `<prefix>.out` and `<prefix>.err` and opens them for reading.
  static Result<ExecOutput> Open(const std::string& prefix);
  ExecOutput(ExecOutput&&) = default;
  ExecOutput& operator=(ExecOutput&&) = delete;
  ~ExecOutput();  // removes the FIFOs

  [[nodiscard]] std::string Path(int stream) const;
  // Reads until `wake_fd` becomes readable, or `deadline`; with a `wake_fd` of -1 until both
  // streams have ended. What is beyond the limit is read and thrown away, so that nobody blocks.
  enum class Outcome : std::uint8_t { kEnded, kWoken, kDeadline };
  Result<Outcome> Read(int wake_fd, SteadyTime deadline);

  [[nodiscard]] std::string Take(int stream) { return std::move(text_.at(stream)); }

 private:
  explicit ExecOutput(std::string prefix) : prefix_(std::move(prefix)) {}
  void Drain(int stream);

  std::string prefix_;
  std::array<UniqueFd, 2> fds_;
  std::array<bool, 2> ended_ = {false, false};
  std::array<std::string, 2> text_;
};

}  // namespace coracle::cri
