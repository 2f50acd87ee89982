#include "hints.h"

#include <gtest/gtest.h>

namespace coracle::runtime::cli {
namespace {

TEST(Hints, AreForTheCallAndItsErrno) {
  EXPECT_NE(HintFor(KernelError("clone3(2) flags=CLONE_NEWUSER", ENOSPC)).find("namespaces"),
            std::string_view::npos);
  EXPECT_EQ(HintFor(KernelError("clone3(2) flags=CLONE_NEWUSER", ENOMEM)), "");
  EXPECT_NE(HintFor(KernelError("open(2) path=/x", EMFILE)), "");
  EXPECT_EQ(HintFor({Code::kInvalidConfig, 0, "clone3(2)"}), "");
}

}  // namespace
}  // namespace coracle::runtime::cli
