#include "document.h"

#include <set>
#include <vector>

#include "coracle/base/json.h"

namespace coracle::image {
namespace {

constexpr std::size_t kMaxDepth = 64;

// Follows the parser's events; false stops it.
class Checker : public nlohmann::json_sax<Json> {
 public:
  std::string problem;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return Enter(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    problem = "the key \"" + name.substr(0, 100) + "\" appears twice in one object";
    return false;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;  // ParseJson says it better
  }

 private:
  bool Enter() {
    keys_.emplace_back();
    if (keys_.size() <= kMaxDepth) return true;
    problem = "nested deeper than 64";
    return false;
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }
  std::vector<std::set<std::string>> keys_;
};

std::string BareType(const std::string& media_type) {
  return media_type.substr(0, media_type.find_first_of("; \t"));
}

}  // namespace

bool IsIndexType(std::string_view media_type) {
  return media_type == "application/vnd.oci.image.index.v1+json" ||
         media_type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

bool IsManifestType(std::string_view media_type) {
  return media_type == "application/vnd.oci.image.manifest.v1+json" ||
         media_type == "application/vnd.docker.distribution.manifest.v2+json";
}

Status CheckDocument(std::string_view text, const std::string& what) {
  Checker checker;
  if (!Json::sax_parse(text, &checker) && !checker.problem.empty())
    return Error{Code::kInvalidConfig, 0, what + ": " + checker.problem};
  return {};
}

Result<DocumentKind> KindOfDocument(std::string_view text, const std::string& media_type,
                                    const std::string& what) {
  TRY(CheckDocument(text, what));
  const Json json = TRY(ParseJson(text, what));
  const auto bad = [&](const std::string& problem) {
    return Error{Code::kInvalidConfig, 0, what + ": " + problem};
  };
  if (!json.is_object()) return bad("expected an object");
  if (json.contains("fsLayers"))
    return bad(
        "Docker image manifest schema 1 is not supported: push it again with a current tool");
  const bool index = json.contains("manifests");
  const bool manifest = json.contains("layers") || json.contains("config");
  if (index == manifest)
    return bad(index ? "is an index and a manifest at once" : "is neither an index nor a manifest");
  const std::string given = BareType(media_type);
  const auto member = json.find("mediaType");
  const std::string own =
      member != json.end() && member->is_string() ? member->get<std::string>() : "";
  for (const std::string& type : {given, own}) {
    if ((index && IsManifestType(type)) || (manifest && IsIndexType(type)))
      return bad("is not of its media type " + type);
  }
  if (!own.empty() && own != given && (IsIndexType(given) || IsManifestType(given)))
    return bad("has mediaType " + own + ", but was served as " + given);
  return index ? DocumentKind::kIndex : DocumentKind::kManifest;
}

}  // namespace coracle::image
