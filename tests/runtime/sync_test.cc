#include "sync.h"

#include <gtest/gtest.h>

#include "coracle/sys/socket.h"

namespace coracle::runtime {
namespace {

TEST(Sync, AFailureArrivesAsTheError) {
  const auto [ours, theirs] = sys::SeqpacketPair().value();
  ASSERT_TRUE(SendFailure(theirs.get(), {Code::kUnsupported, ENOSYS, "what happened", "a-step"})
                  .has_value());
  const auto ready = ExpectSync(ours.get(), SyncKind::kReady);
  ASSERT_FALSE(ready.has_value());
  EXPECT_EQ(ready.error().code, Code::kUnsupported);
  EXPECT_EQ(ready.error().errnum, ENOSYS);
  EXPECT_EQ(ready.error().message, "what happened");
  EXPECT_EQ(ready.error().step, "a-step");
}

TEST(Sync, WhatIsTooLongIsCutOff) {
  const auto [ours, theirs] = sys::SeqpacketPair().value();
  ASSERT_TRUE(
      SendFailure(theirs.get(), {Code::kKernel, 0, std::string(9999, 'x'), std::string(99, 'y')})
          .has_value());
  const auto ready = ExpectSync(ours.get(), SyncKind::kReady);
  ASSERT_FALSE(ready.has_value());
  EXPECT_EQ(ready.error().message, std::string(SyncMessage().text.size() - 1, 'x'));
  EXPECT_EQ(ready.error().step, std::string(SyncMessage().step.size() - 1, 'y'));
}

TEST(Sync, AnotherMessageThanExpectedIsAnError) {
  auto [ours, theirs] = sys::SeqpacketPair().value();
  ASSERT_TRUE(SendSync(theirs.get(), SyncKind::kMounted).has_value());
  EXPECT_EQ(ExpectSync(ours.get(), SyncKind::kReady).error().code, Code::kProtocol);
  theirs.reset();
  EXPECT_EQ(ExpectSync(ours.get(), SyncKind::kReady).error().code, Code::kProtocol);
}

// The kernel tells of our unread message first (ECONNRESET); the other's last word is behind that.
TEST(LastWord, SurvivesThatOursWasNotRead) {
  auto [ours, theirs] = sys::SeqpacketPair().value();
  ASSERT_TRUE(SendSync(ours.get(), SyncKind::kIdMapsWritten).has_value());
  ASSERT_TRUE(SendFailure(theirs.get(), {Code::kKernel, EPERM, "the cause", "a-step"}).has_value());
  theirs.reset();
  const Error error = LastWordOf(ours.get(), {Code::kKernel, EPIPE, "an effect"});
  EXPECT_EQ(error.message, "the cause");
}

TEST(LastWord, IsOursWhereTheOtherSaidNothing) {
  auto [ours, theirs] = sys::SeqpacketPair().value();
  EXPECT_EQ(LastWordOf(ours.get(), {Code::kKernel, EPIPE, "an effect"}).message, "an effect");
  theirs.reset();
  EXPECT_EQ(LastWordOf(ours.get(), {Code::kKernel, EPIPE, "an effect"}).message, "an effect");
}

TEST(AwaitExecve, EndsWithTheConnection) {
  auto [ours, theirs] = sys::SeqpacketPair().value();
  theirs.reset();
  const auto listener = AwaitExecve(ours.get());
  ASSERT_TRUE(listener.has_value());
  EXPECT_FALSE(*listener);
}

}  // namespace
}  // namespace coracle::runtime
