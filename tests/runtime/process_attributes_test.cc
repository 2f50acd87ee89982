#include "process_attributes.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "child.h"

namespace coracle::runtime {
namespace {

using test::InChild;

oci::Process Valid() {
  oci::Process process;
  process.args = {"/bin/true"};
  process.cwd = "/";
  return process;
}
std::string Problem(const oci::Process& process) {
  const auto plan = PlanProcess(process, "/process");
  return plan.has_value() ? "" : plan.error().message;
}

TEST(ProcessAttributes, BadValuesNameTheirPlace) {
  EXPECT_EQ(Problem(Valid()), "");
  oci::Process process = Valid();
  process.cwd = "relative";
  EXPECT_EQ(Problem(process), "/process/cwd: \"relative\" is not an absolute path");
  process = Valid();
  process.args.clear();
  EXPECT_NE(Problem(process).find("/process/args"), std::string::npos);
  process = Valid();
  process.env = {std::string("A=b\0c", 5)};
  EXPECT_NE(Problem(process).find("/process/env"), std::string::npos);
  process = Valid();
  process.user.uid = 0xffffffff;
  EXPECT_NE(Problem(process).find("/process/user/uid"), std::string::npos);
  process = Valid();
  process.oom_score_adj = 1001;
  EXPECT_NE(Problem(process).find("/process/oomScoreAdj"), std::string::npos);
  process = Valid();
  process.io_priority = oci::IoPriority{.io_class = "IOPRIO_CLASS_BE", .priority = 8};
  EXPECT_NE(Problem(process).find("/process/ioPriority/priority"), std::string::npos);
  process = Valid();
  process.exec_cpu_affinity = oci::ExecCpuAffinity{.initial = "0-", .final_ = ""};
  EXPECT_NE(Problem(process).find("/process/execCPUAffinity/initial"), std::string::npos);
}

TEST(ProcessAttributes, BadSchedulersNameTheirPlace) {
  const auto problem = [](const oci::Scheduler& scheduler) {
    oci::Process process = Valid();
    process.scheduler = scheduler;
    return Problem(process);
  };
  oci::Scheduler scheduler;
  scheduler.policy = "SCHED_FAIR";
  EXPECT_NE(problem(scheduler).find("/process/scheduler/policy"), std::string::npos);
  scheduler.policy = "SCHED_OTHER";
  scheduler.nice = 20;
  EXPECT_NE(problem(scheduler).find("/process/scheduler/nice"), std::string::npos);
  scheduler.nice = 0;
  scheduler.priority = 1;
  EXPECT_NE(problem(scheduler).find("/process/scheduler/priority"), std::string::npos);
  scheduler.priority = 0;
  scheduler.flags = {"SCHED_FLAG_RESET_ON_FORK", "x"};
  EXPECT_NE(problem(scheduler).find("/process/scheduler/flags/1"), std::string::npos);
}

TEST(ProcessAttributes, CpuListsAreRead) {
  oci::Process process = Valid();
  process.exec_cpu_affinity = oci::ExecCpuAffinity{.initial = "0-2,7", .final_ = "1"};
  const auto plan = PlanProcess(process, "");
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(CPU_COUNT(&*plan->initial_cpus), 4);
  EXPECT_TRUE(CPU_ISSET(7, &*plan->initial_cpus));
  EXPECT_EQ(CPU_COUNT(&*plan->final_cpus), 1);
}

TEST(ProcessAttributes, PersonalityTakesNoFlags) {
  oci::Spec spec;
  EXPECT_FALSE(PlanPersonality(spec)->has_value());
  spec.linux_.personality = oci::Personality{.domain = "LINUX32", .flags = {}};
  EXPECT_EQ(**PlanPersonality(spec), static_cast<unsigned long>(PER_LINUX32));
  spec.linux_.personality->flags = {"X"};
  EXPECT_FALSE(PlanPersonality(spec).has_value());
  spec.linux_.personality = oci::Personality{.domain = "BSD", .flags = {}};
  EXPECT_FALSE(PlanPersonality(spec).has_value());
}

TEST(MemoryPolicy, IsPlannedAsTheKernelTakesIt) {
  const auto plan = [](const oci::MemoryPolicy& policy) {
    oci::Spec spec;
    spec.linux_.memory_policy = policy;
    return PlanMemoryPolicy(spec);
  };
  EXPECT_FALSE(PlanMemoryPolicy({}).value().has_value());
  const MemoryPolicyPlan bound = *plan({"MPOL_BIND", "0-1,64", {"MPOL_F_STATIC_NODES"}}).value();
  EXPECT_EQ(bound.mode, 2 | 1 << 15);
  EXPECT_EQ(bound.nodes, (std::vector<unsigned long>{3, 1}));
  EXPECT_EQ(plan({"MPOL_WEIGHTED_INTERLEAVE", "3", {}}).value()->mode, 6);
  EXPECT_TRUE(plan({"MPOL_PREFERRED", "", {}}).value()->nodes.empty());
  for (const char* nodes : {"x", "1-", "2-1", "1024", "-1", "1,,2"})
    EXPECT_FALSE(plan({"MPOL_BIND", nodes, {}}).has_value()) << nodes;
  EXPECT_FALSE(plan({"MPOL_LOCAL", "0", {}}).has_value());
  EXPECT_FALSE(plan({"MPOL_INTERLEAVE", "", {}}).has_value());
  EXPECT_EQ(MemoryPolicyModes().size(), 7U);
  EXPECT_EQ(MemoryPolicyFlags().size(), 3U);
}

TEST(ProcessAttributes, AreThoseOfTheProcess) {
  oci::Process process = Valid();
  process.user = oci::User{.uid = 100, .gid = 101, .umask = 027, .additional_gids = {5, 6}};
  process.no_new_privileges = true;
  process.scheduler.emplace();
  process.scheduler->policy = "SCHED_BATCH";
  process.scheduler->nice = 5;
  process.io_priority = oci::IoPriority{.io_class = "IOPRIO_CLASS_IDLE", .priority = 0};
  auto plan = PlanProcess(process, "/process");
  ASSERT_TRUE(plan.has_value());
  plan->personality = PER_LINUX32;
  EXPECT_EQ(InChild(0,
                    [&]() -> std::string {
                      MUST_WORK(JoinSessionKeyring());
                      MUST_WORK(SetPersonality(*plan));
                      MUST_WORK(SetScheduler(*plan->scheduler));
                      MUST_WORK(SetIoPriority(*plan));
                      MUST_WORK(SetNoNewPrivileges(*plan));
                      MUST_WORK(SetUser(*plan));
                      MUST(::personality(0xffffffff) == PER_LINUX32);
                      MUST(::sched_getscheduler(0) == SCHED_BATCH);
                      // IOPRIO_WHO_PROCESS; IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT
                      MUST(::syscall(SYS_ioprio_get, 1, 0) == 3 << 13);
                      MUST(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
                      MUST(::getuid() == 100 && ::getegid() == 101 && ::umask(0) == 027);
                      std::array<gid_t, 3> groups{};
                      MUST(::getgroups(3, groups.data()) == 2 && groups[0] == 5);
                      return "";
                    }),
            "");
}

TEST(ProcessAttributes, OomScoreIsWrittenByTheParent) {
  oci::Process process = Valid();
  process.oom_score_adj = 500;
  const auto plan = PlanProcess(process, "/process");
  EXPECT_EQ(InChild(0,
                    [&]() -> std::string {
                      MUST_WORK(SetOomScoreAdj({}, *plan, ::getpid()));
                      MUST(test::ReadText("/proc/self/oom_score_adj") == "500\n");
                      return "";
                    }),
            "");
}

TEST(ProcessAttributes, PipesBecomeTheUsersButNoFiles) {
  ProcessPlan plan;
  plan.uid = 100;
  const test::TempDir temp;
  EXPECT_EQ(InChild(0,
                    [&]() -> std::string {
                      std::array<int, 2> ends{};
                      MUST(::pipe(ends.data()) == 0);
                      const std::string path = temp.path() + "/file";
                      const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
                      MUST(::dup2(ends[1], 1) == 1 && ::dup2(file, 2) == 2);
                      MUST(::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0) == 0);
                      MUST_WORK(OwnStandardStreams(plan));
                      struct stat status {};
                      MUST(::fstat(1, &status) == 0 && status.st_uid == 100);
                      MUST(::fstat(2, &status) == 0 && status.st_uid == 0);
                      MUST(::fstat(0, &status) == 0 && status.st_uid == 0);
                      return "";
                    }),
            "");
}

}  // namespace
}  // namespace coracle::runtime
