#include "systemd_manager.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>

#include "coracle/runtime/cgroup.h"
#include "coracle/runtime/own_binary.h"
#include "coracle/sys/namespaces.h"
#include "coracle/sys/process.h"
#include "rootless.h"

namespace coracle::runtime {
namespace {

constexpr std::chrono::seconds kTimeout{120};  // the program itself gives up after 60
constexpr const char* kProgram = "coracle-systemd";

// What sd-bus looks for a bus with.
std::vector<std::string> BusEnvironment() {
  std::vector<std::string> environment;
  for (const char* name :
       {"DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_RUNTIME_DIR"})
    if (const char* value = ::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  return environment;
}

Status Ask(const char* verb, const SystemdUnit& unit, const std::vector<UnitProperty>& properties) {
  Json request = {{"verb", verb}, {"user", unit.user_manager}, {"unit", unit.name}};
  Json list = Json::array();
  for (const UnitProperty& each : properties)
    list.push_back(Json::array({each.name, each.signature, each.value, each.since}));
  request["properties"] = std::move(list);
  const sys::CommandResult result = TRY(sys::RunCommand({.path = TRY(FindSystemdProgram()),
                                                         .args = {kProgram},
                                                         .env = BusEnvironment(),
                                                         .input = PrintJson(request),
                                                         .timeout = kTimeout}));
  if (result.timed_out) return Error{Code::kKernel, ETIMEDOUT, "systemd: no answer"};
  if (result.exit_code == 0) return {};
  std::string text = result.error_output.substr(0, result.error_output.find('\n'));
  if (text.empty()) text = "coracle-systemd: exit code " + std::to_string(result.exit_code);
  return Error{Code::kKernel, 0, "systemd: " + text};
}

// Anybody may tell us on the bus that a job is done; the kernel says where the placeholder is.
Result<Cgroup> EnterScope(CgroupPlan plan, pid_t placeholder) {
  plan.path = TRY(CgroupOfProcess(placeholder));
  if (plan.path.ends_with("/" + plan.unit->name)) return UseCgroup(plan);
  return Error{
      Code::kProtocol, 0,
      "systemd: unit " + plan.unit->name + " has started, but a process of it is in " + plan.path};
}

// "/a/b/c" and "/a/bc" -> "/a"
std::string CommonDirectory(const std::string& one, const std::string& other) {
  const auto differ = std::ranges::mismatch(one, other);
  if (differ.in1 == one.end() && (differ.in2 == other.end() || *differ.in2 == '/')) return one;
  if (differ.in2 == other.end() && *differ.in1 == '/') return other;
  return one.substr(0, std::string(one.begin(), differ.in1).rfind('/'));
}

}  // namespace

Result<Placeholder> Placeholder::Start() {
  const pid_t parent = ::getpid();
  Placeholder placeholder;
  placeholder.pid_ = TRY(sys::clone3({}));
  if (placeholder.pid_ != 0) return placeholder;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  while (::getppid() == parent) ::pause();
  ::_exit(0);
}

void Placeholder::End() noexcept {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  (void)sys::WaitExit(std::exchange(pid_, 0));
}

bool UsesUserManager() { return ::geteuid() != 0 || InUserNamespace(); }

Result<std::string> FindSystemdProgram() { return FindBesideOurselves(kProgram); }

Result<CgroupPlan> PlanSystemdCgroup(const CgroupHost& host, const oci::Spec& spec,
                                     const std::string& id, bool ignore_missing_controllers) {
  CgroupPlan plan{.mount = host.mount};
  plan.asked_for = true;
  SystemdUnit unit = TRY(PlanUnit(spec.linux_.cgroups_path, id, UsesUserManager()));
  // The user's manager has a place of its own, below which its slices lie.
  if (!unit.user_manager) plan.path = TRY(SlicePath(unit.slice)) + "/" + unit.name;
  TRY(PlanCgroupLimits(host, spec.linux_.resources, ignore_missing_controllers, plan));
  const auto append = [&unit](std::vector<UnitProperty> more) {
    std::ranges::move(more, std::back_inserter(unit.start_properties));
  };
  append(ScopeProperties(unit, id));
  append(DeviceProperties(plan.devices));
  append(LimitProperties(plan.limits));
  unit.last_properties = LimitProperties(plan.last_limits);
  for (const UnitProperty& each : unit.last_properties)
    if (each.only_at_start) append({each});
  append(TRY(AnnotatedProperties(spec.annotations)));
  plan.unit = std::make_shared<const SystemdUnit>(std::move(unit));
  return plan;
}

Status EnterUserManager(const std::string& cgroup) {
  const std::string own = TRY(CgroupMount()) + TRY(CgroupOfProcess(::getpid()));
  const std::string common = CommonDirectory(own, cgroup);
  if (::access((common + "/cgroup.procs").c_str(), W_OK) == 0) return {};
  const std::string pid = std::to_string(::getpid());
  return Ask("start", {.name = "coracle-" + pid + ".scope", .user_manager = true},
             {{.name = "Description", .signature = "s", .value = "coracle at work"},
              {.name = "PIDs", .signature = "au", .value = Json::array({::getpid()})}});
}

Result<Cgroup> StartScope(const CgroupPlan& plan) {
  Placeholder placeholder = TRY(Placeholder::Start());
  std::vector<UnitProperty> properties = plan.unit->start_properties;
  properties.push_back(
      {.name = "PIDs", .signature = "au", .value = Json::array({placeholder.pid()})});
  TRY(Ask("start", *plan.unit, properties));
  Result<Cgroup> cgroup = EnterScope(plan, placeholder.pid());
  if (cgroup.has_value() && plan.unit->user_manager) {
    if (Status entered = EnterUserManager(cgroup->path); !entered.has_value())
      cgroup = std::move(entered).error();
  }
  if (cgroup.has_value()) {
    cgroup->placeholder = std::move(placeholder);
  } else {
    placeholder.End();
    (void)StopUnit(*plan.unit);
  }
  return cgroup;
}

Status SetUnitProperties(const SystemdUnit& unit, const std::vector<UnitProperty>& properties) {
  std::vector<UnitProperty> changeable = properties;
  std::erase_if(changeable, [](const UnitProperty& each) { return each.only_at_start; });
  return changeable.empty() ? Status() : Ask("set", unit, changeable);
}

Status StopUnit(const SystemdUnit& unit) { return Ask("stop", unit, {}); }

}  // namespace coracle::runtime
