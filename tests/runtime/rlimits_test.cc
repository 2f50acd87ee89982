#include "rlimits.h"

#include <gtest/gtest.h>

#include "child.h"

namespace coracle::runtime {
namespace {

oci::Process ProcessWith(std::vector<oci::Rlimit> limits) {
  oci::Process process;
  process.rlimits = std::move(limits);
  return process;
}
std::string Problem(std::vector<oci::Rlimit> limits) {
  const auto plan = PlanRlimits(ProcessWith(std::move(limits)), "/process");
  return plan.has_value() ? "" : plan.error().message;
}

TEST(Rlimits, BadValuesNameTheirPlace) {
  EXPECT_NE(Problem({{"RLIMIT_FOO", 1, 1}}).find("/process/rlimits/0/type: \"RLIMIT_FOO\""),
            std::string::npos);
  EXPECT_EQ(Problem({{"RLIMIT_CPU", 1, 1}, {"RLIMIT_CPU", 1, 1}}),
            "/process/rlimits/1/type: RLIMIT_CPU is repeated");
  EXPECT_NE(Problem({{"RLIMIT_CPU", 2, 1}}).find("soft 2 is above hard 1"), std::string::npos);
}

TEST(Rlimits, AreSet) {
  const auto plan =
      PlanRlimits(ProcessWith({{"RLIMIT_NOFILE", 100, 200}, {"RLIMIT_CORE", 0, 0}}), "/process");
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(test::InChild(0,
                          [&]() -> std::string {
                            MUST_WORK(SetRlimits(*plan));
                            struct rlimit now {};
                            MUST(::getrlimit(RLIMIT_NOFILE, &now) == 0);
                            MUST(now.rlim_cur == 100 && now.rlim_max == 200);
                            MUST(::getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_max == 0);
                            return "";
                          }),
            "");
}

TEST(Rlimits, RaisingWithoutTheRightIsExplained) {
  const auto plan = PlanRlimits(ProcessWith({{"RLIMIT_NOFILE", 100, 300}}), "/process");
  const std::string message = test::InChild(CLONE_NEWUSER, [&]() -> std::string {
    const struct rlimit low { .rlim_cur = 100, .rlim_max = 200 };
    MUST(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    const Status status = SetRlimits(*plan);
    return status.has_value() ? "worked" : status.error().message;
  });
  EXPECT_NE(message.find("raising the hard limit above 200 needs CAP_SYS_RESOURCE"),
            std::string::npos)
      << message;
}

}  // namespace
}  // namespace coracle::runtime
