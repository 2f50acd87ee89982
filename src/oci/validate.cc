#include "validate.h"

#include <algorithm>

#include "coracle/base/json.h"

namespace coracle::oci {
namespace {

constexpr std::size_t kMaxUtsName = 64;  // __NEW_UTS_LEN of the kernel

bool IsNumber(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }) &&
         (text.size() == 1 || text[0] != '0');
}

// SemVer 2.0.0: major.minor.patch, then optionally -prerelease and +build.
bool IsSemVer(std::string_view text) {
  const auto end = text.find_first_of("-+");
  const auto core = text.substr(0, end);
  if (end != text.npos) {
    const auto tail = text.substr(end + 1);
    const auto allowed = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == '-' || c == '.' || c == '+';
    };
    if (tail.empty() || !std::ranges::all_of(tail, allowed)) return false;
  }
  const auto first = core.find('.');
  const auto second = first == core.npos ? core.npos : core.find('.', first + 1);
  return second != core.npos && IsNumber(core.substr(0, first)) &&
         IsNumber(core.substr(first + 1, second - first - 1)) && IsNumber(core.substr(second + 1));
}

void ValidateVersion(const Spec& spec, Problems& problems) {
  constexpr std::string_view kSection = "config.md#specification-version";
  if (!IsSemVer(spec.oci_version)) {
    problems.Add("/ociVersion",
                 "\"" + spec.oci_version + "\" is not a version; allowed: SemVer 2.0.0, e.g. 1.3.0",
                 kSection);
  } else if (!spec.oci_version.starts_with("1.")) {
    problems.Add("/ociVersion", "\"" + spec.oci_version + "\" is not supported; allowed: 1.x.y",
                 kSection);
  }
}

void ValidateMounts(const std::vector<Mount>& mounts, Problems& problems) {
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    const auto pointer = At("/mounts", i);
    if (mounts[i].destination.empty())
      problems.Add(At(pointer, "destination"), "must not be empty", "config.md#mounts");
    if (mounts[i].uid_mappings.empty() != mounts[i].gid_mappings.empty()) {
      problems.Add(pointer, "uidMappings and gidMappings must be given together",
                   "config.md#posix-platform-mounts");
    }
  }
}

void ValidateHooks(const std::string& pointer, const std::vector<Hook>& hooks, Problems& problems) {
  constexpr std::string_view kSection = "config.md#posix-platform-hooks";
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    const auto here = At(pointer, i);
    CheckAbsolute(problems, At(here, "path"), hooks[i].path, kSection);
    CheckEnv(problems, At(here, "env"), hooks[i].env, kSection);
    if (hooks[i].timeout_s && *hooks[i].timeout_s <= 0) {
      problems.Add(At(here, "timeout"),
                   "must be greater than 0, got " + std::to_string(*hooks[i].timeout_s), kSection);
    }
  }
}

void ValidateUtsName(const Spec& spec, const std::string& pointer, const std::string& name,
                     Problems& problems) {
  if (name.empty()) return;
  if (name.size() > kMaxUtsName) problems.Add(pointer, "at most 64 bytes", "uname(2)");
  if (!HasNamespace(spec.linux_, "uts")) {
    problems.Add(pointer, "needs a \"uts\" entry in /linux/namespaces: it would change the host's",
                 "config.md#hostname");
  }
}

}  // namespace

void Problems::Add(const std::string& pointer, const std::string& text, std::string_view section) {
  for (const auto& problem : list_) {
    const auto known = problem.substr(0, problem.find(": "));
    if (pointer == known || pointer.starts_with(known + "/")) return;
  }
  list_.push_back(pointer + ": " + text + " (" + std::string(section) + ")");
}

void Problems::CheckName(const std::string& pointer, std::string_view name, Names allowed,
                         std::string_view section) {
  if (std::ranges::find(allowed, name) != allowed.end()) return;
  std::string text = "unknown value \"" + std::string(name) + "\"; allowed:";
  for (const auto one : allowed) text.append(" ").append(one);
  Add(pointer, text, section);
}

void CheckAbsolute(Problems& problems, const std::string& pointer, const std::string& path,
                   std::string_view section) {
  if (!path.starts_with('/'))
    problems.Add(pointer, "\"" + path + "\" must be an absolute path", section);
}

void CheckEnv(Problems& problems, const std::string& pointer, const std::vector<std::string>& env,
              std::string_view section) {
  for (std::size_t i = 0; i < env.size(); ++i) {
    const auto equals = env[i].find('=');
    if (equals == std::string::npos || equals == 0)
      problems.Add(At(pointer, i), "\"" + env[i] + "\" must be NAME=value", section);
  }
}

std::string At(const std::string& pointer, std::size_t index) {
  return pointer + "/" + std::to_string(index);
}

std::string At(const std::string& pointer, const std::string& key) {
  return pointer + "/" + EscapeJsonPointer(key);
}

void Validate(const Spec& spec, Problems& problems) {
  ValidateVersion(spec, problems);
  if (!spec.root) {
    problems.Add("/root", "required, but missing", "config.md#root");
  } else if (spec.root->path.empty()) {
    problems.Add("/root/path", "must not be empty", "config.md#root");
  }
  ValidateMounts(spec.mounts, problems);
  if (spec.process) ValidateProcess(*spec.process, "/process", problems);
  ValidateUtsName(spec, "/hostname", spec.hostname, problems);
  ValidateUtsName(spec, "/domainname", spec.domainname, problems);
  ValidateHooks("/hooks/prestart", spec.hooks.prestart, problems);
  ValidateHooks("/hooks/createRuntime", spec.hooks.create_runtime, problems);
  ValidateHooks("/hooks/createContainer", spec.hooks.create_container, problems);
  ValidateHooks("/hooks/startContainer", spec.hooks.start_container, problems);
  ValidateHooks("/hooks/poststart", spec.hooks.poststart, problems);
  ValidateHooks("/hooks/poststop", spec.hooks.poststop, problems);
  if (spec.annotations.contains(""))
    problems.Add("/annotations", "a key must not be empty", "config.md#annotations");
  ValidateLinux(spec.linux_, problems);
}

}  // namespace coracle::oci
