#include "capabilities.h"

#include <gtest/gtest.h>

#include "child.h"
#include "process_attributes.h"

namespace coracle::runtime {
namespace {

using test::InChild;

constexpr sys::CapabilityMask kChown = 1U << 0, kKill = 1U << 5, kNetRaw = 1U << 13;

struct Warnings {
  std::vector<std::string> lines;
  Warn warn = [this](const std::string& line) { lines.push_back(line); };
};

oci::Process ProcessWith(const std::vector<std::string>& names) {
  oci::Process process;
  process.capabilities = oci::Capabilities{
      .bounding = names, .effective = names, .inheritable = {}, .permitted = names, .ambient = {}};
  return process;
}

TEST(Capabilities, WithoutAnyAllSetsAreEmpty) {
  const auto sets = PlanCapabilities(oci::Process{}, false, {});
  ASSERT_TRUE(sets.has_value());
  EXPECT_EQ(sets->bounding | sets->effective | sets->permitted, 0U);
}

TEST(Capabilities, UnknownOnesAreAWarning) {
  Warnings warnings;
  const auto sets =
      PlanCapabilities(ProcessWith({"CAP_CHOWN", "CAP_NO_SUCH"}), false, warnings.warn);
  EXPECT_EQ(sets->permitted, kChown);
  ASSERT_EQ(warnings.lines.size(), 3U);
  EXPECT_NE(warnings.lines[0].find("/process/capabilities/bounding: CAP_NO_SUCH is unknown"),
            std::string::npos);
}

TEST(Capabilities, WhatWeLackIsAWarningExceptInAUserNamespace) {
  EXPECT_EQ(InChild(0,
                    []() -> std::string {
                      MUST_WORK(sys::DropBounding(kChown));
                      MUST_WORK(sys::capset({.effective = kChown, .permitted = kChown}));
                      Warnings warnings;
                      const auto process = ProcessWith({"CAP_CHOWN", "CAP_KILL"});
                      MUST(PlanCapabilities(process, false, warnings.warn)->bounding == kChown);
                      MUST(warnings.lines.size() == 3);
                      MUST(PlanCapabilities(process, true, {})->bounding == (kChown | kKill));
                      return "";
                    }),
            "");
}

TEST(Capabilities, AmbientMustBePermittedAndInheritable) {
  oci::Process process = ProcessWith({"CAP_CHOWN", "CAP_KILL"});
  process.capabilities->inheritable = {"CAP_KILL"};
  process.capabilities->ambient = {"CAP_CHOWN", "CAP_KILL"};
  Warnings warnings;
  EXPECT_EQ(PlanCapabilities(process, false, warnings.warn)->ambient, kKill);
  EXPECT_EQ(warnings.lines.size(), 1U);
}

TEST(Capabilities, SurviveTheChangeOfUser) {
  EXPECT_EQ(InChild(0,
                    []() -> std::string {
                      const sys::CapabilitySets sets{.bounding = kChown | kNetRaw,
                                                     .effective = kNetRaw,
                                                     .inheritable = kNetRaw,
                                                     .permitted = kNetRaw,
                                                     .ambient = kNetRaw};
                      ProcessPlan plan;
                      plan.uid = 1234;
                      MUST_WORK(LimitBoundingSet(sets));
                      MUST_WORK(SetUser(plan));
                      MUST_WORK(SetCapabilities(sets));
                      const auto now = sys::ReadCapabilities();
                      MUST(now->bounding == sets.bounding && now->effective == kNetRaw);
                      MUST(now->permitted == kNetRaw && now->ambient == kNetRaw);
                      return "";
                    }),
            "");
}

}  // namespace
}  // namespace coracle::runtime
