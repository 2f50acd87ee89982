// The MUSTs of config.md and config-linux.md that a look at the values decides. What depends on
// the host (a path, a controller, a kernel feature) is checked where it is used.
#pragma once

#include <initializer_list>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coracle/oci/spec.h"

namespace coracle::oci {

using Names = std::span<const std::string_view>;

// Collects "/pointer: what is wrong; what is allowed (section)". A place that already has a
// problem (a value of the wrong type, say) gets no second one that only follows from the first.
class Problems {
 public:
  explicit Problems(std::vector<std::string>& list) : list_(list) {}
  void Add(const std::string& pointer, const std::string& text, std::string_view section);
  // A problem that lists what is allowed, unless `name` is.
  void CheckName(const std::string& pointer, std::string_view name, Names allowed,
                 std::string_view section);
  void CheckName(const std::string& pointer, std::string_view name,
                 std::initializer_list<std::string_view> allowed, std::string_view section) {
    CheckName(pointer, name, Names(allowed.begin(), allowed.size()), section);
  }

 private:
  std::vector<std::string>& list_;
};

void CheckAbsolute(Problems& problems, const std::string& pointer, const std::string& path,
                   std::string_view section);
void CheckEnv(Problems& problems, const std::string& pointer, const std::vector<std::string>& env,
              std::string_view section);
std::string At(const std::string& pointer, std::size_t index);
std::string At(const std::string& pointer, const std::string& key);

void Validate(const Spec& spec, Problems& problems);
void ValidateLinux(const Linux& linux_, Problems& problems);
// `pointer` is where it stands: "/process" in config.json, "" in a file of its own.
void ValidateProcess(const Process& process, const std::string& pointer, Problems& problems);
void ValidateResources(const Resources& resources, const std::string& pointer, Problems& problems);
void ValidateSeccomp(const Seccomp& seccomp, Problems& problems);

bool HasNamespace(const Linux& linux_, std::string_view type);

}  // namespace coracle::oci
