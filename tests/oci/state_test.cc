#include "coracle/oci/state.h"

#include <gtest/gtest.h>

#include "coracle/base/json.h"

namespace coracle::oci {
namespace {

TEST(State, PrintsTheMembersOfTheSpecification) {
  const State state{"1.3.0", "demo", ContainerStatus::kRunning, 42, "/b", {{"k", "v"}}};
  EXPECT_EQ(PrintJson(ToJson(state)),
            R"({"ociVersion":"1.3.0","id":"demo","status":"running","pid":42,"bundle":"/b",)"
            R"("annotations":{"k":"v"}})");
}

TEST(State, LeavesOutAnnotationsThatAreNot) {
  EXPECT_EQ(PrintJson(ToJson(State{"1.0.0", "a", ContainerStatus::kStopped, 0, "/b", {}})),
            R"({"ociVersion":"1.0.0","id":"a","status":"stopped","pid":0,"bundle":"/b"})");
}

TEST(StatusName, IsTheWordOfTheSpecification) {
  EXPECT_EQ(StatusName(ContainerStatus::kCreating), "creating");
  EXPECT_EQ(StatusName(ContainerStatus::kCreated), "created");
  EXPECT_EQ(StatusName(ContainerStatus::kRunning), "running");
  EXPECT_EQ(StatusName(ContainerStatus::kPaused), "paused");
  EXPECT_EQ(StatusName(ContainerStatus::kStopped), "stopped");
}

}  // namespace
}  // namespace coracle::oci
