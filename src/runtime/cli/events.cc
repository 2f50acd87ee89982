#include <poll.h>

#include "cli.h"
#include "coracle/base/json.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/sys/process.h"
#include "numbers.h"
#include "stats_json.h"

namespace coracle::runtime::cli {
namespace {

Status PrintEvent(const std::string& type, const std::string& id, const Json& data) {
  Json event = {{"type", type}, {"id", id}};
  if (!data.is_null()) event["data"] = data;
  return Print(PrintJson(event) + "\n");
}

// Statistics every `interval_ms`, until the container's process ends.
Status FollowEvents(const std::string& id, const std::string& cgroup, pid_t pid, int interval_ms) {
  const UniqueFd pidfd = TRY(sys::pidfd_open(pid));
  std::uint64_t kills = TRY(ReadCgroupStats(cgroup)).oom_kill.value_or(0);
  for (;;) {
    pollfd ended{pidfd.get(), POLLIN, 0};
    const bool last = ::poll(&ended, 1, interval_ms) > 0;
    const auto stats = ReadCgroupStats(cgroup);
    if (!stats.has_value()) {
      if (stats.error().code == Code::kNotFound) return {};
      return stats.error();
    }
    if (stats->oom_kill.value_or(0) > kills) TRY(PrintEvent("oom", id, nullptr));
    kills = stats->oom_kill.value_or(0);
    if (last) return {};
    TRY(PrintEvent("stats", id, StatsJson(*stats)));
  }
}

}  // namespace

Result<int> RunEvents(Context& context, const Words& words) {
  std::string id;
  std::string interval = "5s";
  bool once = false;
  Arguments arguments("coracle events", "Prints statistics and out-of-memory events as JSON.");
  arguments.Operand("container-id", id, "the container's name");
  arguments.Text("--interval", interval, "time between statistics: 500ms, 5s, 1m");
  arguments.Flag("--stats", once, "print statistics once");
  if (!TRY(arguments.Parse(words))) return 0;
  const auto interval_ms = TRY(ParseMilliseconds(interval, "--interval"));
  const oci::State state = TRY(State(context.runtime, id));
  if (state.status == oci::ContainerStatus::kStopped)
    return Error{Code::kWrongState, 0, "container with id " + id + " is not running"};
  const std::string cgroup = TRY(CgroupPath(context.runtime, id));
  if (cgroup.empty())
    return Error{Code::kUnsupported, 0,
                 "container " + id + " has no cgroup of its own, which events would need"};
  if (once) {
    TRY(PrintEvent("stats", id, StatsJson(TRY(ReadCgroupStats(cgroup)))));
  } else {
    TRY(FollowEvents(
        id, cgroup, state.pid,
        static_cast<int>(std::min<std::int64_t>(interval_ms, std::numeric_limits<int>::max()))));
  }
  return 0;
}

}  // namespace coracle::runtime::cli
