#include "coracle/net/cni.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <mutex>
#include <ranges>
#include <shared_mutex>

#include "cni_config.h"
#include "cni_plugin.h"
#include "cni_record.h"
#include "coracle/base/file.h"

namespace coracle::net {
namespace {

constexpr const char* kPrevResultAtDelAndCheck = "0.4.0";  // the first version that has them
constexpr const char* kStatusAndGc = "1.1.0";

// A namespace that is pinned, not only the file that it was pinned on.
bool IsNamespace(const std::string& path) {
  struct statfs status {};
  return !path.empty() && ::statfs(path.c_str(), &status) == 0 && status.f_type == NSFS_MAGIC;
}

// SPEC.md, "Deriving request configuration from plugin configuration".
Json DeriveRequest(const Network& network, const Json& plugin) {
  Json request = {{"cniVersion", network.Version()}, {"name", network.name}};
  for (const auto& [key, value] : plugin.items()) {
    const bool ours = key == "cniVersion" || key == "name" || key == "capabilities";
    if (!ours && !key.starts_with("cni.dev/")) request[key] = value;
  }
  return request;
}

Json AttachmentRequest(const Record& record, const Json& plugin, const Json& previous) {
  Json request = DeriveRequest(record.network, plugin);
  const auto declared = plugin.find("capabilities");
  if (declared != plugin.end() && declared->is_object()) {
    for (const auto& [capability, value] : record.capabilities.items()) {
      const auto supported = declared->find(capability);
      if (supported != declared->end() && *supported == true)
        request["runtimeConfig"][capability] = value;
    }
  }
  if (!previous.is_null()) request["prevResult"] = previous;
  return request;
}

// Addresses of interfaces inside the sandbox, or of no named interface at all.
std::vector<std::string> SandboxIps(const Json& result) {
  std::vector<std::string> ips;
  const auto list = result.find("ips");
  if (list == result.end() || !list->is_array()) return ips;
  const auto interfaces = result.find("interfaces");
  for (const Json& ip : *list) {
    if (!ip.is_object() || !ip.contains("address") || !ip["address"].is_string()) continue;
    if (const auto index = ip.find("interface");
        index != ip.end() && index->is_number_unsigned() && interfaces != result.end() &&
        interfaces->is_array() && index->get<std::size_t>() < interfaces->size()) {
      const Json& interface = (*interfaces)[index->get<std::size_t>()];
      if (!interface.is_object() || interface.value("sandbox", Json("")) == "") continue;
    }
    const std::string address = ip["address"].get<std::string>();
    ips.push_back(address.substr(0, address.find('/')));
  }
  return ips;
}

std::string ArgsText(const std::map<std::string, std::string>& args) {
  std::string text;
  for (const auto& [key, value] : args) text += (text.empty() ? "" : ";") + key + "=" + value;
  return text;
}

class PluginCni final : public Cni {
 public:
  explicit PluginCni(CniOptions options)
      : options_(std::move(options)), records_(options_.cache_dir) {}

  Status Ready() override;
  Result<Json> Configuration() override { return ToJson(*TRY(Current())); }
  Result<CniResult> Attach(const Attachment& attachment) override;
  Status Check(const Attachment& attachment) override;
  Status Detach(const Attachment& attachment) override;
  Status CollectGarbage(const std::vector<std::string>& container_ids) override;
  Result<std::vector<std::string>> Attached() override;

 private:
  using NetworkPointer = std::shared_ptr<const Network>;

  Result<NetworkPointer> Current();
  Result<Network> Load() const;
  [[nodiscard]] PluginCall Call(const char* command, const Network& network) const;
  [[nodiscard]] PluginCall Call(const char* command, const Record& record) const;
  Result<Json> AddAll(const Record& record, std::size_t& begun) const;
  Status DeleteAll(const Record& record, std::size_t count) const;

  const CniOptions options_;
  const RecordStore records_;
  // Guards the two below, never while a plugin runs or a file is read.
  std::mutex mutex_;
  std::string fingerprint_;
  NetworkPointer network_;
  // SPEC.md, "Lifecycle & Ordering": GC alone, ADD and DEL (shared) not beside it.
  std::shared_mutex gc_mutex_;
};

PluginCall PluginCni::Call(const char* command, const Network& network) const {
  return {.command = command,
          .network = network.name,
          .bin_dirs = options_.bin_dirs,
          .timeout = options_.plugin_timeout};
}

PluginCall PluginCni::Call(const char* command, const Record& record) const {
  PluginCall call = Call(command, record.network);
  call.container_id = record.container_id;
  call.network_path = record.network_path;
  call.interface = record.interface;
  call.args = ArgsText(record.args);
  return call;
}

// The newest version that configuration, plugins and we have in common.
Result<Network> PluginCni::Load() const {
  Network network = TRY(LoadNetwork(options_.conf_dir));
  for (const Json& plugin : network.plugins) {
    const std::string type = plugin["type"].get<std::string>();
    const std::vector<std::string> spoken = TRY(PluginVersions(Call("VERSION", network), type));
    std::erase_if(network.versions, [&](const std::string& version) {
      return std::ranges::find(spoken, version) == spoken.end();
    });
    if (network.versions.empty())
      return Error{Code::kInvalidConfig, 0,
                   options_.conf_dir + ": network \"" + network.name + "\": plugin \"" + type +
                       "\" speaks none of the configuration's cniVersions, only up to " +
                       spoken.back()};
  }
  network.versions.resize(1);
  return network;
}

Result<PluginCni::NetworkPointer> PluginCni::Current() {
  const std::string fingerprint = Fingerprint(options_.conf_dir);
  {
    const std::lock_guard lock(mutex_);
    if (network_ != nullptr && fingerprint == fingerprint_) return network_;
  }
  auto network = std::make_shared<const Network>(TRY(Load()));
  const std::lock_guard lock(mutex_);
  fingerprint_ = fingerprint;
  network_ = network;
  return network;
}

Status PluginCni::Ready() {
  const NetworkPointer network = TRY(Current());
  for (const Json& plugin : network->plugins) {
    if (AtLeast(network->Version(), kStatusAndGc))
      TRY(RunPlugin(Call("STATUS", *network), DeriveRequest(*network, plugin)));
    else
      TRY(FindPlugin(plugin["type"].get<std::string>(), options_.bin_dirs));
  }
  return {};
}

Result<Json> PluginCni::AddAll(const Record& record, std::size_t& begun) const {
  Json result;
  for (const Json& plugin : record.network.plugins) {
    TRY(FindPlugin(plugin["type"].get<std::string>(), options_.bin_dirs));
    ++begun;
    result = TRY(RunPlugin(Call("ADD", record), AttachmentRequest(record, plugin, result)));
    if (!result.is_object())
      return Error{Code::kProtocol, 0,
                   "CNI plugin " + plugin["type"].get<std::string>() +
                       " ADD network=" + record.network.name + ": no result object on stdout"};
  }
  return result;
}

// The first `count` plugins, newest first; one that fails does not keep the others.
Status PluginCni::DeleteAll(const Record& record, std::size_t count) const {
  Record with = record;
  if (!IsNamespace(with.network_path)) with.network_path.clear();
  const Json previous =
      AtLeast(with.network.Version(), kPrevResultAtDelAndCheck) ? with.result : Json();
  Status first;
  for (const Json& plugin : with.network.plugins | std::views::take(count) | std::views::reverse) {
    const Result<Json> done =
        RunPlugin(Call("DEL", with), AttachmentRequest(with, plugin, previous));
    if (!done.has_value() && first.has_value()) first = done.error();
  }
  if (first.has_value()) return records_.Remove(record);
  return first;  // the record stays for another try
}

Result<CniResult> PluginCni::Attach(const Attachment& attachment) {
  const NetworkPointer network = TRY(Current());
  Record record = TRY(MakeRecord(attachment, *network));
  if (!IsNamespace(record.network_path))
    return Error{Code::kInvalidConfig, 0,
                 "CNI network namespace: got \"" + record.network_path +
                     "\"; required is the path of a pinned one"};
  const std::shared_lock not_during_gc(gc_mutex_);
  if (records_.Load(record.container_id, record.interface).has_value())
    return Error{
        Code::kAlreadyExists, 0,
        "CNI attachment " + record.container_id + " " + record.interface + ": exists already"};
  TRY(records_.Save(record, Durable::kYes));
  std::size_t begun = 0;
  Result<Json> result = AddAll(record, begun);
  Status saved;
  if (result.has_value()) {
    record.result = *result;
    saved = records_.Save(record, Durable::kNo);
  }
  if (result.has_value() && saved.has_value())
    return CniResult{.ips = SandboxIps(*result), .raw = *result};
  Error error = result.has_value() ? saved.error() : result.error();
  if (const Status undone = DeleteAll(record, begun); !undone.has_value())
    error.message += "; then, undoing it: " + undone.error().message;
  return error;
}

Status PluginCni::Check(const Attachment& attachment) {
  const Record record = TRY(records_.Load(attachment.container_id, attachment.interface));
  if (record.network.disable_check || !AtLeast(record.network.Version(), kPrevResultAtDelAndCheck))
    return {};
  if (record.result.is_null())
    return Error{Code::kWrongState, 0,
                 "CNI attachment " + record.container_id + " " + record.interface +
                     ": its ADD never finished"};
  for (const Json& plugin : record.network.plugins)
    TRY(RunPlugin(Call("CHECK", record), AttachmentRequest(record, plugin, record.result)));
  return {};
}

Status PluginCni::Detach(const Attachment& attachment) {
  const std::shared_lock not_during_gc(gc_mutex_);
  Result<Record> record = records_.Load(attachment.container_id, attachment.interface);
  if (!record.has_value() && record.error().code == Code::kNotFound) return {};
  // A damaged record: what the configuration says today is the best that is left.
  if (!record.has_value()) record = MakeRecord(attachment, *TRY(Current()));
  if (!record.has_value()) return record.error();
  if (attachment.network_path.empty()) record->network_path.clear();
  return DeleteAll(*record, record->network.plugins.size());
}

Status PluginCni::CollectGarbage(const std::vector<std::string>& container_ids) {
  const NetworkPointer network = TRY(Current());
  if (network->disable_gc || !AtLeast(network->Version(), kStatusAndGc)) return {};
  const std::unique_lock alone(gc_mutex_);
  Json valid = Json::array();
  for (const RecordStore::Key& key : TRY(records_.List())) {
    if (std::ranges::find(container_ids, key.container_id) != container_ids.end())
      valid.push_back({{"containerID", key.container_id}, {"ifname", key.interface}});
  }
  Status first;
  for (const Json& plugin : network->plugins) {
    Json request = DeriveRequest(*network, plugin);
    request["cni.dev/valid-attachments"] = valid;
    const Result<Json> done = RunPlugin(Call("GC", *network), request);
    if (!done.has_value() && first.has_value()) first = done.error();
  }
  return first;
}

Result<std::vector<std::string>> PluginCni::Attached() {
  std::vector<std::string> ids;
  for (RecordStore::Key& key : TRY(records_.List())) ids.push_back(std::move(key.container_id));
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace

Result<std::unique_ptr<Cni>> Cni::Open(CniOptions options) {
  for (const std::string& directory : options.bin_dirs) {
    if (directory.empty() || directory.front() != '/' || directory.find(':') != std::string::npos)
      return Error{Code::kInvalidConfig, 0,
                   "CNI plugin directory \"" + directory +
                       "\": allowed is an absolute path "
                       "without \":\""};
  }
  if (options.cache_dir.empty() || options.cache_dir.front() != '/')
    return Error{Code::kInvalidConfig, 0,
                 "CNI cache directory \"" + options.cache_dir + "\": required is an absolute path"};
  return std::unique_ptr<Cni>(std::make_unique<PluginCni>(std::move(options)));
}

}  // namespace coracle::net
