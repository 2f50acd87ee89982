// What is known of an attachment, on disk: written before ADD, so that DEL has the same
// configuration and parameters whatever happens in between.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cni_config.h"
#include "coracle/base/file.h"
#include "coracle/base/result.h"
#include "coracle/net/cni.h"

namespace coracle::net {

struct Record {
  std::string container_id = {}, interface = {}, network_path = {};
  std::map<std::string, std::string> args = {};
  Json capabilities = Json::object();  // capability -> value for runtimeConfig
  Network network = {};
  Json result = {};  // of the last ADD; null until all of them succeeded
};

// Checks `attachment` and combines it with `network`.
Result<Record> MakeRecord(const Attachment& attachment, const Network& network);

class RecordStore {
 public:
  explicit RecordStore(std::string directory) : directory_(std::move(directory)) {}

  Status Save(const Record& record, Durable durable) const;
  // None: kNotFound.
  [[nodiscard]] Result<Record> Load(const std::string& container_id,
                                    const std::string& interface) const;
  Status Remove(const Record& record) const;
  struct Key {
    std::string container_id, interface;
  };
  [[nodiscard]] Result<std::vector<Key>> List() const;

 private:
  [[nodiscard]] std::string Path(const std::string& container_id,
                                 const std::string& interface) const;

  std::string directory_;
};

}  // namespace coracle::net
