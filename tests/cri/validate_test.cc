#include "validate.h"

#include <gtest/gtest.h>

#include <functional>

namespace coracle::cri {
namespace {

v1::PodSandboxConfig GoodPod() {
  v1::PodSandboxConfig pod;
  pod.mutable_metadata()->set_name("web-1");
  pod.mutable_metadata()->set_namespace_("default");
  pod.mutable_metadata()->set_uid("8a5f-77");
  pod.set_hostname("web-1");
  pod.set_log_directory("/var/log/pods/x");
  return pod;
}

struct BadPod {
  const char* field;
  std::function<void(v1::PodSandboxConfig&)> spoil;
};

void Sysctl(v1::PodSandboxConfig& pod, const std::string& name, const std::string& value) {
  (*pod.mutable_linux()->mutable_sysctls())[name] = value;
}

v1::NamespaceOption& Modes(v1::PodSandboxConfig& pod) {
  return *pod.mutable_linux()->mutable_security_context()->mutable_namespace_options();
}

TEST(ValidatePod, LetsAGoodOneThrough) {
  v1::PodSandboxConfig pod = GoodPod();
  Sysctl(pod, "kernel.shm_rmid_forced", "1");
  Sysctl(pod, "net/ipv4/ip_forward", "1");
  const Status status = ValidatePod(pod);
  EXPECT_TRUE(status.has_value()) << status.error().message;
}

TEST(ValidatePod, NamesTheField) {
  const BadPod cases[] = {
      {"/config/metadata:", [](auto& pod) { pod.clear_metadata(); }},
      {"/config/metadata/name", [](auto& pod) { pod.mutable_metadata()->set_name(""); }},
      {"/config/metadata/name", [](auto& pod) { pod.mutable_metadata()->set_name("a;b=c"); }},
      {"/config/metadata/uid", [](auto& pod) { pod.mutable_metadata()->set_uid("../x"); }},
      {"/config/hostname", [](auto& pod) { pod.set_hostname(std::string(65, 'a')); }},
      {"/config/hostname", [](auto& pod) { pod.set_hostname("a\n127.0.0.1 evil"); }},
      {"/config/log_directory", [](auto& pod) { pod.set_log_directory("logs"); }},
      {"/config/dns_config/servers/0",
       [](auto& pod) { pod.mutable_dns_config()->add_servers("1.1.1.1\nsearch evil"); }},
      {"/config/port_mappings/0/host_port",
       [](auto& pod) { pod.add_port_mappings()->set_host_port(65536); }},
      {"/config/linux/cgroup_parent",
       [](auto& pod) { pod.mutable_linux()->set_cgroup_parent("/a/../.."); }},
      {"/config/linux/sysctls/kernel.core_pattern",
       [](auto& pod) { Sysctl(pod, "kernel.core_pattern", "|/x"); }},
      {"/config/linux/sysctls/net.ipv4.ip_forward",
       [](auto& pod) { Sysctl(pod, "net.ipv4.ip_forward", "1\n2"); }},
      {"/config/linux/sysctls/net.", [](auto& pod) { Sysctl(pod, "net..", "1"); }},
      {"the host's network",
       [](auto& pod) {
         Sysctl(pod, "net.ipv4.ip_forward", "1");
         Modes(pod).set_network(v1::NODE);
       }},
      {"the host's IPC",
       [](auto& pod) {
         Sysctl(pod, "fs.mqueue.msg_max", "10");
         Modes(pod).set_ipc(v1::NODE);
       }},
      {"/network", [](auto& pod) { Modes(pod).set_network(v1::CONTAINER); }},
      {"/pid", [](auto& pod) { Modes(pod).set_pid(v1::TARGET); }},
      {"/userns_options/mode",
       [](auto& pod) { Modes(pod).mutable_userns_options()->set_mode(v1::CONTAINER); }},
      {"/userns_options:",
       [](auto& pod) { Modes(pod).mutable_userns_options()->set_mode(v1::POD); }},
  };
  for (const BadPod& bad : cases) {
    v1::PodSandboxConfig pod = GoodPod();
    bad.spoil(pod);
    const Status status = ValidatePod(pod);
    ASSERT_FALSE(status.has_value()) << bad.field;
    EXPECT_NE(status.error().message.find(bad.field), std::string::npos) << status.error().message;
  }
}

TEST(ValidateContainer, WantsANameAndAnImage) {
  v1::ContainerConfig config;
  EXPECT_FALSE(ValidateContainer(config).has_value());
  config.mutable_metadata()->set_name("one");
  EXPECT_FALSE(ValidateContainer(config).has_value());
  config.mutable_image()->set_image("busybox");
  EXPECT_TRUE(ValidateContainer(config).has_value());
  config.add_mounts()->set_container_path("/x");
  EXPECT_FALSE(ValidateContainer(config).has_value());
}

TEST(LogPath, StaysInThePodsDirectory) {
  EXPECT_EQ(LogPath("/logs", "a/0.log").value_or("?"), "/logs/a/0.log");
  EXPECT_EQ(LogPath("", "0.log").value_or("?"), "");
  EXPECT_EQ(LogPath("/logs", "").value_or("?"), "");
  for (const char* bad : {"../0.log", "a/../../x", "/etc/passwd"}) {
    EXPECT_FALSE(LogPath("/logs", bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace coracle::cri
