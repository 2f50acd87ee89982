// What every RPC works with: the configuration, the host, the stores and the three libraries below.
#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "config.h"
#include "coracle/base/step.h"
#include "coracle/base/unique_fd.h"
#include "coracle/image/image_store.h"
#include "coracle/net/cni.h"
#include "coracle/shim/client.h"
#include "events.h"
#include "host_facts.h"
#include "paths.h"
#include "store/database.h"
#include "store/name_index.h"
#include "store/objects.h"
#include "work_queue.h"

namespace coracle::cri {

// How a container's shim is reached; tests put their own in place.
struct ShimCalls {
  std::function<Result<std::unique_ptr<shim::Client>>(const shim::LaunchOptions&)> launch =
      shim::Client::Launch;
  std::function<Result<std::unique_ptr<shim::Client>>(const std::string& bundle)> reconnect;
  std::function<Result<shim::ExitStatus>(const shim::LaunchOptions&)> delete_after =
      shim::DeleteAfterShim;
};

struct Daemon {
  Config config;
  Paths paths;
  HostFacts host;
  std::string shim_binary;
  std::shared_ptr<spdlog::logger> log;
  UniqueFd lock;  // flock(2) on <root>/lock
  std::unique_ptr<Database> database;
  std::unique_ptr<image::ImageStore> images;
  std::unique_ptr<net::Cni> cni;
  ShimCalls shim;
  StepObserver observer;  // of RunPodSandbox and CreateContainer

  NameIndex sandbox_names, container_names;
  Store<Sandbox> sandboxes;
  Store<Container> containers;
  EventHub events;
  std::atomic<bool> stopping = false;

  std::mutex pod_cidr_mutex;
  std::string pod_cidr;  // from UpdateRuntimeConfig

  // Last: their threads use all of the above.
  WorkQueue exits{4};
  WorkQueue measuring{1};  // writable layers: slow, and never urgent

  ~Daemon();
};

// Opens everything below `config`'s directories; a second daemon on the same root is refused.
// Recovers what an earlier daemon left.
Result<std::unique_ptr<Daemon>> OpenDaemon(const Config& config,
                                           std::shared_ptr<spdlog::logger> log);

// For the end of an RPC's life: has its caller given up, and when at the latest must it end?
struct Call {
  std::function<bool()> cancelled = [] { return false; };
};

// What a failed clean-up is worth: a line in the log, since the caller has a better error already.
void LogFailure(Daemon& daemon, const std::string& what, const Status& status);

// How a shim is started for the bundle of a pod's parent or of a container.
shim::LaunchOptions MakeLaunchOptions(const Daemon& daemon, const std::string& id,
                                      const std::string& bundle);

SteadyTime After(std::chrono::milliseconds time);

}  // namespace coracle::cri
