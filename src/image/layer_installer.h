// Brings all layers of one image into the store: fetched and unpacked several at once, recorded
// from the lowest up, each shared with every image and process that has the same chain.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/image/image_store.h"
#include "layer.h"
#include "store_context.h"

namespace coracle::image {

struct LayerSource {
  Digest blob, diff_id;
  std::uint64_t blob_bytes = 0;
  std::string media_type;
};

class LayerInstaller {
 public:
  struct Options {
    unsigned parallel = 4;
    // Gets the blob into the content store; called from any worker, only when it is not there.
    std::function<Status(const LayerSource&)> fetch;
    std::function<void(const LayerSource&, Progress::Phase)> report = [](auto&&...) {};
    std::stop_source stop;  // stopped by the first failure, too
  };
  LayerInstaller(StoreContext& store, std::vector<LayerSource> sources, Options options);
  ~LayerInstaller();
  LayerInstaller(const LayerInstaller&) = delete;
  LayerInstaller& operator=(const LayerInstaller&) = delete;

  // The records, lowest first.
  Result<std::vector<LayerRecord>> Run();

 private:
  enum class State : std::uint8_t { kWaiting, kUnpacked, kRecorded };
  struct Slot {
    LayerSource source;
    std::string chain_id;
    State state = State::kWaiting;
    UniqueFd lock;          // nobody else works on this chain
    std::string directory;  // name in l/: temporary, then the id
    UnpackedLayer unpacked;
    LayerRecord record;
  };
  void Work();
  Status Install(Slot& slot);
  Status Unpack(Slot& slot);
  Status RecordReady();
  Status Finish(std::size_t index);
  Status Place(const LayerRecord& record, Slot& slot);
  void Unlock(Slot& slot) const;

  StoreContext& store_;
  Options options_;
  std::vector<Slot> slots_;
  std::mutex mutex_;         // of next_, failure_ and the states
  std::mutex record_mutex_;  // one worker records, for all that are ready
  std::size_t next_ = 0, recorded_ = 0;
  std::optional<Error> failure_;
};

// chain(1) = diff(1); chain(n) = sha256(chain(n-1) + " " + diff(n)): image-spec config.md.
std::string ChainId(const std::string& parent_chain, const std::string& diff_id);

}  // namespace coracle::image
