// The records on disk: SQLite, one file that a person can open and look at. WAL with
// synchronous=FULL: what Put said is done survives a power cut.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "store/records.h"

struct sqlite3;

namespace coracle::cri {

class Database {
 public:
  static Result<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Status Put(const SandboxRecord& record);
  Status Put(const ContainerRecord& record);
  Status RemoveSandbox(const std::string& id);
  Status RemoveContainer(const std::string& id);

  // A row that cannot be read any more (a broken configuration) goes to `unreadable` by id; one
  // bad record must not keep the daemon from starting.
  Result<std::vector<SandboxRecord>> Sandboxes(std::vector<std::string>& unreadable);
  Result<std::vector<ContainerRecord>> Containers(std::vector<std::string>& unreadable);

 private:
  explicit Database(sqlite3* connection) : connection_(connection) {}
  Status Execute(const char* sql);

  std::mutex
      mutex_;  // of the connection: writers take turns, readers of the stores never come here
  sqlite3* connection_;
};

}  // namespace coracle::cri
