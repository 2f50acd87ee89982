// CNI network configurations: SPEC.md section 1. Read from a directory, checked, and turned into
// what a plugin gets on its stdin (section 3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coracle/base/json.h"
#include "coracle/base/result.h"

namespace coracle::net {

struct Network {
  std::string name = {};
  // What the configuration offers and we speak, newest first; the first one that the plugins
  // speak too is the one in force.
  std::vector<std::string> versions = {};
  bool disable_check = false, disable_gc = false;
  std::vector<Json> plugins = {};  // plugin configuration objects, as they are in the file
  [[nodiscard]] const std::string& Version() const { return versions.front(); }
};

// The first configuration by file name. None: kNotFound. A broken one: file, place, what is
// allowed.
Result<Network> LoadNetwork(const std::string& conf_dir);

// Differs when LoadNetwork might give another answer.
std::string Fingerprint(const std::string& conf_dir);

// A configuration list as in a *.conflist, with `versions` reduced to the one in force.
Json ToJson(const Network& network);
Result<Network> NetworkFromJson(const Json& json, const std::string& what);

// `version` is 1.1.0 or newer, say.
bool AtLeast(std::string_view version, std::string_view least);

// Letters, digits, `_`, `.`, `-`, of which the first is a letter or digit: names of networks and
// containers.
bool IsCniName(std::string_view text);

}  // namespace coracle::net
