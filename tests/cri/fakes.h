// Stand-ins for the three libraries below the daemon, for tests that let a step fail: they note
// what exists, so that a test can see that nothing is left. Namespaces, mounts and files are real.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "coracle/base/json.h"
#include "coracle/sys/path.h"
#include "daemon.h"
#include "support/temp_dir.h"

namespace coracle::cri::test {

class FakeImages : public image::ImageStore {
 public:
  explicit FakeImages(std::string rootfs) : rootfs_(std::move(rootfs)) {}
  std::set<std::string> snapshots;

  Result<image::Image> Pull(const std::string&, const image::PullOptions&) override;
  Result<std::vector<image::Image>> List() override;
  Result<image::Image> Find(const std::string& name) override;
  Status Remove(const std::string&) override { return {}; }
  Status RemoveAllNames(const std::string&) override { return {}; }
  Status SetPinned(const std::string&, bool) override { return {}; }
  Result<image::Snapshot> Prepare(const std::string& key, const std::string&) override;
  Result<image::Snapshot> PrepareReadOnly(const std::string& key, const std::string& id) override {
    return Prepare(key, id);
  }
  Result<image::Snapshot> GetSnapshot(const std::string& key) override { return Prepare(key, ""); }
  Status RemoveSnapshot(const std::string& key) override;
  Result<std::vector<std::string>> SnapshotKeys() override;
  Result<image::Usage> SnapshotUsage(const std::string&) override { return image::Usage(); }
  Result<image::Usage> StoreUsage() override { return image::Usage(); }
  Result<std::vector<image::Image>> Load(const std::string&, const std::string&) override;
  Status Save(const std::vector<std::string>&, const std::string&, ArchiveFormat) override {
    return {};
  }
  Result<UniqueFd> OpenTree(const std::string&) override { return sys::OpenRoot(rootfs_); }
  Status CollectGarbage() override { return {}; }

 private:
  std::string rootfs_;
};

class FakeCni : public net::Cni {
 public:
  std::set<std::string> attached;

  Status Ready() override { return {}; }
  Result<Json> Configuration() override { return Json::object(); }
  Result<net::CniResult> Attach(const net::Attachment& attachment) override;
  Status Check(const net::Attachment&) override { return {}; }
  Status Detach(const net::Attachment& attachment) override;
  Status CollectGarbage(const std::vector<std::string>&) override { return {}; }
  Result<std::vector<std::string>> Attached() override;
};

// All tasks of a test, by bundle: a shim outlives the daemon's connection to it.
struct FakeTask {
  bool started = false;
  bool ended = false;
  shim::ExitStatus exit;
  std::vector<shim::Client::OnExit> waiting;
};
struct FakeShims {
  std::mutex mutex;
  std::map<std::string, FakeTask> tasks;
  std::string start_error;  // what Start answers, if anything
  std::function<void(const std::string& bundle)> before_start_answers;
  void End(const std::string& bundle, shim::ExitStatus exit);
};

// A daemon on a temporary directory with all of the above.
struct FakeDaemon {
  FakeDaemon();
  ~FakeDaemon();
  // The daemon dies and comes back: memory is new, the rest is as it was.
  void Restart();

  coracle::test::TempDir dir;
  FakeShims shims;
  FakeImages* images = nullptr;  // of the daemon
  FakeCni* cni = nullptr;
  std::unique_ptr<Daemon> daemon;

  // What of pods and containers exists on the host: one line each.
  [[nodiscard]] std::vector<std::string> Leftovers();

 private:
  std::set<std::string> snapshots_, attached_;
};

}  // namespace coracle::cri::test
