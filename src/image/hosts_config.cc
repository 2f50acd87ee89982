#include "hosts_config.h"

#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "coracle/base/file.h"

namespace coracle::image {
namespace {

Error Bad(const std::string& path, const std::string& key, const std::string& problem) {
  return {Code::kInvalidConfig, 0, path + ": " + key + ": " + problem};
}

std::string HostOfRegistry(const std::string& registry) {
  return registry == "docker.io" ? "registry-1.docker.io" : registry;
}

std::string HostPart(const std::string& registry) {
  if (registry.starts_with('[')) return registry.substr(0, registry.find(']') + 1);
  return registry.substr(0, registry.find(':'));
}

// "mirror.local:5000" is https, or http when loopback; "/v2" is added unless overridden.
Result<std::string> BaseUrl(const std::string& text, bool override_path) {
  std::string url = text;
  if (url.find("://") == std::string::npos)
    url = (IsLoopback(HostPart(url)) ? "http://" : "https://") + url;
  const Url parsed = TRY(ParseUrl(url));
  while (url.ends_with('/')) url.pop_back();
  if (!override_path && !parsed.path.ends_with("/v2") && !parsed.path.ends_with("/v2/"))
    url += "/v2";
  return url;
}

// A file named in the configuration, beside it or absolute; it must be there.
Result<std::string> FileIn(const std::string& directory, const std::string& name) {
  std::string path = name.starts_with('/') ? name : directory + "/" + name;
  if (::access(path.c_str(), R_OK) != 0) return KernelError(path);
  return path;
}

// One string or an array of strings.
Status ReadStrings(const toml::node& node, std::vector<std::string>& out) {
  if (const auto text = node.value<std::string>()) {
    out.push_back(*text);
    return {};
  }
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& item : *array) {
      const auto text = item.value<std::string>();
      if (!text.has_value()) return Error{Code::kInvalidConfig, 0, "expected strings"};
      out.push_back(*text);
    }
    return {};
  }
  return Error{Code::kInvalidConfig, 0, "expected a string or an array of strings"};
}

// `client`: "both.pem", ["cert.pem", "key.pem"] or [["cert.pem", "key.pem"]].
Status ReadClient(const toml::node& node, const std::string& directory, TlsOptions& tls) {
  const toml::node* pair = &node;
  if (const toml::array* array = node.as_array();
      array != nullptr && !array->empty() && array->get(0)->is_array())
    pair = array->get(0);
  std::vector<std::string> files;
  TRY(ReadStrings(*pair, files));
  if (files.empty() || files.size() > 2)
    return Error{Code::kInvalidConfig, 0, "expected a certificate, or certificate and key"};
  tls.client_cert = TRY(FileIn(directory, files[0]));
  if (files.size() == 2) tls.client_key = TRY(FileIn(directory, files[1]));
  return {};
}

Status ReadHeaders(const toml::node& node, std::vector<std::string>& headers) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return Error{Code::kInvalidConfig, 0, "expected a table"};
  for (const auto& [name, value] : *table) {
    std::vector<std::string> values;
    TRY(ReadStrings(value, values));
    for (const std::string& text : values) {
      const std::string header = std::string(name.str()) + ": " + text;
      if (header.find_first_of("\r\n") != std::string::npos)
        return Error{Code::kInvalidConfig, 0, "a header must be one line"};
      headers.push_back(header);
    }
  }
  return {};
}

Status ReadBool(const toml::node& node, bool& out) {
  const auto value = node.value_exact<bool>();
  if (!value.has_value()) return Error{Code::kInvalidConfig, 0, "expected true or false"};
  out = *value;
  return {};
}

Status ReadCapabilities(const toml::node& node, RegistryHost& host) {
  std::vector<std::string> names;
  TRY(ReadStrings(node, names));
  host.resolve = host.pull = false;
  for (const std::string& name : names) {
    if (name == "resolve") {
      host.resolve = true;
    } else if (name == "pull") {
      host.pull = true;
    } else if (name != "push") {
      return Error{Code::kInvalidConfig, 0, "\"" + name + "\"; allowed are pull, resolve, push"};
    }
  }
  return {};
}

// The members that a [host."url"] table and the top level share.
Status ReadMember(std::string_view key, const toml::node& node, const std::string& directory,
                  RegistryHost& host) {
  if (key == "capabilities") return ReadCapabilities(node, host);
  if (key == "skip_verify") return ReadBool(node, host.tls.skip_verify);
  if (key == "header") return ReadHeaders(node, host.headers);
  if (key == "client") return ReadClient(node, directory, host.tls);
  if (key == "ca") {
    std::vector<std::string> files;
    TRY(ReadStrings(node, files));
    for (const std::string& file : files) host.tls.ca_files.push_back(TRY(FileIn(directory, file)));
  }
  return {};
}

Result<RegistryHost> ReadHost(const toml::table& table, const std::string& url,
                              const std::string& path) {
  RegistryHost host;
  bool override_path = false;
  const std::string directory = std::filesystem::path(path).parent_path();
  for (const auto& [key, node] : table) {
    Status status = key.str() == "override_path" ? ReadBool(node, override_path)
                                                 : ReadMember(key.str(), node, directory, host);
    if (!status.has_value()) return Bad(path, std::string(key.str()), status.error().message);
  }
  Result<std::string> base = BaseUrl(url, override_path);
  if (!base.has_value()) return Bad(path, "host", base.error().message);
  host.base_url = *std::move(base);
  return host;
}

Result<std::vector<RegistryHost>> ReadHostsToml(const std::string& path,
                                                const std::string& registry) {
  const std::string text = TRY(ReadFile(path, 1UL << 20));
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return Error{Code::kInvalidConfig, 0,
                 path + ": line " + std::to_string(error.source().begin.line) + ": " +
                     std::string(error.description())};
  }
  // toml++ sorts by key; the order in the file is the order to try.
  std::vector<std::pair<toml::source_position, RegistryHost>> mirrors;
  if (const toml::table* hosts = table["host"].as_table()) {
    for (const auto& [url, node] : *hosts) {
      const toml::table* host = node.as_table();
      if (host == nullptr) return Bad(path, "host", "expected a table per URL");
      mirrors.emplace_back(url.source().begin, TRY(ReadHost(*host, std::string(url.str()), path)));
    }
  }
  std::stable_sort(mirrors.begin(), mirrors.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<RegistryHost> out;
  for (auto& [position, host] : mirrors) out.push_back(std::move(host));
  const std::string server =
      table["server"].value<std::string>().value_or(HostOfRegistry(registry));
  table.erase("host");
  table.erase("server");
  RegistryHost origin = TRY(ReadHost(table, server, path));
  origin.is_origin = true;
  out.push_back(std::move(origin));
  return out;
}

// Docker's way: *.crt are CAs, NAME.cert with NAME.key a client certificate.
void ReadCertificates(const std::string& directory, TlsOptions& tls) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::filesystem::path& path = entry->path();
    if (path.extension() == ".crt") tls.ca_files.push_back(path);
    if (path.extension() == ".cert") {
      tls.client_cert = path;
      tls.client_key = std::filesystem::path(path).replace_extension(".key");
    }
  }
}

}  // namespace

Result<std::vector<RegistryHost>> HostsFor(const std::string& registry,
                                           const std::string& config_dir) {
  RegistryHost origin;
  origin.is_origin = true;
  origin.base_url = TRY(BaseUrl(HostOfRegistry(registry), false));
  std::vector<std::string> names = {registry, "_default"};
  if (const auto colon = registry.rfind(':');
      colon != std::string::npos && !registry.ends_with(']'))
    names.insert(names.begin(), registry.substr(0, colon) + "_" + registry.substr(colon + 1) + "_");
  for (const std::string& name : names) {
    const std::string directory = config_dir + "/" + name;
    std::error_code error;
    if (config_dir.empty() || !std::filesystem::is_directory(directory, error)) continue;
    const std::string path = directory + "/hosts.toml";
    if (std::filesystem::exists(path, error)) return ReadHostsToml(path, registry);
    ReadCertificates(directory, origin.tls);
    break;
  }
  return std::vector{std::move(origin)};
}

}  // namespace coracle::image
