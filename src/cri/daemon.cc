#include "daemon.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "coracle/base/file.h"
#include "recover.h"

namespace coracle::cri {
namespace {

constexpr std::chrono::seconds kReconnectTimeout{5};

Status MakeDirectory(const std::string& path, mode_t mode) {
  TRY(MakeDirectories(path, mode));
  // Whatever the umask was, and whatever an older version left (CVE-2024-25621).
  if (::chmod(path.c_str(), mode) != 0) return KernelError("chmod(2) " + path);
  return {};
}

// One daemon per root: two would both recover, and both collect garbage.
Result<UniqueFd> LockRoot(const Paths& paths) {
  UniqueFd fd(::open(paths.Lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return KernelError("open(2) " + paths.Lock());
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return KernelError("flock(2) " + paths.Lock());
  return Error{Code::kAlreadyExists, 0,
               "another coracled works on " + paths.root + " (" + paths.Lock() + " is locked)"};
}

Status OpenLibraries(Daemon& daemon) {
  daemon.database = TRY(Database::Open(daemon.paths.Database()));
  daemon.images = TRY(image::ImageStore::Open(daemon.paths.Images()));
  net::CniOptions cni;
  cni.conf_dir = daemon.config.cni_conf_dir;
  cni.bin_dirs = daemon.config.cni_bin_dirs;
  cni.cache_dir = daemon.paths.Cni();
  cni.plugin_timeout = std::chrono::seconds(daemon.config.cni_timeout_s);
  daemon.cni = TRY(net::Cni::Open(std::move(cni)));
  return {};
}

}  // namespace

Daemon::~Daemon() {
  stopping = true;
  // A connection that closes tells of a lost shim: nobody may act on that now.
  exits.Stop();
  measuring.Stop();
}

SteadyTime After(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

void LogFailure(Daemon& daemon, const std::string& what, const Status& status) {
  if (!status.has_value()) daemon.log->warn("{}: {}", what, status.error().message);
}

shim::LaunchOptions MakeLaunchOptions(const Daemon& daemon, const std::string& id,
                                      const std::string& bundle) {
  shim::LaunchOptions options;
  options.shim_binary = daemon.shim_binary;
  options.id = id;
  options.bundle = bundle;
  options.runtime_options = Json{
      {"root", daemon.paths.Runtime()},
      {"ignoreMissingControllers", daemon.config.ignore_missing_controllers},
  };
  return options;
}

Result<std::unique_ptr<Daemon>> OpenDaemon(const Config& config,
                                           std::shared_ptr<spdlog::logger> log) {
  auto daemon = std::make_unique<Daemon>();
  daemon->config = config;
  daemon->paths = config.paths();
  daemon->log = std::move(log);
  daemon->shim.reconnect = [](const std::string& bundle) {
    return shim::Client::Reconnect(bundle, shim::LaunchOptions().container_namespace,
                                   kReconnectTimeout);
  };
  const Paths& paths = daemon->paths;
  TRY(MakeDirectory(paths.root, 0700));
  daemon->lock = TRY(LockRoot(paths));
  TRY(MakeDirectory(paths.state, 0711));
  for (const std::string& path :
       {paths.Runtime(), paths.Sandboxes(), paths.Containers(), paths.Cni(), paths.Images()}) {
    TRY(MakeDirectory(path, 0700));
  }
  daemon->shim_binary = TRY(FindProgram("coracle-shim"));
  daemon->host = TRY(ReadHostFacts());
  TRY(OpenLibraries(*daemon));
  TRY(Recover(*daemon));
  CollectGarbage(*daemon);
  return daemon;
}

}  // namespace coracle::cri
