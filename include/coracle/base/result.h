// Result<T> is either a T or an Error: std::expected, with an Error that converts by itself and a
// compiler that insists on looking.
#pragma once

#include <expected>
#include <utility>

#include "coracle/base/error.h"

namespace coracle {

template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Error error) : std::expected<T, Error>(std::unexpected(std::move(error))) {}  // NOLINT
};

using Status = Result<void>;

}  // namespace coracle

// Yields the value, or returns the Error from the enclosing function.
// A GNU statement expression: gcc and clang both have it, and Linux is our only platform.
// __COUNTER__ gives each use its own name, so that one TRY may stand inside another.
// Never inside the arguments of `new`: the memory is taken first, and the return would lose it.
#define TRY(...) TRY_AS(TRY_JOIN(try_, __COUNTER__), (__VA_ARGS__))
#define TRY_JOIN(a, b) TRY_JOIN_(a, b)
#define TRY_JOIN_(a, b) a##b
#define TRY_AS(name, expression)          \
  __extension__({                         \
    auto name = expression;               \
    if (!name.has_value()) [[unlikely]] { \
      return std::move(name).error();     \
    }                                     \
    *std::move(name);                     \
  })
