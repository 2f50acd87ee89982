// The built-in parent of a PID namespace that the containers of a pod share.
#include <signal.h>
#include <sys/wait.h>

#include "command_line.h"

namespace coracle::shim {

int RunPause() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&signals, signal);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return 1;
  for (;;) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    // Blocked and then waited for: none is missed between two looks.
    const int signal = sigwaitinfo(&signals, nullptr);
    if (signal == SIGTERM || signal == SIGINT) return 0;
  }
}

}  // namespace coracle::shim
