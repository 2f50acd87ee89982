#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "probe.h"

namespace probe {
namespace {

int exit_code_of_trap = 0;

void ExitOnSignal(int /*signal*/) { _exit(exit_code_of_trap); }

void TellSignal(int signal) {
  char line[64];
  const int size = snprintf(line, sizeof line, "{\"signal\": %d}\n", signal);
  (void)!write(STDOUT_FILENO, line, static_cast<size_t>(size));
}

// hog=BYTES: really takes that much memory, in steps, so that a limit is met on the way.
void Hog(const std::string& argument) {
  const size_t size = std::strtoull(argument.c_str(), nullptr, 10);
  auto* memory = static_cast<char*>(
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) {
    std::printf("{\"hog\": \"%s\"}\n", ErrnoName(errno).c_str());
    return;
  }
  for (size_t at = 0; at < size; at += 4096) memory[at] = 1;
  std::printf("{\"hog\": \"0\"}\n");
  std::fflush(stdout);
}

// burn=MS: that much processor time.
void Burn(const std::string& argument) {
  const long long wanted_ns = std::atoll(argument.c_str()) * 1'000'000;
  timespec used{};
  do {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  } while (used.tv_sec * 1'000'000'000LL + used.tv_nsec < wanted_ns);
}

void Cat() {
  char buffer[65536];
  for (ssize_t size; (size = read(STDIN_FILENO, buffer, sizeof buffer)) > 0;)
    (void)!write(STDOUT_FILENO, buffer, static_cast<size_t>(size));
}

// orphan=SECONDS: a grandchild that nobody here waits for.
void Orphan(const std::string& argument) {
  const pid_t child = fork();
  if (child == 0) {
    if (fork() == 0) {
      sleep(static_cast<unsigned>(std::atoi(argument.c_str())));
      _exit(0);
    }
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

// lines=COUNT,TEXT: as fast as it can.
void Lines(const std::string& argument) {
  const auto comma = argument.find(',');
  const std::string text = comma == std::string::npos ? "line" : argument.substr(comma + 1);
  const long count = std::atol(argument.c_str());
  for (long i = 1; i <= count; ++i) std::printf("%s %ld\n", text.c_str(), i);
  std::fflush(stdout);
}

[[noreturn]] void Sleep(const std::string& argument) {
  if (!argument.empty()) {
    const time_t end = time(nullptr) + std::atol(argument.c_str());
    while (time(nullptr) < end) sleep(1);
    _exit(0);
  }
  for (;;) pause();
}

// datagram=SOCKET:TEXT
void Datagram(const std::string& argument) {
  const auto colon = argument.find(':');
  const std::string path = argument.substr(0, colon);
  const std::string text = argument.substr(colon + 1);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (sendto(fd, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address),
             sizeof address) < 0)
    std::perror("datagram");
  close(fd);
}

}  // namespace

bool Act(const std::string& name, const std::string& argument) {
  if (name == "exit") _exit(std::atoi(argument.c_str()));
  if (name == "sleep") Sleep(argument);
  if (name == "ignore") {
    signal(std::atoi(argument.c_str()), SIG_IGN);
  } else if (name == "trap") {  // trap=CODE: ends with it on SIGTERM
    exit_code_of_trap = std::atoi(argument.c_str());
    signal(SIGTERM, ExitOnSignal);
  } else if (name == "tell") {  // tell=SIGNAL: prints it when it comes
    signal(std::atoi(argument.c_str()), TellSignal);
  } else if (name == "die") {  // die=SIGNAL
    raise(std::atoi(argument.c_str()));
  } else if (name == "hog") {
    Hog(argument);
  } else if (name == "burn") {
    Burn(argument);
  } else if (name == "cat") {
    Cat();
  } else if (name == "orphan") {
    Orphan(argument);
  } else if (name == "lines") {
    Lines(argument);
  } else if (name == "print") {
    std::printf("%s\n", argument.c_str());
    std::fflush(stdout);
  } else if (name == "datagram") {
    Datagram(argument);
  } else if (name == "complain") {
    std::fprintf(stderr, "%s\n", argument.c_str());
  } else {
    return Attack(name, argument);
  }
  return true;
}

}  // namespace probe
