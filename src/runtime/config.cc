#include "config.h"

#include "coracle/base/json_text.h"

namespace coracle::runtime {
namespace {

// Empty where there is none, or where it is not JSON.
std::string_view SeccompText(const std::string& text) {
  const auto found = FindJsonText(text, {"linux", "seccomp"});
  return found && found->find('\0') == std::string_view::npos ? *found : std::string_view();
}

// `part` lies in `text`.
std::string WithNullFor(std::string_view part, const std::string& text) {
  const auto begin = static_cast<std::size_t>(part.data() - text.data());
  return text.substr(0, begin) + "null" + text.substr(begin + part.size());
}

}  // namespace

Result<Config> ParseConfig(const Runtime& runtime, const std::string& text,
                           const std::string& what) {
  Config config;
  const std::string_view seccomp = SeccompText(text);
  // No id may contain '@': the cache is nobody's container.
  if (!seccomp.empty()) config.cache = CacheOf(runtime.root + "/@seccomp", seccomp);
  config.filter = ReadCachedProgram(config.cache);
  if (config.filter) {
    if (auto spec = oci::ParseSpec(WithNullFor(seccomp, text), what); spec.has_value()) {
      config.spec = std::move(*spec);
      return config;
    }
    config.filter.reset();  // for the messages: places and problems of the whole text
  }
  config.spec = TRY(oci::ParseSpec(text, what));
  return config;
}

Result<oci::Spec> ParseWithoutSeccomp(const std::string& text, const std::string& what) {
  const std::string_view seccomp = SeccompText(text);
  return oci::ParseSpec(seccomp.empty() ? text : WithNullFor(seccomp, text), what);
}

}  // namespace coracle::runtime
