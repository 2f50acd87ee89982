#include "spec_builder.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "coracle/base/json.h"
#include "spec_mounts.h"

namespace coracle::cri {
namespace {

struct Request {
  v1::ContainerConfig config;
  v1::PodSandboxConfig pod;
  oci::ImageConfig image;
  HostFacts host;
  SpecInput input;

  Request() {
    host.capabilities = (sys::CapabilityMask{1} << (sys::LastCapability() + 1)) - 1;
    config.mutable_metadata()->set_name("one");
    config.add_command("true");
    auto* modes = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
    modes->set_pid(v1::CONTAINER);
    input.id = "c0";
    input.config = &config;
    input.pod = &pod;
    input.image = &image;
    input.host = &host;
    input.sandbox = {"/run/s"};
    input.cgroups_path = "/pod/c0";
  }
  v1::LinuxContainerSecurityContext& security() {
    return *config.mutable_linux()->mutable_security_context();
  }
};

const oci::Mount* FindMount(const std::vector<oci::Mount>& mounts, const std::string& where) {
  const auto found = std::ranges::find(mounts, where, &oci::Mount::destination);
  return found == mounts.end() ? nullptr : &*found;
}

std::string NamespacePath(const oci::Spec& spec, const std::string& type) {
  const auto found = std::ranges::find(spec.linux_.namespaces, type, &oci::Namespace::type);
  return found == spec.linux_.namespaces.end() ? "none" : found->path;
}

TEST(MakeArgs, MergesAsKubernetesSays) {
  const oci::ImageConfig image = [] {
    oci::ImageConfig config;
    config.entrypoint = {"entry"};
    config.cmd = {"cmd"};
    return config;
  }();
  using Args = std::vector<std::string>;
  v1::ContainerConfig config;
  EXPECT_EQ(MakeArgs(config, image).value_or(Args()), (Args{"entry", "cmd"}));
  config.add_args("arg");
  EXPECT_EQ(MakeArgs(config, image).value_or(Args()), (Args{"entry", "arg"}));
  config.add_command("command");
  EXPECT_EQ(MakeArgs(config, image).value_or(Args()), (Args{"command", "arg"}));
  config.clear_args();
  EXPECT_EQ(MakeArgs(config, image).value_or(Args()), (Args{"command"}));
  EXPECT_FALSE(MakeArgs({}, {}).has_value());
}

TEST(MakeEnv, NeverInheritsAndLetsTheRequestWin) {
  Request request;
  request.image.env = {"A=image", "B=image", "SECRET", "=x"};
  request.input.hostname = "pod";
  auto* env = request.config.add_envs();
  env->set_key("B");
  env->set_value("request");
  const auto made = MakeEnv(request.input);
  ASSERT_TRUE(made.has_value());
  const std::vector<std::string> expected = {
      "A=image", "B=request", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOSTNAME=pod", "HOME=/"};
  EXPECT_EQ(*made, expected);
}

TEST(MakeEnv, RefusesWhatIsNoVariable) {
  Request request;
  request.config.add_envs()->set_key("A=B");
  EXPECT_FALSE(MakeEnv(request.input).has_value());
  request.config.mutable_envs(0)->set_key("A");
  request.config.mutable_envs(0)->set_value(std::string("x\0y", 3));
  const auto made = MakeEnv(request.input);
  ASSERT_FALSE(made.has_value());
  EXPECT_NE(made.error().message.find("/config/envs/0/value"), std::string::npos);
}

TEST(BuildSpec, PutsTheContainerIntoItsPod) {
  Request request;
  const auto spec = BuildSpec(request.input);
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_EQ(NamespacePath(*spec, "network"), "/run/s/ns/net");
  EXPECT_EQ(NamespacePath(*spec, "ipc"), "/run/s/ns/ipc");
  EXPECT_EQ(NamespacePath(*spec, "uts"), "/run/s/ns/uts");
  EXPECT_EQ(NamespacePath(*spec, "pid"), "");
  EXPECT_EQ(spec->linux_.cgroups_path, "/pod/c0");
  ASSERT_NE(FindMount(spec->mounts, "/dev/shm"), nullptr);
  EXPECT_EQ(FindMount(spec->mounts, "/dev/shm")->source, "/run/s/shm");
  // It is what the runtime will read.
  const auto again = oci::ParseSpec(PrintJson(oci::ToJson(*spec)), "config.json");
  EXPECT_TRUE(again.has_value()) << again.error().message;
}

TEST(BuildSpec, SharesTheHostsNamespacesWhereAsked) {
  Request request;
  auto* modes =
      request.pod.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  modes->set_network(v1::NODE);
  modes->set_ipc(v1::NODE);
  request.security().mutable_namespace_options()->set_pid(v1::NODE);
  const auto spec = BuildSpec(request.input);
  ASSERT_TRUE(spec.has_value());
  for (const char* type : {"network", "ipc", "uts", "pid"}) {
    EXPECT_EQ(NamespacePath(*spec, type), "none") << type;
  }
  EXPECT_EQ(FindMount(spec->mounts, "/dev/shm")->source, "/dev/shm");
}

TEST(BuildSpec, WantsASharedPidNamespaceToExist) {
  Request request;
  request.security().mutable_namespace_options()->set_pid(v1::POD);
  EXPECT_FALSE(BuildSpec(request.input).has_value());
  request.input.pid_namespace = "/run/s/ns/pid";
  const auto spec = BuildSpec(request.input);
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(NamespacePath(*spec, "pid"), "/run/s/ns/pid");
}

TEST(BuildSpec, PrivilegedIsUnconfined) {
  Request request;
  request.security().set_privileged(true);
  request.security().mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  oci::Device kmsg;
  kmsg.type = "c";
  kmsg.path = "/dev/kmsg";
  request.input.devices = {kmsg};
  const auto spec = BuildSpec(request.input);
  ASSERT_TRUE(spec.has_value());
  EXPECT_FALSE(spec->linux_.seccomp.has_value());
  EXPECT_TRUE(spec->linux_.masked_paths.empty());
  EXPECT_EQ(spec->linux_.devices.size(), 1U);
  EXPECT_TRUE(spec->linux_.resources.devices.back().allow);
  const oci::Mount* sys = FindMount(spec->mounts, "/sys");
  EXPECT_EQ(std::ranges::count(sys->options, "rw"), 1);
}

TEST(BuildSpec, DeniesDevicesButThoseAsked) {
  Request request;
  auto* device = request.config.add_devices();
  device->set_host_path("/dev/fuse");
  device->set_container_path("/dev/other");
  device->set_permissions("rw");
  oci::Device fuse;
  fuse.type = "c";
  fuse.major = 10;
  fuse.minor = 229;
  request.input.requested_devices = {fuse};
  auto spec = BuildSpec(request.input);
  ASSERT_TRUE(spec.has_value());
  ASSERT_EQ(spec->linux_.resources.devices.size(), 2U);
  EXPECT_FALSE(spec->linux_.resources.devices[0].allow);
  EXPECT_EQ(spec->linux_.resources.devices[1].access, "rw");
  EXPECT_EQ(spec->linux_.devices[0].path, "/dev/other");
  device->set_permissions("x");
  spec = BuildSpec(request.input);
  ASSERT_FALSE(spec.has_value());
  EXPECT_NE(spec.error().message.find("/config/devices/0/permissions"), std::string::npos);
}

TEST(BuildSpec, DoesNotLowerTheOomScoreBeyondWhatIsAllowed) {
  Request request;
  request.config.mutable_linux()->mutable_resources()->set_oom_score_adj(-999);
  request.host.least_oom_score_adj = 5;
  EXPECT_EQ(BuildSpec(request.input)->process->oom_score_adj, 5);
  request.host.least_oom_score_adj = -1000;
  EXPECT_EQ(BuildSpec(request.input)->process->oom_score_adj, -999);
  request.config.mutable_linux()->mutable_resources()->set_oom_score_adj(-1001);
  EXPECT_FALSE(BuildSpec(request.input).has_value());
}

TEST(MakeMounts, LetsTheRequestHideAndOrdersByDepth) {
  Request request;
  const auto add = [&](const std::string& where, const std::string& source) {
    v1::Mount mount;
    mount.set_container_path(where);
    mount.set_host_path(source);
    request.input.mounts.push_back({.source = source, .mount = mount});
  };
  add("/data/deep/er", "/host/3");
  add("/data", "/host/1");
  add("/etc/hosts", "/host/hosts");
  add("/data/../data/deep", "/host/2");
  const auto mounts = MakeMounts(request.input);
  ASSERT_TRUE(mounts.has_value());
  EXPECT_EQ(FindMount(*mounts, "/etc/hosts")->source, "/host/hosts");
  const auto at = [&](const char* where) { return FindMount(*mounts, where) - mounts->data(); };
  EXPECT_LT(at("/data"), at("/data/deep"));
  EXPECT_LT(at("/data/deep"), at("/data/deep/er"));
  EXPECT_LT(at("/dev"), at("/dev/shm"));
}

TEST(ValidateMount, RefusesWhatCannotBe) {
  v1::Mount mount;
  mount.set_container_path("/data");
  mount.set_host_path("/host");
  EXPECT_TRUE(ValidateMount(mount, "/m").has_value());
  mount.set_recursive_read_only(true);
  EXPECT_FALSE(ValidateMount(mount, "/m").has_value());  // needs readonly
  mount.set_readonly(true);
  EXPECT_TRUE(ValidateMount(mount, "/m").has_value());
  mount.set_propagation(v1::PROPAGATION_BIDIRECTIONAL);
  EXPECT_FALSE(ValidateMount(mount, "/m").has_value());
  mount.set_propagation(v1::PROPAGATION_PRIVATE);
  for (const char* path : {"", "/", "/a/..", "//"}) {
    mount.set_container_path(path);
    EXPECT_FALSE(ValidateMount(mount, "/m").has_value()) << path;
  }
}

TEST(BuildSpec, KeepsPropagationPossible) {
  Request request;
  v1::Mount mount;
  mount.set_container_path("/data");
  mount.set_propagation(v1::PROPAGATION_HOST_TO_CONTAINER);
  mount.set_host_path("/host");
  request.input.mounts = {{.source = "/host", .mount = mount}};
  auto spec = BuildSpec(request.input);
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->linux_.rootfs_propagation, "rslave");
  request.input.mounts[0].mount.set_propagation(v1::PROPAGATION_BIDIRECTIONAL);
  spec = BuildSpec(request.input);
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->linux_.rootfs_propagation, "rshared");
}

TEST(StopSignal, TakesTheRequestsThenTheImages) {
  v1::ContainerConfig config;
  oci::ImageConfig image;
  EXPECT_EQ(StopSignal(config, image).value_or("?"), "SIGTERM");
  image.stop_signal = "3";
  EXPECT_EQ(StopSignal(config, image).value_or("?"), "SIGQUIT");
  image.stop_signal = "RTMIN+3";
  EXPECT_EQ(StopSignal(config, image).value_or("?"), "SIGRTMIN+3");
  EXPECT_EQ(ToCriSignal("SIGRTMIN+3"), v1::SIGRTMINPLUS3);
  config.set_stop_signal(v1::SIGRTMAXMINUS14);
  EXPECT_EQ(StopSignal(config, image).value_or("?"), "SIGRTMAX-14");
  EXPECT_EQ(ToCriSignal("SIGRTMAX-14"), v1::SIGRTMAXMINUS14);
  image.stop_signal = "SIGNONSENSE";
  config.clear_stop_signal();
  EXPECT_FALSE(StopSignal(config, image).has_value());
}

TEST(BuildPauseSpec, HasNothingButOurProgram) {
  Request request;
  PauseInput input;
  input.pod = &request.pod;
  input.sandbox = {"/run/s"};
  input.shim_binary = "/x/coracle-shim";
  input.cgroups_path = "/pod/pause";
  const oci::Spec spec = BuildPauseSpec(input);
  EXPECT_TRUE(spec.root->readonly);
  EXPECT_TRUE(spec.process->capabilities->bounding.empty());
  EXPECT_TRUE(spec.process->no_new_privileges);
  EXPECT_EQ(FindMount(spec.mounts, "/coracle-pause")->source, "/x/coracle-shim");
  const auto again = oci::ParseSpec(PrintJson(oci::ToJson(spec)), "config.json");
  EXPECT_TRUE(again.has_value()) << again.error().message;
}

}  // namespace
}  // namespace coracle::cri
