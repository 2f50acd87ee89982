// coracled: the CRI daemon.
#include <malloc.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <iostream>

#include "config.h"
#include "daemon.h"
#include "server.h"

namespace coracle::cri {
namespace {

std::shared_ptr<spdlog::logger> MakeLog(const std::string& level) {
  auto log = spdlog::stderr_logger_mt("coracled");
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  log->set_level(spdlog::level::from_str(level));
  log->flush_on(spdlog::level::trace);
  return log;
}

// Before the first thread: all of them inherit it, so that only Serve hears these signals.
void BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

int Main(int argc, char** argv) {
  const Result<CommandLine> line = ParseCommandLine(argc, argv);
  if (!line.has_value()) {
    std::cerr << "coracled: " << line.error().message << "\n";
    return 1;
  }
  if (line->exit_code >= 0) return line->exit_code;
  if (line->print_config) {
    std::cout << PrintConfig(line->config);
    return 0;
  }
  // Threads come and go: more arenas would keep what each of them once used.
  ::mallopt(M_ARENA_MAX, 2);
  BlockSignals();
  ::umask(022);
  const auto log = MakeLog(line->config.log_level);
  const auto daemon = OpenDaemon(line->config, log);
  if (!daemon.has_value()) {
    log->critical("{}", daemon.error().message);
    return 1;
  }
  const Status served = Serve(**daemon);
  if (served.has_value()) return 0;
  log->critical("{}", served.error().message);
  return 1;
}

}  // namespace
}  // namespace coracle::cri

int main(int argc, char** argv) { return coracle::cri::Main(argc, argv); }
