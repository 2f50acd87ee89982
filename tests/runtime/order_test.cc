// The order that the specification or the kernel demands, stated once.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "coracle/runtime/container.h"
#include "create.h"
#include "delete.h"
#include "exec.h"
#include "start.h"

namespace coracle::runtime {
namespace {

std::ptrdiff_t At(std::string_view table, std::string_view name) {
  const std::vector<StepInfo> steps = AllSteps();
  const auto found = std::find_if(steps.begin(), steps.end(), [&](const StepInfo& step) {
    return step.table == table && step.name == name;
  });
  EXPECT_NE(found, steps.end()) << table << " has no step " << name;
  return found - steps.begin();
}

void ExpectOrder(std::string_view table, const std::vector<std::string_view>& names) {
  for (std::size_t i = 1; i < names.size(); ++i)
    EXPECT_LT(At(table, names[i - 1]), At(table, names[i])) << names[i - 1] << ", " << names[i];
}

TEST(Order, OfTheRuntime) {
  // What `delete` needs to know is on disk before there is anything to delete.
  ExpectOrder("create", {"take-id", "record-intent", "make-cgroup", "clone-process"});
  // The program may not run before every limit and the device program are in force.
  ExpectOrder("create", {"clone-process", "write-id-maps", "limit-cgroup", "await-ready",
                         "apply-last-limits", "record-created"});
  // createRuntime hooks see the mounts, before the root changes.
  ExpectOrder("create", {"clone-process", "run-runtime-hooks", "await-ready"});
}

TEST(Order, OfTheContainerProcess) {
  ExpectOrder("container", {"await-id-maps", "join-namespaces", "become-namespace-root",
                            "isolate-mounts", "attach-root", "mount-filesystems", "create-devices",
                            "connect-stdio", "await-runtime-hooks", "run-container-hooks",
                            "pivot-root", "verify-root", "say-ready"});
  // Hooks may still need them; afterwards /proc/sys is read-only.
  ExpectOrder("container", {"run-container-hooks", "write-sysctls", "make-readonly-paths",
                            "mask-paths", "pivot-root"});
  // Host directories are closed before anything of the container's is looked up.
  ExpectOrder("container", {"verify-root", "close-descriptors", "find-executable"});
}

TEST(Order, OfTheProgramsStart) {
  ExpectOrder("program",
              {"set-rlimits", "load-seccomp-privileged", "limit-bounding-set", "set-user",
               "set-capabilities", "set-no-new-privs", "load-seccomp", "execute"});
  // They are files of the image: whatever they do, they do as the program would.
  ExpectOrder("program", {"set-capabilities", "load-seccomp", "run-start-hooks", "execute"});
  const std::vector<StepInfo> steps = AllSteps();
  const auto last = std::find_if(steps.rbegin(), steps.rend(),
                                 [](const StepInfo& step) { return step.table == "program"; });
  EXPECT_EQ(last->name, "execute");
}

TEST(Order, OfExec) {
  ExpectOrder("exec", {"open-container", "clone-process", "set-oom-score", "await-program"});
  ExpectOrder("exec-process", {"join-container", "become-namespace-root", "connect-stdio",
                               "close-descriptors", "find-executable"});
}

TEST(Order, OfDelete) {
  // A creation that hangs in a hook holds the lock until it is killed.
  ExpectOrder("delete", {"end-by-force", "take-stopped", "end-processes", "remove-cgroup"});
  // The state says what is left to remove, until nothing is; poststop hooks come after that.
  ExpectOrder("delete", {"remove-cgroup", "remove-state", "run-poststop-hooks"});
}

template <class Steps>
void ExpectUndoInWords(const Steps& steps) {
  for (const auto& step : steps) EXPECT_EQ(step.undo == nullptr, step.undone.empty()) << step.name;
}

TEST(AllSteps, SayWhatTheirUndoDoes) {
  ExpectUndoInWords(CreateSteps());
  ExpectUndoInWords(ContainerSteps());
  ExpectUndoInWords(StartSteps());
  ExpectUndoInWords(ProgramSteps());
  ExpectUndoInWords(DeleteSteps());
  ExpectUndoInWords(ExecSteps());
  ExpectUndoInWords(EnterSteps());
}

TEST(AllSteps, AreNamedOnceAndExplained) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const StepInfo& step : AllSteps()) {
    EXPECT_TRUE(seen.emplace(step.table, step.name).second) << step.name << " is there twice";
    EXPECT_FALSE(step.calls.empty()) << step.name;
    EXPECT_TRUE(step.why.ends_with('.')) << step.name;
    EXPECT_TRUE(step.spec == "-" || step.spec.find(".md#") != std::string_view::npos)
        << step.name << ": " << step.spec;
  }
}

}  // namespace
}  // namespace coracle::runtime
