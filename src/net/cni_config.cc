#include "cni_config.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <ranges>

#include "coracle/base/file.h"

namespace coracle::net {
namespace {

namespace fs = std::filesystem;

// Newest first. Before 0.3.0 there are no lists and results look different.
constexpr std::array<std::string_view, 5> kVersions = {"1.1.0", "1.0.0", "0.4.0", "0.3.1", "0.3.0"};

constexpr const char* kNameRule =
    "allowed are letters, digits, \"_\", \".\" and \"-\", of which the first a letter or digit";

struct ListFields {
  std::string version, name;
  std::vector<std::string> versions;
  bool disable_check = false, disable_gc = false, only_inlined = false;
  std::vector<Json> plugins;
};

// A type becomes a file name in a directory of programs.
bool IsPluginType(const std::string& type) {
  return !type.empty() && type != "." && type != ".." &&
         type.find_first_of("/\\") == std::string::npos && type.find('\0') == std::string::npos;
}

std::vector<std::string> PluginProblems(const std::vector<Json>& plugins) {
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < plugins.size(); ++i) {
    const std::string at = "/plugins/" + std::to_string(i);
    if (!plugins[i].is_object()) {
      problems.push_back(at + ": expected object, got " + plugins[i].type_name());
      continue;
    }
    const auto type = plugins[i].find("type");
    if (type == plugins[i].end() || !type->is_string() ||
        !IsPluginType(type->get_ref<const std::string&>()))
      problems.push_back(at + "/type: required is a plugin's file name, without a directory");
  }
  return problems;
}

void Read(JsonReader& reader, ListFields& fields) {
  reader.Required("name", fields.name);
  reader.Optional("cniVersion", fields.version);
  reader.Optional("cniVersions", fields.versions);
  reader.Optional("disableCheck", fields.disable_check);
  reader.Optional("disableGC", fields.disable_gc);
  reader.Optional("loadOnlyInlinedPlugins", fields.only_inlined);
  reader.Optional("plugins", fields.plugins);
  if (!fields.name.empty() && !IsCniName(fields.name))
    reader.Problem("name", "got \"" + fields.name + "\"; " + kNameRule);
}

Result<std::vector<std::string>> CommonVersions(const ListFields& fields, const std::string& what) {
  std::vector<std::string> common;
  for (const std::string_view version : kVersions) {
    if (version == fields.version ||
        std::ranges::find(fields.versions, version) != fields.versions.end())
      common.emplace_back(version);
  }
  if (!common.empty()) return common;
  return Error{Code::kInvalidConfig, 0,
               what + ": /cniVersion: got \"" + fields.version +
                   "\"; allowed are 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"};
}

Result<ListFields> ReadFields(const Json& json, const std::string& what) {
  ListFields fields;
  TRY(ReadJsonDocument(json, what, fields));
  if (const auto problems = PluginProblems(fields.plugins); !problems.empty())
    return JsonProblems(what, problems);
  return fields;
}

Result<Network> MakeNetwork(ListFields fields, const std::string& what) {
  Network network;
  network.versions = TRY(CommonVersions(fields, what));
  if (fields.plugins.empty())
    return Error{Code::kInvalidConfig, 0,
                 what + ": /plugins: required is a list of at least one plugin"};
  network.name = std::move(fields.name);
  network.disable_check = fields.disable_check;
  network.disable_gc = fields.disable_gc;
  network.plugins = std::move(fields.plugins);
  return network;
}

std::vector<std::string> FilesIn(const std::string& directory,
                                 std::initializer_list<std::string_view> extensions) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension();
    if (std::ranges::find(extensions, extension) != extensions.end())
      files.push_back(it->path().string());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> ConfigurationFiles(const std::string& conf_dir) {
  return FilesIn(conf_dir, {".conflist", ".conf", ".json"});
}

// Plugins that somebody else added to the network `name`: one object per file.
Status AppendFromFolder(const std::string& folder, ListFields& fields) {
  for (const std::string& file : FilesIn(folder, {".conf"})) {
    Json plugin = TRY(ParseJson(TRY(ReadFile(file)), file));
    const Json wrapped = {{"name", fields.name}, {"plugins", Json::array({plugin})}};
    TRY(ReadFields(wrapped, file));
    fields.plugins.push_back(std::move(plugin));
  }
  return {};
}

// A single plugin's configuration is a list of one.
Json Wrapped(Json json) {
  if (!json.is_object() || json.contains("plugins") || !json.contains("type")) return json;
  Json list = Json::object();
  for (const char* key : {"cniVersion", "cniVersions", "name"}) {
    if (json.contains(key)) list[key] = json[key];
  }
  list["plugins"] = Json::array({std::move(json)});
  return list;
}

std::string Mark(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return path + " gone\n";
  return path + " " + std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) +
         " " + std::to_string(status.st_ctim.tv_sec) + "." +
         std::to_string(status.st_ctim.tv_nsec) + "\n";
}

}  // namespace

Result<Network> LoadNetwork(const std::string& conf_dir) {
  const std::vector<std::string> files = ConfigurationFiles(conf_dir);
  if (files.empty())
    return Error{Code::kNotFound, 0,
                 conf_dir + ": no network configuration; expected a *.conflist, *.conf or *.json"};
  const std::string& file = files.front();
  const Json json = Wrapped(TRY(ParseJson(TRY(ReadFile(file)), file)));
  ListFields fields = TRY(ReadFields(json, file));
  if (fields.only_inlined && fields.plugins.empty())
    return Error{Code::kInvalidConfig, 0,
                 file + ": /loadOnlyInlinedPlugins: true needs plugins in /plugins"};
  if (!fields.only_inlined) TRY(AppendFromFolder(conf_dir + "/" + fields.name, fields));
  return MakeNetwork(std::move(fields), file);
}

std::string Fingerprint(const std::string& conf_dir) {
  std::string marks;
  for (const std::string& file : ConfigurationFiles(conf_dir)) marks += Mark(file);
  std::error_code error;
  for (fs::directory_iterator it(conf_dir, error), end; !error && it != end; it.increment(error)) {
    std::error_code unreadable;
    if (!it->is_directory(unreadable)) continue;
    for (const std::string& file : FilesIn(it->path(), {".conf"})) marks += Mark(file);
  }
  return marks;
}

Json ToJson(const Network& network) {
  Json json = {{"cniVersion", network.Version()}, {"name", network.name}};
  if (network.disable_check) json["disableCheck"] = true;
  if (network.disable_gc) json["disableGC"] = true;
  json["plugins"] = network.plugins;
  return json;
}

Result<Network> NetworkFromJson(const Json& json, const std::string& what) {
  return MakeNetwork(TRY(ReadFields(json, what)), what);
}

bool AtLeast(std::string_view version, std::string_view least) {
  const auto numbers = [](std::string_view text) {
    std::vector<int> parts;
    for (auto part : std::views::split(text, '.')) {
      int number = 0;
      std::from_chars(part.data(), part.data() + part.size(), number);
      parts.push_back(number);
    }
    return parts;
  };
  return numbers(version) >= numbers(least);
}

bool IsCniName(std::string_view text) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && is_alphanumeric(text.front()) && std::ranges::all_of(text, [&](char c) {
    return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
  });
}

}  // namespace coracle::net
