// Runs a piece of set-up where it belongs: in a process of its own, with namespaces of its own.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/sys/namespaces.h"
#include "support/temp_dir.h"

namespace coracle::test {

// In a body for InChild: what does not hold ends the body with a message.
#define MUST(condition)                                                                  \
  if (!(condition))                                                                      \
  return std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": " #condition ": " + \
         std::string(ErrnoText(errno))
#define MUST_WORK(...)                                                                     \
  if (auto&& result_ = (__VA_ARGS__); !result_.has_value())                                \
  return std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": " #__VA_ARGS__ ": " + \
         result_.error().message

// The message of a failed MUST, or "" when everything held. `namespaces` are CLONE_NEW*.
inline std::string InChild(std::uint64_t namespaces, const std::function<std::string()>& body) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "pipe2";
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const auto pid = sys::clone3({.flags = namespaces});
  if (!pid.has_value()) return pid.error().message;
  if (*pid == 0) {
    const std::string message = body();
    (void)WriteAll(write_end.get(), message, "pipe");
    ::_exit(0);
  }
  write_end.reset();
  std::string message = ReadFd(read_end.get(), "pipe").value_or("no message");
  int status = 0;
  ::waitpid(*pid, &status, 0);
  if (status != 0) message += " child ended with wait status " + std::to_string(status);
  return message;
}

// A bundle with a small root file system.
class Bundle {
 public:
  Bundle() {
    for (const char* name : {"proc", "sys", "dev", "etc", "tmp", "data", "old_root"})
      std::filesystem::create_directories(root() + "/" + name);
    Write("/etc/marker", "container");
  }
  [[nodiscard]] const std::string& path() const { return temp_.path(); }
  [[nodiscard]] std::string root() const { return temp_.path() + "/rootfs"; }
  void Write(const std::string& path, const std::string& text) const {
    std::ofstream(root() + path) << text;
  }

 private:
  TempDir temp_;
};

inline std::string ReadText(const std::string& path) {
  return ReadFile(path).value_or("(unreadable)");
}

}  // namespace coracle::test
