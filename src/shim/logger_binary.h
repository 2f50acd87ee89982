// A logger program of containerd's kind: binary:///program?key=value. It reads the output from its
// descriptors 3 and 4 and says on 5 that it is ready.
#pragma once

#include <string>
#include <utility>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::shim {

// Told to end when this goes: it has seen the end of its pipes by then.
class LoggerProcess {
 public:
  explicit LoggerProcess(UniqueFd pidfd) : pidfd_(std::move(pidfd)) {}
  LoggerProcess(LoggerProcess&&) = default;
  LoggerProcess& operator=(LoggerProcess&&) = default;
  ~LoggerProcess();

 private:
  UniqueFd pidfd_;
};

struct Logger {
  LoggerProcess process;
  UniqueFd stdout_pipe, stderr_pipe;  // where the container writes
};

// Returns once the program is ready: it has closed descriptor 5 (binary) or written to it
// (binary-v2).
Result<Logger> StartLogger(const std::string& uri, const std::string& container_id,
                           const std::string& container_namespace);

}  // namespace coracle::shim
