// Lists of small numbers as the kernel and config.json write them: cpuset(7), "0-3,7".
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace coracle::runtime {

// Nothing when `list` is not such a list, or names a number of `limit` or more.
std::optional<std::vector<unsigned>> ParseNumberList(std::string_view list, unsigned limit);

}  // namespace coracle::runtime
