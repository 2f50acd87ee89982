#include "server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coracle/base/file.h"
#include "coracle/sys/socket.h"
#include "support/temp_dir.h"

namespace coracle::cri {
namespace {

TEST(ClearStaleSocket, RemovesOnlyWhatNobodyListensOn) {
  const coracle::test::TempDir dir;
  const std::string path = dir.path() + "/s.sock";
  EXPECT_TRUE(ClearStaleSocket(path).has_value());
  {
    const auto listening = sys::ListenUnix(path, 0600, SOCK_STREAM);
    ASSERT_TRUE(listening.has_value());
    EXPECT_FALSE(ClearStaleSocket(path).has_value());
  }
  EXPECT_TRUE(ClearStaleSocket(path).has_value());
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(ClearStaleSocket, NeverRemovesAFile) {
  const coracle::test::TempDir dir;
  const std::string path = dir.path() + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "precious").has_value());
  EXPECT_FALSE(ClearStaleSocket(path).has_value());
  EXPECT_EQ(ReadFile(path).value_or(""), "precious");
}

}  // namespace
}  // namespace coracle::cri
