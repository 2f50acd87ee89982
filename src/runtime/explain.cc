// The step tables as data for people: all of them, or what one bundle makes of each step.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "coracle/base/file.h"
#include "create.h"
#include "delete.h"
#include "exec.h"
#include "mount_namespace.h"
#include "plan.h"
#include "start.h"
#include "systemd_unit.h"

namespace coracle::runtime {
namespace {

constexpr std::string_view kNothing = "-";  // this bundle gives the step nothing to do

template <class Context>
void Append(std::string_view table, std::span<const Step<Context>> steps,
            std::vector<StepInfo>& all) {
  for (const auto& step : steps)
    all.push_back({table, step.name, step.calls, step.spec, step.why, step.undone});
}

template <class List, class Print>
std::string Listed(const List& list, const Print& print) {
  if (list.empty()) return std::string(kNothing);
  std::string text;
  for (const auto& item : list) text += (text.empty() ? "" : ", ") + print(item);
  return text;
}

std::string NewNamespaces(const NamespacesPlan& plan) {
  std::string text;
  for (const auto& [flag, name] : {std::pair{CLONE_NEWUSER, "user"},
                                   {CLONE_NEWPID, "pid"},
                                   {CLONE_NEWNET, "network"},
                                   {CLONE_NEWNS, "mount"},
                                   {CLONE_NEWIPC, "ipc"},
                                   {CLONE_NEWUTS, "uts"},
                                   {CLONE_NEWTIME, "time"}})
    if (plan.IsNew(static_cast<std::uint64_t>(flag)))
      text += (text.empty() ? "new namespaces: " : ", ") + std::string(name);
  return text;
}

std::string Mounts(const Plan& plan) {
  return Listed(plan.mounts.mounts, [](const MountPlan& mount) {
    return (mount.options.bind ? mount.source : mount.type) + " on " + mount.destination;
  });
}

std::string Limits(const Plan& plan) {
  const std::string limits = Listed(
      plan.cgroup.limits, [](const CgroupWrite& each) { return each.file + "=" + each.text; });
  return std::to_string(plan.cgroup.devices.size()) + " device rules" +
         (limits == kNothing ? "" : "; " + limits);
}

std::string HooksOf(const std::vector<oci::Hook>& hooks) {
  return Listed(hooks, [](const oci::Hook& hook) { return hook.path; });
}

std::string RuntimeHooks(const Plan& plan) {
  std::vector<oci::Hook> both = plan.hooks.prestart;
  both.insert(both.end(), plan.hooks.create_runtime.begin(), plan.hooks.create_runtime.end());
  return HooksOf(both);
}

std::string Capabilities(const Plan& plan) {
  if (!plan.program) return std::string(kNothing);
  std::vector<std::string_view> names;
  for (int number = 0; number <= sys::LastCapability(); ++number)
    if ((plan.program->capabilities.permitted >> static_cast<unsigned>(number) & 1U) != 0)
      names.push_back(sys::CapabilityName(number));
  if (names.empty()) return "none at all";
  return "permitted: " + Listed(names, [](std::string_view name) { return std::string(name); });
}

std::string User(const Plan& plan) {
  if (!plan.program) return std::string(kNothing);
  const ProcessPlan& process = plan.program->process;
  return "uid " + std::to_string(process.uid) + ", gid " + std::to_string(process.gid) + ", " +
         std::to_string(process.groups.size()) + " further groups";
}

std::string Filter(const Plan& plan, bool privileged) {
  if (!plan.seccomp || !plan.program || plan.program->process.no_new_privileges == privileged)
    return std::string(kNothing);
  return "default " + plan.seccomp->profile.default_action + ", " +
         std::to_string(plan.seccomp->profile.syscalls.size()) + " rules";
}

std::string If(bool condition, std::string text) {
  return condition ? std::move(text) : std::string(kNothing);
}

std::string RdtGroup(const Plan& plan) {
  return plan.rdt ? plan.rdt->mount + "/" + plan.rdt->group : "";
}

struct Detail {
  std::string_view step;
  std::string (*text)(const Plan&);  // empty: `why` says all
};
constexpr Detail kDetails[] = {
    {"make-cgroup",
     [](const Plan& p) {
       if (p.cgroup.unit) return "systemd: " + p.cgroup.unit->name + " in " + p.cgroup.unit->slice;
       return If(!p.cgroup.Directory().empty(), p.cgroup.Directory());
     }},
    {"make-rdt-group", [](const Plan& p) { return If(p.rdt.has_value(), RdtGroup(p)); }},
    {"join-rdt-group", [](const Plan& p) { return If(p.rdt.has_value(), RdtGroup(p)); }},
    {"compile-seccomp",
     [](const Plan& p) { return If(p.seccomp.has_value(), "once; then from the cache"); }},
    {"open-sources", [](const Plan& p) { return p.rootfs.path; }},
    {"clone-process", [](const Plan& p) { return NewNamespaces(p.namespaces); }},
    {"write-id-maps", [](const Plan& p) { return If(!p.id_maps.uids.empty(), ""); }},
    {"move-net-devices",
     [](const Plan& p) {
       return Listed(p.net_devices, [](const NetDevicePlan& device) {
         return device.host_name + (device.name == device.host_name ? "" : " as " + device.name);
       });
     }},
    {"limit-cgroup", Limits},
    {"set-oom-score",
     [](const Plan& p) {
       const bool set = p.program && p.program->process.oom_score_adj;
       return set ? std::to_string(*p.program->process.oom_score_adj) : std::string(kNothing);
     }},
    {"run-runtime-hooks", RuntimeHooks},
    {"apply-last-limits",
     [](const Plan& p) {
       return Listed(p.cgroup.last_limits,
                     [](const CgroupWrite& each) { return each.file + "=" + each.text; });
     }},
    {"write-pid-file", [](const Plan&) { return std::string(kNothing); }},
    {"await-id-maps", [](const Plan& p) { return If(!p.id_maps.uids.empty(), ""); }},
    {"join-namespaces",
     [](const Plan& p) {
       return Listed(p.namespaces.joined, [](const NamespacePath& each) { return each.path; });
     }},
    {"open-own-sources", [](const Plan& p) { return If(::geteuid() != 0, p.rootfs.path); }},
    {"become-namespace-root",
     [](const Plan& p) {
       return If(p.namespaces.IsNew(CLONE_NEWUSER) || p.namespaces.IsJoined(CLONE_NEWUSER), "");
     }},
    {"unshare-cgroup", [](const Plan& p) { return If(p.namespaces.new_cgroup, ""); }},
    {"raise-loopback", [](const Plan& p) { return If(p.namespaces.IsNew(CLONE_NEWNET), ""); }},
    {"set-hostname",
     [](const Plan& p) { return If(!p.namespaces.hostname.empty(), p.namespaces.hostname); }},
    {"isolate-mounts",
     [](const Plan& p) {
       if (!p.namespaces.IsNew(CLONE_NEWNS)) return std::string();
       return std::string(NeedsHostMounts(p) ? "a copy of the host's" : "without the host's");
     }},
    {"mount-filesystems", Mounts},
    {"create-devices",
     [](const Plan& p) {
       if (!p.devices.create) return std::string(kNothing);
       return Listed(p.devices.nodes, [](const DeviceNode& node) { return node.path; });
     }},
    {"connect-stdio",
     [](const Plan& p) {
       return std::string(p.program && p.program->terminal ? "a terminal" : "");
     }},
    {"await-runtime-hooks", RuntimeHooks},
    {"run-container-hooks", [](const Plan& p) { return HooksOf(p.hooks.create_container); }},
    {"write-sysctls",
     [](const Plan& p) {
       return Listed(p.sysctl.values, [](const auto& each) { return each.first; });
     }},
    {"make-readonly-paths",
     [](const Plan& p) {
       return Listed(p.masked_paths.readonly, [](const std::string& path) { return path; });
     }},
    {"mask-paths",
     [](const Plan& p) {
       return Listed(p.masked_paths.masked, [](const std::string& path) { return path; });
     }},
    {"pivot-root",
     [](const Plan& p) { return std::string(p.rootfs.readonly ? "then read-only" : ""); }},
    {"find-executable",
     [](const Plan& p) {
       return p.program && !p.program->process.args.empty() ? p.program->process.args[0]
                                                            : std::string(kNothing);
     }},
    {"run-start-hooks", [](const Plan& p) { return HooksOf(p.hooks.start_container); }},
    {"set-rlimits",
     [](const Plan& p) {
       return p.program
                  ? Listed(p.program->rlimits, [](const RlimitPlan& each) { return each.name; })
                  : std::string(kNothing);
     }},
    {"set-exec-label",
     [](const Plan& p) {
       if (!p.program) return std::string(kNothing);
       const auto& process = p.program->process;
       return If(!process.apparmor_profile.empty() || !process.selinux_label.empty(),
                 process.apparmor_profile + process.selinux_label);
     }},
    {"await-go", [](const Plan&) { return std::string(kNothing); }},
    {"load-seccomp-privileged", [](const Plan& p) { return Filter(p, true); }},
    {"load-seccomp", [](const Plan& p) { return Filter(p, false); }},
    {"set-user", User},
    {"set-capabilities", Capabilities},
    {"enter-working-directory",
     [](const Plan& p) { return p.program ? p.program->process.cwd : std::string(kNothing); }},
    {"enter-as-user", [](const Plan&) { return std::string(kNothing); }},
    {"set-final-cpus",
     [](const Plan& p) { return If(p.program && p.program->process.final_cpus, ""); }},
    {"run-poststart-hooks", [](const Plan& p) { return HooksOf(p.hooks.poststart); }},
    {"set-no-new-privs",
     [](const Plan& p) { return If(p.program && p.program->process.no_new_privileges, ""); }},
};

std::string DetailOf(const StepInfo& step, const Plan& plan) {
  for (const Detail& detail : kDetails)
    if (detail.step == step.name) return detail.text(plan);
  return "";
}

// `delete` and `exec` depend on what became of the container.
constexpr std::string_view kExplained[] = {"create", "container", "start", "program"};

}  // namespace

std::vector<StepInfo> AllSteps() {
  std::vector<StepInfo> all;
  Append("create", CreateSteps(), all);
  Append("container", ContainerSteps(), all);
  Append("start", StartSteps(), all);
  Append("program", ProgramSteps(), all);
  Append("delete", DeleteSteps(), all);
  Append("exec", ExecSteps(), all);
  Append("exec-process", EnterSteps(), all);
  return all;
}

Result<Explanation> Explain(const Runtime& runtime, const std::string& bundle) {
  const std::string absolute = std::filesystem::absolute(bundle).lexically_normal().string();
  const std::string config = absolute + "/config.json";
  Explanation explanation;
  const oci::Spec spec = TRY(oci::ParseSpec(TRY(ReadFile(config)), config, &explanation.ignored));
  Runtime collecting = runtime;
  collecting.warn = [&](const std::string& text) { explanation.warnings.push_back(text); };
  const Plan plan =
      TRY(MakePlan(collecting, {.spec = spec, .id = "explained", .bundle = absolute}));
  for (const StepInfo& step : AllSteps()) {
    if (std::ranges::find(kExplained, step.table) == std::end(kExplained)) continue;
    ExplainedStep explained{.step = step, .detail = DetailOf(step, plan)};
    explained.idle = explained.detail == kNothing;
    if (explained.idle) explained.detail.clear();
    explanation.steps.push_back(std::move(explained));
  }
  return explanation;
}

}  // namespace coracle::runtime
