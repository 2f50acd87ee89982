// The JSON value by name only: the library behind json.h costs each source that sees it seconds.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace coracle {

using Json = nlohmann::ordered_json;

}  // namespace coracle
