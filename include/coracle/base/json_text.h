// One member of a JSON document by its text, without parsing the document.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>

namespace coracle {

// The text of the value at `path`, the names of members, the outermost first. Of a valid document
// it is exactly that value's; what is not valid is left for the parser to find. Empty when there is
// no such member, or when looking is not enough: a name given twice, or written with escapes.
std::optional<std::string_view> FindJsonText(std::string_view document,
                                             std::initializer_list<std::string_view> path);

}  // namespace coracle
