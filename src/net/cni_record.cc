#include "cni_record.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "coracle/base/file.h"

namespace coracle::net {
namespace {

constexpr std::string_view kExtension = ".json";
constexpr char kSeparator = '@';  // in no container id, so a file name has one reading

Error Invalid(const std::string& what, const std::string& got, const std::string& allowed) {
  return {Code::kInvalidConfig, 0, what + ": got \"" + got + "\"; allowed is " + allowed};
}

// SPEC.md: less than 16 characters, no "/", ":" or white space; not "." or "..".
bool IsInterfaceName(const std::string& name) {
  return !name.empty() && name.size() < 16 && name != "." && name != ".." &&
         std::ranges::all_of(name,
                             [](char c) { return c > ' ' && c != '/' && c != ':' && c != 0x7f; });
}

Status CheckAttachment(const Attachment& attachment) {
  if (!IsCniName(attachment.container_id))
    return Invalid("CNI container id", attachment.container_id,
                   "a letter or digit, then letters, digits, \"_\", \".\", \"-\"");
  if (!IsInterfaceName(attachment.interface))
    return Invalid("CNI interface", attachment.interface, "a Linux interface name");
  // A separator inside a pod's name would let it say something else to the plugins.
  for (const auto& [key, value] : attachment.args) {
    const std::string text = key + value;
    if (key.empty() || text.find_first_of(";=\n") != std::string::npos ||
        text.find('\0') != std::string::npos)
      return Invalid("CNI_ARGS", key + "=" + value, "text without \";\", \"=\" and line breaks");
  }
  return {};
}

Json Capabilities(const Attachment& attachment) {
  Json capabilities = Json::object();
  Json ports = Json::array();
  for (const PortMapping& port : attachment.port_mappings) {
    if (port.host_port <= 0) continue;  // nothing asked on the host
    Json entry = {{"hostPort", port.host_port},
                  {"containerPort", port.container_port},
                  {"protocol", port.protocol}};
    if (!port.host_ip.empty()) entry["hostIP"] = port.host_ip;
    ports.push_back(std::move(entry));
  }
  if (!ports.empty()) capabilities["portMappings"] = std::move(ports);
  if (attachment.bandwidth.has_value()) capabilities["bandwidth"] = *attachment.bandwidth;
  if (attachment.dns.has_value()) capabilities["dns"] = *attachment.dns;
  for (const std::string& range : attachment.ip_ranges)  // each is one address to allocate
    capabilities["ipRanges"].push_back(Json::array({Json{{"subnet", range}}}));
  if (!attachment.cgroup_path.empty()) capabilities["cgroupPath"] = attachment.cgroup_path;
  return capabilities;
}

struct RecordFields {
  Record record;
  Json network;
};

void Read(JsonReader& reader, RecordFields& fields) {
  reader.Required("containerId", fields.record.container_id);
  reader.Required("interface", fields.record.interface);
  reader.Optional("networkPath", fields.record.network_path);
  reader.Optional("args", fields.record.args);
  reader.Optional("capabilities", fields.record.capabilities);
  reader.Required("network", fields.network);
  reader.Optional("result", fields.record.result);
}

}  // namespace

Result<Record> MakeRecord(const Attachment& attachment, const Network& network) {
  TRY(CheckAttachment(attachment));
  return Record{.container_id = attachment.container_id,
                .interface = attachment.interface,
                .network_path = attachment.network_path,
                .args = attachment.args,
                .capabilities = Capabilities(attachment),
                .network = network};
}

std::string RecordStore::Path(const std::string& container_id, const std::string& interface) const {
  return directory_ + "/" + container_id + kSeparator + interface + std::string(kExtension);
}

Status RecordStore::Save(const Record& record, Durable durable) const {
  const Json json = {{"containerId", record.container_id},
                     {"interface", record.interface},
                     {"networkPath", record.network_path},
                     {"args", record.args},
                     {"capabilities", record.capabilities},
                     {"network", ToJson(record.network)},
                     {"result", record.result}};
  TRY(MakeDirectories(directory_, 0700));
  return WriteFileAtomically(Path(record.container_id, record.interface), PrintJson(json), 0600,
                             durable);
}

Result<Record> RecordStore::Load(const std::string& container_id,
                                 const std::string& interface) const {
  if (!IsCniName(container_id) || !IsInterfaceName(interface))
    return Error{Code::kNotFound, 0, "CNI attachment " + container_id + " " + interface};
  const std::string path = Path(container_id, interface);
  const Json json = TRY(ParseJson(TRY(ReadFile(path)), path));
  RecordFields fields;
  TRY(ReadJsonDocument(json, path, fields));
  fields.record.network = TRY(NetworkFromJson(fields.network, path + ": /network"));
  return std::move(fields.record);
}

Status RecordStore::Remove(const Record& record) const {
  const std::string path = Path(record.container_id, record.interface);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return KernelError("unlink(2) path=" + path);
  return {};
}

Result<std::vector<RecordStore::Key>> RecordStore::List() const {
  namespace fs = std::filesystem;
  std::vector<Key> keys;
  std::error_code error;
  for (fs::directory_iterator it(directory_, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename();
    const auto at = name.find(kSeparator);
    if (at == std::string::npos || !name.ends_with(kExtension)) continue;
    keys.push_back(
        {name.substr(0, at), name.substr(at + 1, name.size() - kExtension.size() - at - 1)});
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return KernelError("readdir(3) path=" + directory_, error.value());
  return keys;
}

}  // namespace coracle::net
