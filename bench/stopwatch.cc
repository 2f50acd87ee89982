// Times commands of several contenders in turn, so that all see the same machine.
//
//   stopwatch ROUNDS WARM_UP PAUSE_MS < script > samples
//
// A line of the script, its words separated by tabs, is one operation of one contender:
//
//   CONTENDER OPERATION [NAME=VALUE...] PROGRAM [ARGUMENT...]
//   CONTENDER @reap PIDFILE     waits for the process named there, which is our descendant
//
// Each round runs all operations of each contender; who comes first rotates. "%" in a word becomes
// the round's number. An OPERATION that begins with "-" is run but not timed. A line of output is
// CONTENDER, OPERATION, wall time in ns, CPU time in us, peak memory in kB.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Operation {
  std::string name;
  std::vector<std::string> environment, words;
};
struct Contender {
  std::string name;
  std::vector<Operation> operations;
};

[[noreturn]] void Fail(const std::string& text) {
  std::fprintf(stderr, "stopwatch: %s\n", text.c_str());
  std::exit(1);
}

std::vector<std::string> Split(const char* line) {
  std::vector<std::string> words(1);
  for (; *line != '\0' && *line != '\n'; ++line) {
    if (*line == '\t')
      words.emplace_back();
    else
      words.back() += *line;
  }
  return words;
}

std::vector<Contender> ReadScript() {
  std::vector<Contender> contenders;
  char* line = nullptr;
  std::size_t size = 0;
  while (::getline(&line, &size, stdin) > 0) {
    const std::vector<std::string> words = Split(line);
    if (words.size() < 3) Fail("not an operation: " + std::string(line));
    if (contenders.empty() || contenders.back().name != words[0])
      contenders.push_back({words[0], {}});
    Operation operation{words[1], {}, {}};
    std::size_t at = 2;
    for (; words[at].find('=') != std::string::npos; ++at)
      operation.environment.push_back(words[at]);
    operation.words.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
    contenders.back().operations.push_back(operation);
  }
  std::free(line);
  return contenders;
}

std::string WithRound(std::string word, int round) {
  const std::size_t at = word.find('%');
  return at == std::string::npos ? word : word.replace(at, 1, std::to_string(round));
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::int64_t Now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

struct Sample {
  std::int64_t wall_ns, cpu_us;
  long peak_kb;
};

std::int64_t Microseconds(const timeval& time) { return time.tv_sec * 1'000'000LL + time.tv_usec; }

Sample Run(const Operation& operation, int round) {
  std::vector<std::string> words;
  for (const std::string& word : operation.words) words.push_back(WithRound(word, round));
  const std::vector<char*> argv = Pointers(words);
  std::vector<std::string> variables = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  variables.insert(variables.end(), operation.environment.begin(), operation.environment.end());
  const std::vector<char*> envp = Pointers(variables);
  const std::int64_t begin = Now();
  const pid_t pid = ::vfork();  // the copy of page tables that fork makes is not the contender's
  if (pid == 0) {
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  int status = 0;
  rusage usage{};
  while (::wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  const std::int64_t end = Now();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    Fail(operation.name + ": " + words[0] + " ended with status " + std::to_string(status));
  return {end - begin, Microseconds(usage.ru_utime) + Microseconds(usage.ru_stime),
          usage.ru_maxrss};
}

void Reap(const std::string& pid_file) {
  FILE* file = std::fopen(pid_file.c_str(), "re");
  int pid = 0;
  if (file == nullptr || std::fscanf(file, "%d", &pid) != 1) Fail("no pid in " + pid_file);
  std::fclose(file);
  ::waitpid(pid, nullptr, 0);
}

void RunAll(const Contender& contender, int round, bool counts) {
  for (const Operation& operation : contender.operations) {
    if (operation.name == "@reap") {
      Reap(WithRound(operation.words[0], round));
      continue;
    }
    const Sample sample = Run(operation, round);
    if (counts && operation.name[0] != '-')
      std::printf("%s\t%s\t%lld\t%lld\t%ld\n", contender.name.c_str(), operation.name.c_str(),
                  static_cast<long long>(sample.wall_ns), static_cast<long long>(sample.cpu_us),
                  sample.peak_kb);
  }
}

void Quieten() {
  const int null = ::open("/dev/null", O_RDWR);
  const int output = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  stdout = ::fdopen(output, "w");
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  ::close(null);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) Fail("usage: stopwatch ROUNDS WARM_UP PAUSE_MS < script");
  const int rounds = std::atoi(argv[1]);
  const int warm_up = std::atoi(argv[2]);
  const auto pause_us = static_cast<useconds_t>(std::atoi(argv[3]) * 1000);
  const std::vector<Contender> contenders = ReadScript();
  Quieten();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (int round = 0; round < warm_up + rounds; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      const std::size_t turn = (i + static_cast<std::size_t>(round)) % contenders.size();
      RunAll(contenders[turn], round, round >= warm_up);
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      ::usleep(pause_us);  // the kernel takes namespaces and cgroups apart a little later
    }
  }
  return std::fclose(stdout);
}
