#include "store/name_index.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "grpc_status.h"

namespace coracle::cri {
namespace {

const NameIndex::Gone kStays = [] { return false; };

TEST(NameIndex, GivesANameOnce) {
  NameIndex names;
  EXPECT_FALSE(names.Reserve("a", "1", kStays)->has_value());
  names.Finish("a", true);
  const auto again = names.Reserve("a", "2", kStays);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Code::kAlreadyExists);
  names.Release("a", "2");  // not its name
  EXPECT_FALSE(names.Reserve("a", "2", kStays).has_value());
  names.Release("a", "1");
  EXPECT_FALSE(names.Reserve("a", "2", kStays)->has_value());
}

TEST(NameIndex, GivesTheResultToWhoeverWaits) {
  NameIndex names;
  ASSERT_FALSE(names.Reserve("a", "1", kStays)->has_value());
  std::optional<std::string> got;
  std::thread second([&] { got = names.Reserve("a", "2", kStays).value_or(std::nullopt); });
  names.Finish("a", false);
  second.join();
  EXPECT_EQ(got, "1");
  EXPECT_FALSE(names.Reserve("a", "3", kStays).has_value());  // delivered by now
}

TEST(NameIndex, LetsTheNextOneTryAfterAFailure) {
  NameIndex names;
  ASSERT_FALSE(names.Reserve("a", "1", kStays)->has_value());
  std::atomic<bool> ours = false;
  std::thread second([&] {
    const auto reserved = names.Reserve("a", "2", kStays);
    ours = reserved.has_value() && !reserved->has_value();
  });
  names.Release("a", "1");
  second.join();
  EXPECT_TRUE(ours);
}

TEST(NameIndex, DoesNotKeepACallerThatIsGone) {
  NameIndex names;
  ASSERT_FALSE(names.Reserve("a", "1", kStays)->has_value());
  const auto reserved = names.Reserve("a", "2", [] { return true; });
  ASSERT_FALSE(reserved.has_value());
  EXPECT_EQ(ToGrpcStatus(reserved.error()).error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace coracle::cri
