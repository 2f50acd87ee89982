#include "coracle/sys/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "support/temp_dir.h"

namespace coracle::sys {
namespace {

TEST(SendFds, CarriesDescriptorsBesideData) {
  const auto [left, right] = SeqpacketPair().value();
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(SendFds(left.get(), "hello", {null.get(), left.get()}).has_value());
  const auto received = ReceiveFds(right.get());
  ASSERT_TRUE(received.has_value()) << received.error().message;
  EXPECT_EQ(received->data, "hello");
  ASSERT_EQ(received->fds.size(), 2U);
  struct stat ours {};
  struct stat theirs {};
  ::fstat(null.get(), &ours);
  ::fstat(received->fds[0].get(), &theirs);
  EXPECT_EQ(ours.st_rdev, theirs.st_rdev);
  EXPECT_NE(::fcntl(received->fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(ReceiveFds, RefusesAMessageThatIsCutOff) {
  const auto [left, right] = SeqpacketPair().value();
  ASSERT_TRUE(SendFds(left.get(), "longer than four", {}).has_value());
  EXPECT_EQ(ReceiveFds(right.get(), 4).error().code, Code::kProtocol);
}

TEST(ListenUnix, WorksWithAPathLongerThanAnAddress) {
  const test::TempDir dir;
  const std::string deep = dir.path() + "/" + std::string(120, 'd');
  ASSERT_TRUE(MakeDirectories(deep).has_value());
  const auto server = ListenUnix(deep + "/socket", 0600, SOCK_STREAM);
  ASSERT_TRUE(server.has_value()) << server.error().message;
  struct stat status {};
  ASSERT_EQ(::stat((deep + "/socket").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  const auto client = ConnectUnix(deep + "/socket", SOCK_STREAM);
  ASSERT_TRUE(client.has_value()) << client.error().message;
  EXPECT_EQ(ListenUnix(deep + "/socket", 0600, SOCK_STREAM).error().errnum, EADDRINUSE);
  EXPECT_EQ(ConnectUnix(deep + "/none", SOCK_STREAM).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace coracle::sys
