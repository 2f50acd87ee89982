// Cni with the plugins that people use: bridge, host-local, portmap, bandwidth. They believe that
// a private network namespace is the host.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "coracle/base/file.h"
#include "coracle/net/cni.h"
#include "coracle/net/netns.h"
#include "coracle/sys/namespaces.h"
#include "coracle/sys/netlink.h"
#include "coracle/sys/process.h"
#include "support/temp_dir.h"

namespace coracle::net {
namespace {

namespace fs = std::filesystem;

class CniPluginsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make network namespaces";
    for (const char* directory : {"/opt/cni/bin", "/usr/lib/cni"}) {
      if (fs::exists(std::string(directory) + "/bridge")) bin_dir_ = directory;
    }
    for (const char* plugin : {"bridge", "host-local", "portmap", "bandwidth"}) {
      if (bin_dir_.empty() || !fs::exists(bin_dir_ + "/" + plugin))
        GTEST_SKIP() << "no CNI plugin \"" << plugin << "\" (package containernetworking-plugins)";
    }
    ASSERT_TRUE(MakeDirectories(Path("conf")).has_value());
  }
  void TearDown() override { EXPECT_TRUE(UnpinNamespace(Path("netns")).has_value()); }

  [[nodiscard]] std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }

  void Configure(const std::string& more_plugins) {
    ASSERT_TRUE(WriteFileAtomically(Path("conf/10-net.conflist"),
                                    R"({"cniVersion": "1.0.0", "name": "net", "plugins": [
        {"type": "bridge", "bridge": "br0", "isGateway": true, "ipMasq": false, "ipam": {
           "type": "host-local", "dataDir": ")" +
                                        Path("ipam") + R"(",
           "ranges": [[{"subnet": "192.0.2.0/24"}], [{"subnet": "2001:db8::/64"}]]}})" +
                                        more_plugins + "]}")
                    .has_value());
  }
  std::unique_ptr<Cni> Open() {
    return Cni::Open({.conf_dir = Path("conf"), .bin_dirs = {bin_dir_}, .cache_dir = Path("cache")})
        .value();
  }
  Attachment Pin() {
    EXPECT_TRUE(PinNamespaces({.network_path = Path("netns"),
                               .ipc_path = "",
                               .uts_path = "",
                               .hostname = "",
                               .sysctls = {}})
                    .has_value());
    Attachment pod;
    pod.container_id = "pod1";
    pod.network_path = Path("netns");
    return pod;
  }
  // Files that host-local keeps, one for each address that is taken.
  std::size_t AddressesTaken() {
    std::size_t count = 0;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(Path("ipam/net"), error)) {
      const std::string name = entry.path().filename();
      if (name.starts_with("192.") || name.starts_with("2001")) ++count;
    }
    return count;
  }
  static std::size_t Veths() {
    std::size_t count = 0;
    const std::vector<sys::Link> links = sys::ReadLinks().value();
    for (const sys::Link& link : links) {
      if (link.name.starts_with("veth")) ++count;
    }
    return count;
  }
  // A thread in a network namespace of its own: programs that it starts are in there too.
  template <class Body>
  static void InPrivateNetwork(Body body) {
    std::thread([&] {
      ASSERT_TRUE(sys::unshare(CLONE_NEWNET).has_value());
      ASSERT_TRUE(sys::SetLinkUp("lo").has_value());
      body();
    }).join();
  }

  test::TempDir dir_;
  std::string bin_dir_;
};

TEST_F(CniPluginsTest, BridgeWithAddressesOfBothFamilies) {
  InPrivateNetwork([&] {
    Configure("");
    const std::unique_ptr<Cni> cni = Open();
    const Attachment pod = Pin();
    const Result<CniResult> result = cni->Attach(pod);
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_EQ(result->ips, (std::vector<std::string>{"192.0.2.2", "2001:db8::2"}));
    EXPECT_EQ(Veths(), 1U);
    const Status checked = cni->Check(pod);
    EXPECT_TRUE(checked.has_value()) << checked.error().message;
    const auto stats = ReadInterfaceStats(pod.network_path).value();
    ASSERT_EQ(stats.size(), 1U);
    EXPECT_EQ(stats[0].name, "eth0");
    ASSERT_TRUE(cni->Detach(pod).has_value());
    EXPECT_EQ(Veths(), 0U);
    EXPECT_EQ(AddressesTaken(), 0U);
    EXPECT_TRUE(cni->Detach(pod).has_value());
  });
}

TEST_F(CniPluginsTest, AddressesAreFreedWhenTheNamespaceIsGone) {
  InPrivateNetwork([&] {
    Configure("");
    const std::unique_ptr<Cni> cni = Open();
    const Attachment pod = Pin();
    ASSERT_TRUE(cni->Attach(pod).has_value());
    EXPECT_EQ(AddressesTaken(), 2U);
    ASSERT_TRUE(UnpinNamespace(pod.network_path).has_value());
    const Status detached = cni->Detach(pod);
    ASSERT_TRUE(detached.has_value()) << detached.error().message;
    EXPECT_EQ(AddressesTaken(), 0U);
  });
}

TEST_F(CniPluginsTest, AFailureLaterInTheChainFreesEverything) {
  InPrivateNetwork([&] {
    Configure(R"(, {"type": "portmap", "capabilities": {"portMappings": true}, "backend": "none",
                    "snat": 5})");
    const std::unique_ptr<Cni> cni = Open();
    const Attachment pod = Pin();
    const Result<CniResult> result = cni->Attach(pod);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().message.rfind("CNI plugin portmap ADD network=net: code ", 0), 0U)
        << result.error().message;
    EXPECT_EQ(Veths(), 0U);
    EXPECT_EQ(AddressesTaken(), 0U);
  });
}

TEST_F(CniPluginsTest, PortMappings) {
  if (!fs::exists("/usr/sbin/iptables")) GTEST_SKIP() << "portmap needs iptables";
  InPrivateNetwork([&] {
    Configure(R"(, {"type": "portmap", "capabilities": {"portMappings": true}})");
    const std::unique_ptr<Cni> cni = Open();
    Attachment pod = Pin();
    pod.port_mappings = {
        {.protocol = "tcp", .container_port = 80, .host_port = 8080, .host_ip = ""}};
    const auto rules = [] {
      return sys::RunCommand({.path = "/usr/sbin/iptables",
                              .args = {"iptables", "-t", "nat", "-S"},
                              .env = {"PATH=/usr/sbin:/sbin"}})
          .value()
          .output;
    };
    const Result<CniResult> result = cni->Attach(pod);
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_NE(rules().find("192.0.2.2:80"), std::string::npos) << rules();
    ASSERT_TRUE(cni->Detach(pod).has_value());
    EXPECT_EQ(rules().find("192.0.2.2:80"), std::string::npos) << rules();
  });
}

TEST_F(CniPluginsTest, Bandwidth) {
  InPrivateNetwork([&] {
    Configure(R"(, {"type": "bandwidth", "capabilities": {"bandwidth": true}})");
    const std::unique_ptr<Cni> cni = Open();
    Attachment pod = Pin();
    pod.bandwidth = Json{{"ingressRate", 1000000}, {"ingressBurst", 1000000}};
    const Result<CniResult> result = cni->Attach(pod);
    if (!result.has_value() && result.error().message.find("not supported") != std::string::npos)
      GTEST_SKIP() << "this kernel has no tbf queue: " << result.error().message;
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_TRUE(cni->Check(pod).has_value());
    EXPECT_TRUE(cni->Detach(pod).has_value());
  });
}

}  // namespace
}  // namespace coracle::net
