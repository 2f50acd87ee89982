#include "fakes.h"

#include <spdlog/sinks/null_sink.h>

#include <filesystem>

#include "coracle/base/file.h"
#include "coracle/sys/mountinfo.h"
#include "recover.h"

namespace coracle::cri::test {
namespace {

Error NotFound(const std::string& what) { return {Code::kNotFound, 0, what + ": not found"}; }

class FakeClient : public shim::Client {
 public:
  FakeClient(FakeShims& shims, std::string bundle) : shims_(shims), bundle_(std::move(bundle)) {}

  Result<pid_t> Create(const shim::CreateRequest&, Clock::time_point) override {
    const std::lock_guard lock(shims_.mutex);
    shims_.tasks[bundle_];
    return ::getpid();
  }
  Result<pid_t> Start(const std::string&, const std::string&, Clock::time_point) override {
    {
      const std::lock_guard lock(shims_.mutex);
      if (!shims_.start_error.empty()) return Error{Code::kInvalidConfig, 0, shims_.start_error};
      shims_.tasks.at(bundle_).started = true;
    }
    if (shims_.before_start_answers) shims_.before_start_answers(bundle_);
    return ::getpid();
  }
  Result<shim::TaskState> State(const std::string& id, const std::string&,
                                Clock::time_point) override {
    const std::lock_guard lock(shims_.mutex);
    const auto task = shims_.tasks.find(bundle_);
    if (task == shims_.tasks.end()) return NotFound(id);
    shim::TaskState state;
    state.exit = task->second.exit;
    state.status = task->second.started ? shim::TaskStatus::kRunning : shim::TaskStatus::kCreated;
    if (task->second.ended) state.status = shim::TaskStatus::kStopped;
    return state;
  }
  Status Kill(const std::string&, const std::string&, int signal, bool,
              Clock::time_point) override {
    shims_.End(bundle_, {.code = 128U + static_cast<unsigned>(signal), .exited_at_unix_ns = 1});
    return {};
  }
  Result<shim::ExitStatus> Delete(const std::string& id, const std::string&,
                                  Clock::time_point) override {
    const std::lock_guard lock(shims_.mutex);
    const auto task = shims_.tasks.find(bundle_);
    if (task == shims_.tasks.end()) return NotFound(id);
    const shim::ExitStatus exit = task->second.exit;
    shims_.tasks.erase(task);
    return exit;
  }
  Status Exec(const shim::ExecRequest&, Clock::time_point) override { return {}; }
  void Wait(const std::string&, const std::string&, OnExit on_exit) override {
    std::optional<shim::ExitStatus> ended;
    {
      const std::lock_guard lock(shims_.mutex);
      const auto task = shims_.tasks.find(bundle_);
      if (task == shims_.tasks.end()) return;
      if (!task->second.ended) {
        task->second.waiting.push_back(std::move(on_exit));
        return;
      }
      ended = task->second.exit;
    }
    on_exit(*ended);
  }
  Status Pause(const std::string&, Clock::time_point) override { return {}; }
  Status Resume(const std::string&, Clock::time_point) override { return {}; }
  Status Update(const std::string&, const oci::Resources&, Clock::time_point) override {
    return {};
  }
  Status CloseStdin(const std::string&, const std::string&, Clock::time_point) override {
    return {};
  }
  Status ResizePty(const std::string&, const std::string&, std::uint16_t, std::uint16_t,
                   Clock::time_point) override {
    return {};
  }
  Result<std::vector<pid_t>> Pids(const std::string&, Clock::time_point) override {
    return std::vector<pid_t>();
  }
  Result<runtime::CgroupStats> Stats(const std::string&, Clock::time_point) override {
    return runtime::CgroupStats();
  }
  Status ReopenLog(const std::string&, Clock::time_point) override { return {}; }
  Status Shutdown(const std::string&, Clock::time_point) override { return {}; }

 private:
  FakeShims& shims_;
  std::string bundle_;
};

void CollectFiles(const std::string& directory, std::vector<std::string>& out) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    out.push_back("file " + entry.path().string());
  }
}

}  // namespace

Result<image::Image> FakeImages::Pull(const std::string& name, const image::PullOptions&) {
  return Find(name);
}

Result<std::vector<image::Image>> FakeImages::List() {
  return std::vector<image::Image>{*Find("busybox")};
}

Result<image::Image> FakeImages::Find(const std::string& name) {
  if (name != "busybox") return NotFound("image " + name);
  image::Image image;
  image.id = "sha256:1";
  image.config.cmd = {"sh"};
  return image;
}

Result<image::Snapshot> FakeImages::Prepare(const std::string& key, const std::string&) {
  snapshots.insert(key);
  image::Snapshot snapshot;
  oci::Mount& mount = snapshot.mounts.emplace_back();
  mount.type = "bind";
  mount.source = rootfs_;
  return snapshot;
}

Status FakeImages::RemoveSnapshot(const std::string& key) {
  snapshots.erase(key);
  return {};
}

Result<std::vector<std::string>> FakeImages::SnapshotKeys() {
  return std::vector<std::string>(snapshots.begin(), snapshots.end());
}

Result<std::vector<image::Image>> FakeImages::Load(const std::string&, const std::string&) {
  return List();
}

Result<net::CniResult> FakeCni::Attach(const net::Attachment& attachment) {
  attached.insert(attachment.container_id);
  return net::CniResult{.ips = {"10.1.2.3"}, .raw = Json::object()};
}

Status FakeCni::Detach(const net::Attachment& attachment) {
  attached.erase(attachment.container_id);
  return {};
}

Result<std::vector<std::string>> FakeCni::Attached() {
  return std::vector<std::string>(attached.begin(), attached.end());
}

void FakeShims::End(const std::string& bundle, shim::ExitStatus exit) {
  std::vector<shim::Client::OnExit> waiting;
  {
    const std::lock_guard lock(mutex);
    const auto task = tasks.find(bundle);
    if (task == tasks.end() || task->second.ended) return;
    task->second.ended = true;
    task->second.exit = exit;
    waiting.swap(task->second.waiting);
  }
  for (const auto& tell : waiting) tell(exit);
}

FakeDaemon::FakeDaemon() { Restart(); }

FakeDaemon::~FakeDaemon() { daemon.reset(); }

void FakeDaemon::Restart() {
  if (daemon != nullptr) {
    snapshots_ = images->snapshots;
    attached_ = cni->attached;
    daemon.reset();
    for (auto& [bundle, task] : shims.tasks) task.waiting.clear();  // the connections are gone
  }
  daemon = std::make_unique<Daemon>();
  Daemon& fresh = *daemon;
  fresh.paths = {dir.path() + "/root", dir.path() + "/state"};
  for (const std::string& path : {fresh.paths.root, fresh.paths.Sandboxes(),
                                  fresh.paths.Containers(), dir.path() + "/rootfs/etc"}) {
    (void)MakeDirectories(path);
  }
  fresh.log = std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::null_sink_mt>());
  fresh.host = ReadHostFacts().value_or(HostFacts());
  fresh.shim_binary = "/proc/self/exe";
  fresh.database = *Database::Open(fresh.paths.Database());
  auto fake_images = std::make_unique<FakeImages>(dir.path() + "/rootfs");
  images = fake_images.get();
  images->snapshots = snapshots_;
  fresh.images = std::move(fake_images);
  auto fake_cni = std::make_unique<FakeCni>();
  cni = fake_cni.get();
  cni->attached = attached_;
  fresh.cni = std::move(fake_cni);
  fresh.shim.launch =
      [this](const shim::LaunchOptions& options) -> Result<std::unique_ptr<shim::Client>> {
    (void)WriteFileAtomically(options.bundle + "/address", "fake");
    return std::make_unique<FakeClient>(shims, options.bundle);
  };
  fresh.shim.reconnect =
      [this](const std::string& bundle) -> Result<std::unique_ptr<shim::Client>> {
    const std::lock_guard lock(shims.mutex);
    if (!shims.tasks.contains(bundle)) return NotFound("shim of " + bundle);
    return std::make_unique<FakeClient>(shims, bundle);
  };
  fresh.shim.delete_after = [this](const shim::LaunchOptions& options) -> Result<shim::ExitStatus> {
    const std::lock_guard lock(shims.mutex);
    shims.tasks.erase(options.bundle);
    return shim::ExitStatus{.code = 137, .exited_at_unix_ns = 1};
  };
  (void)Recover(fresh);
  CollectGarbage(fresh);
}

std::vector<std::string> FakeDaemon::Leftovers() {
  std::vector<std::string> left;
  CollectFiles(daemon->paths.Sandboxes(), left);
  CollectFiles(daemon->paths.Containers(), left);
  const auto mounts = sys::ReadMountInfo();
  for (const sys::MountInfo& mount : *mounts) {
    if (mount.mount_point.starts_with(dir.path())) left.push_back("mount " + mount.mount_point);
  }
  for (const std::string& key : images->snapshots) left.push_back("snapshot " + key);
  for (const std::string& id : cni->attached) left.push_back("network of " + id);
  for (const auto& [bundle, task] : shims.tasks) left.push_back("shim of " + bundle);
  std::vector<std::string> unreadable;
  const auto sandboxes = daemon->database->Sandboxes(unreadable);
  for (const auto& record : *sandboxes) {
    left.push_back("record of sandbox " + record.id);
  }
  const auto containers = daemon->database->Containers(unreadable);
  for (const auto& record : *containers) {
    left.push_back("record of container " + record.id);
  }
  return left;
}

}  // namespace coracle::cri::test
