#include "layer_installer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "coracle/sys/path.h"
#include "file_lock.h"
#include "merged_view.h"

namespace coracle::image {
namespace {

constexpr std::uint64_t kMinLimit = 20ULL << 30;  // bytes of an uncompressed layer
constexpr std::uint64_t kMaxRatio = 100;

}  // namespace

std::string ChainId(const std::string& parent_chain, const std::string& diff_id) {
  return parent_chain.empty() ? diff_id : DigestOf(parent_chain + " " + diff_id).String();
}

LayerInstaller::LayerInstaller(StoreContext& store, std::vector<LayerSource> sources,
                               Options options)
    : store_(store), options_(std::move(options)) {
  std::string chain;
  for (LayerSource& source : sources) {
    Slot slot;
    slot.chain_id = chain = ChainId(chain, source.diff_id.String());
    slot.source = std::move(source);
    slots_.push_back(std::move(slot));
  }
}

LayerInstaller::~LayerInstaller() {
  for (Slot& slot : slots_) {
    if (slot.state != State::kRecorded && !slot.directory.empty())
      (void)RemoveTree(store_.LayerDir(slot.directory));
    Unlock(slot);
  }
}

void LayerInstaller::Unlock(Slot& slot) const {
  if (!slot.lock) return;
  ::unlink(store_.content.IngestPath("chain-" + slot.chain_id.substr(7)).c_str());
  slot.lock.reset();
}

Result<std::vector<LayerRecord>> LayerInstaller::Run() {
  {
    std::vector<std::jthread> workers;
    const auto count = std::min<std::size_t>(std::max(1U, options_.parallel), slots_.size());
    for (std::size_t i = 0; i < count; ++i) workers.emplace_back([this] { Work(); });
  }
  if (failure_.has_value()) return *failure_;
  std::vector<LayerRecord> records;
  for (const Slot& slot : slots_) records.push_back(slot.record);
  return records;
}

void LayerInstaller::Work() {
  for (;;) {
    std::size_t index = 0;
    {
      // Lowest first: a layer whose lock another process holds waits only for lower ones, so two
      // pulls never wait for each other in a circle.
      const std::scoped_lock lock(mutex_);
      if (failure_.has_value() || next_ == slots_.size()) return;
      index = next_++;
    }
    Status status = Install(slots_[index]);
    if (status.has_value()) status = RecordReady();
    if (status.has_value()) continue;
    const std::scoped_lock lock(mutex_);
    if (!failure_.has_value()) failure_ = std::move(status).error();
    options_.stop.request_stop();
    return;
  }
}

Status LayerInstaller::Install(Slot& slot) {
  UniqueFd lock = TRY(LockFile(store_.content.IngestPath("chain-" + slot.chain_id.substr(7)),
                               LockMode::kExclusive, options_.stop.get_token()));
  slot.lock = std::move(lock);
  const auto existing = TRY(store_.metadata->FindLayer(slot.chain_id));
  const bool fetched = !store_.content.Has(slot.source.blob);
  if (fetched) TRY(options_.fetch(slot.source));
  if (existing.has_value()) {
    // At once: who waits for this layer may hold a higher one that we wait for.
    Unlock(slot);
    options_.report(slot.source, Progress::Phase::kExists);
    const std::scoped_lock guard(mutex_);
    slot.record = *existing;
    slot.directory = std::to_string(existing->id);
    slot.state = State::kRecorded;
    return {};
  }
  options_.report(slot.source, Progress::Phase::kUnpacking);
  return Unpack(slot);
}

Status LayerInstaller::Unpack(Slot& slot) {
  slot.directory = "tmp-" + RandomHex(8);
  const std::string path = store_.LayerDir(slot.directory);
  if (::mkdir(path.c_str(), 0755) != 0) return KernelError("mkdir(2) path=" + path);
  const UniqueFd root = TRY(sys::OpenRoot(path));
  if (::fchmodat(AT_FDCWD, path.c_str(), 0755, 0) != 0)  // whatever the umask is
    return KernelError("chmod(2) path=" + path);
  LayerOptions options;
  options.limit_bytes = std::max(kMinLimit, slot.source.blob_bytes * kMaxRatio);
  options.digest_algorithm = slot.source.diff_id.algorithm;
  options.cancel = options_.stop.get_token();
  Result<UnpackedLayer> unpacked =
      UnpackLayer(TRY(store_.content.Open(slot.source.blob)), root.get(), options);
  if (!unpacked.has_value())
    return Within("layer " + slot.source.blob.String(), std::move(unpacked).error());
  if (unpacked->diff_id != slot.source.diff_id)
    return Error{Code::kInvalidConfig, EBADMSG,
                 "layer " + slot.source.blob.String() + ": uncompressed digest is " +
                     unpacked->diff_id.String() + ", but the image's configuration says " +
                     slot.source.diff_id.String()};
  const std::scoped_lock guard(mutex_);
  slot.unpacked = *std::move(unpacked);
  slot.state = State::kUnpacked;
  return {};
}

Status LayerInstaller::Finish(std::size_t index) {
  Slot& slot = slots_[index];
  std::vector<std::string> lower;
  for (std::size_t i = 0; i < index; ++i) lower.push_back(slots_[i].directory);
  UniqueFd view;
  if (!lower.empty())
    view = TRY(slot.unpacked.NeedsLower() ? OpenMergedView(store_.LayersDir(), lower)
                                          : sys::OpenRoot(store_.LayerDir(lower.back())));
  const UniqueFd root = TRY(sys::OpenRoot(store_.LayerDir(slot.directory)));
  Status status = FinishLayer(slot.unpacked, root.get(), view.get());
  if (!status.has_value())
    return Within("layer " + slot.source.blob.String(), std::move(status).error());
  return {};
}

Status LayerInstaller::Place(const LayerRecord& record, Slot& slot) {
  const std::string name = std::to_string(record.id);
  // A crash after this rename leaves a directory that no record names: it gives way.
  TRY(RemoveTree(store_.LayerDir(name)));
  const std::string from = store_.LayerDir(slot.directory);
  if (::rename(from.c_str(), store_.LayerDir(name).c_str()) != 0)
    return KernelError("rename(2) from=" + from + " to=" + store_.LayerDir(name));
  slot.directory = name;
  return {};
}

// Records every unpacked layer whose lower layers are recorded. One sync serves all of them: a
// record must not survive a power cut that its files do not survive.
Status LayerInstaller::RecordReady() {
  const std::scoped_lock one(record_mutex_);
  std::vector<std::size_t> ready;
  {
    const std::scoped_lock lock(mutex_);
    std::size_t index = recorded_;
    for (; index < slots_.size() && slots_[index].state != State::kWaiting; ++index) {
      if (slots_[index].state == State::kUnpacked) ready.push_back(index);
    }
    if (ready.empty()) {
      recorded_ = index;
      return {};
    }
  }
  std::vector<LayerRecord> records;
  for (const std::size_t index : ready) {
    TRY(Finish(index));
    const Slot& slot = slots_[index];
    records.push_back({0, slot.chain_id, slot.source.diff_id.String(), slot.unpacked.tar_bytes,
                       slot.unpacked.bytes, slot.unpacked.inodes});
  }
  const UniqueFd layers(::open(store_.LayersDir().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!layers || ::syncfs(layers.get()) != 0)
    return KernelError("syncfs(2) path=" + store_.LayersDir());
  TRY(store_.metadata->AddLayers(records, [&](const LayerRecord& record, std::size_t i) -> Status {
    TRY(Place(record, slots_[ready[i]]));
    // The rename, too, must be on disk before the record is.
    if (i + 1 == ready.size() && ::fsync(layers.get()) != 0)
      return KernelError("fsync(2) path=" + store_.LayersDir());
    return {};
  }));
  for (std::size_t i = 0; i < ready.size(); ++i) {
    Slot& slot = slots_[ready[i]];
    {
      const std::scoped_lock lock(mutex_);
      slot.record = records[i];
      slot.state = State::kRecorded;
    }
    Unlock(slot);
    options_.report(slot.source, Progress::Phase::kDone);
  }
  return {};
}

}  // namespace coracle::image
