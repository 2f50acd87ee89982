// What a person can do about a failed system call: one table, used at this edge only.
#pragma once

#include <string_view>

#include "coracle/base/error.h"

namespace coracle::runtime::cli {

// "" when there is nothing to say that the message does not say already.
std::string_view HintFor(const Error& error);

}  // namespace coracle::runtime::cli
