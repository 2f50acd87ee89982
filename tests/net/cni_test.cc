// Cni against a plugin that does as it is told and writes down how it was called.
#include "coracle/net/cni.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "coracle/base/file.h"
#include "coracle/net/netns.h"
#include "support/temp_dir.h"

namespace coracle::net {
namespace {

// "<name>.<COMMAND>.sh" beside it is its behaviour; without one it succeeds.
constexpr const char* kPlugin = R"(#!/bin/sh
dir=${0%/*} name=${0##*/}
request=$(cat)
if [ "$CNI_COMMAND" = VERSION ]; then
  [ -e "$dir/$name.versions" ] && exec cat "$dir/$name.versions"
  echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}'
  exit 0
fi
echo "$name $CNI_COMMAND" >> "$dir/calls"
printf '%s' "$request" > "$dir/$name.$CNI_COMMAND.stdin"
env > "$dir/$name.$CNI_COMMAND.env"
[ -e "$dir/$name.$CNI_COMMAND.sh" ] && . "$dir/$name.$CNI_COMMAND.sh"
[ "$CNI_COMMAND" = ADD ] || exit 0
cat << END
{"cniVersion": "1.1.0", "by": "$name",
 "interfaces": [{"name": "veth0"}, {"name": "eth0", "sandbox": "$CNI_NETNS"}],
 "ips": [{"address": "192.0.2.1/24", "interface": 0}, {"address": "192.0.2.9/24", "interface": 1},
         {"address": "2001:db8::9/64"}]}
END
)";

class CniTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make network namespaces";
    for (const char* name : {"conf", "bin"}) ASSERT_TRUE(MakeDirectories(Path(name)).has_value());
    for (const char* name : {"bin/first", "bin/second"})
      ASSERT_TRUE(WriteFileAtomically(Path(name), kPlugin, 0755).has_value());
    Configure(R"({"cniVersion": "1.1.0", "name": "net", "plugins": [
        {"type": "first", "capabilities": {"portMappings": true, "bandwidth": false}, "own": [1]},
        {"type": "second", "capabilities": {"dns": true}, "cni.dev/x": 1}]})");
    ASSERT_TRUE(PinNamespaces({.network_path = Path("netns"),
                               .ipc_path = "",
                               .uts_path = "",
                               .hostname = "",
                               .sysctls = {}})
                    .has_value());
    cni_ = Cni::Open({.conf_dir = Path("conf"),
                      .bin_dirs = {Path("bin")},
                      .cache_dir = Path("cache"),
                      .plugin_timeout = std::chrono::milliseconds(30'000)})
               .value();
    pod_.container_id = "pod1";
    pod_.network_path = Path("netns");
  }
  void TearDown() override { EXPECT_TRUE(UnpinNamespace(Path("netns")).has_value()); }

  [[nodiscard]] std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  void Configure(const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(Path("conf/10-net.conflist"), text).has_value());
  }
  // "first.ADD" does this before anything else.
  void Behave(const std::string& plugin_command, const std::string& script) {
    ASSERT_TRUE(WriteFileAtomically(Path("bin/" + plugin_command + ".sh"), script).has_value());
  }
  void BehaveWell(const std::string& plugin_command) {
    std::filesystem::remove(Path("bin/" + plugin_command + ".sh"));
  }
  // "first ADD, second ADD", and forgets them.
  std::string Calls() {
    std::string calls = ReadFile(Path("bin/calls")).value_or("");
    std::filesystem::remove(Path("bin/calls"));
    while (calls.ends_with('\n')) calls.pop_back();
    for (std::size_t at = 0; (at = calls.find('\n')) != std::string::npos;)
      calls.replace(at, 1, ", ");
    return calls;
  }
  Json Request(const std::string& plugin_command) {
    return ParseJson(ReadFile(Path("bin/" + plugin_command + ".stdin")).value_or("null"), "stdin")
        .value();
  }
  std::string Environment(const std::string& plugin_command) {
    return "\n" + ReadFile(Path("bin/" + plugin_command + ".env")).value_or("");
  }
  bool HasRecord() { return !cni_->Attached().value().empty(); }

  test::TempDir dir_;
  std::unique_ptr<Cni> cni_;
  Attachment pod_;
};

TEST_F(CniTest, ChainsResultsAndReturnsTheSandboxAddresses) {
  const Result<CniResult> result = cni_->Attach(pod_);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->ips, (std::vector<std::string>{"192.0.2.9", "2001:db8::9"}));
  EXPECT_EQ(result->raw["by"], "second");
  EXPECT_EQ(Calls(), "first ADD, second ADD");
  EXPECT_FALSE(Request("first.ADD").contains("prevResult"));
  EXPECT_EQ(Request("second.ADD")["prevResult"]["by"], "first");
  EXPECT_EQ(cni_->Attached().value(), std::vector<std::string>{"pod1"});
}

TEST_F(CniTest, DerivesTheRequest) {
  pod_.args = {{"K8S_POD_NAME", "web"}, {"IgnoreUnknown", "1"}};
  pod_.port_mappings = {{.protocol = "tcp", .container_port = 80, .host_port = 8080, .host_ip = ""},
                        {.protocol = "tcp", .container_port = 81, .host_port = 0, .host_ip = ""}};
  pod_.bandwidth = Json{{"ingressRate", 1000}};
  pod_.dns = Json{{"servers", {"192.0.2.53"}}};
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  const Json first = Request("first.ADD");
  EXPECT_EQ(first["cniVersion"], "1.1.0");
  EXPECT_EQ(first["name"], "net");
  EXPECT_EQ(PrintJson(first["own"]), "[1]");
  EXPECT_FALSE(first.contains("capabilities"));
  EXPECT_EQ(PrintJson(first["runtimeConfig"]),
            R"({"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]})");
  const Json second = Request("second.ADD");
  EXPECT_EQ(PrintJson(second["runtimeConfig"]), R"({"dns":{"servers":["192.0.2.53"]}})");
  EXPECT_FALSE(second.contains("cni.dev/x"));
  const std::string env = Environment("first.ADD");
  EXPECT_NE(env.find("\nCNI_CONTAINERID=pod1\n"), std::string::npos) << env;
  EXPECT_NE(env.find("\nCNI_NETNS=" + Path("netns") + "\n"), std::string::npos);
  EXPECT_NE(env.find("\nCNI_IFNAME=eth0\n"), std::string::npos);
  EXPECT_NE(env.find("\nCNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web\n"), std::string::npos);
  EXPECT_NE(env.find("\nCNI_PATH=" + Path("bin") + "\n"), std::string::npos);
  EXPECT_EQ(env.find("\nHOME="), std::string::npos) << "our environment is not theirs";
}

TEST_F(CniTest, DetachUsesWhatAttachHad) {
  pod_.dns = Json{{"servers", {"192.0.2.53"}}};
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  Configure(R"({"cniVersion": "1.0.0", "name": "new", "plugins": [{"type": "second"}]})");
  Calls();
  pod_.dns.reset();
  ASSERT_TRUE(cni_->Detach(pod_).has_value());
  EXPECT_EQ(Calls(), "second DEL, first DEL");
  for (const char* plugin : {"first.DEL", "second.DEL"}) {
    EXPECT_EQ(Request(plugin)["name"], "net");
    EXPECT_EQ(Request(plugin)["prevResult"]["by"], "second");
  }
  EXPECT_EQ(Request("second.DEL")["runtimeConfig"]["dns"]["servers"][0], "192.0.2.53");
  EXPECT_FALSE(HasRecord());
  EXPECT_TRUE(cni_->Detach(pod_).has_value()) << "twice is success";
  EXPECT_EQ(Calls(), "");
}

TEST_F(CniTest, DetachWorksWhenTheNamespaceIsGone) {
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  ASSERT_TRUE(UnpinNamespace(pod_.network_path).has_value());
  ASSERT_TRUE(cni_->Detach(pod_).has_value());
  EXPECT_NE(Environment("first.DEL").find("\nCNI_NETNS=\n"), std::string::npos);
  EXPECT_FALSE(HasRecord());
}

TEST_F(CniTest, FailedDetachKeepsTheRecordAndGoesOn) {
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  Calls();
  Behave("second.DEL", R"(echo '{"code": 11, "msg": "try again"}'; exit 1)");
  const Status failed = cni_->Detach(pod_);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().message, "CNI plugin second DEL network=net: code 11: try again");
  EXPECT_EQ(Calls(), "second DEL, first DEL");
  EXPECT_TRUE(HasRecord());
  Behave("second.DEL", R"(echo '{"code": 3, "msg": "never heard of it"}'; exit 1)");
  EXPECT_TRUE(cni_->Detach(pod_).has_value());
  EXPECT_FALSE(HasRecord());
}

TEST_F(CniTest, FailedAttachUndoesEveryPluginThatRan) {
  Behave("second.ADD",
         R"(printf '{"code": 7, "msg": "Invalid\nConfiguration", "details": "x"}'; exit 1)");
  const Result<CniResult> result = cni_->Attach(pod_);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
  EXPECT_EQ(Calls(), "first ADD, second ADD, second DEL, first DEL");
  EXPECT_FALSE(HasRecord());
  Behave("first.ADD", "echo 'no such' >&2; echo 'device' >&2; exit 9");
  EXPECT_EQ(cni_->Attach(pod_).error().message,
            "CNI plugin first ADD network=net: exit 9: no such device");
  EXPECT_EQ(Calls(), "first ADD, first DEL");
}

TEST_F(CniTest, AttachThatCannotBeUndoneIsRemembered) {
  Behave("first.ADD", "exit 1");
  Behave("first.DEL", "exit 1");
  EXPECT_NE(cni_->Attach(pod_).error().message.find("; then, undoing it: CNI plugin first DEL"),
            std::string::npos);
  EXPECT_TRUE(HasRecord());
  BehaveWell("first.DEL");
  EXPECT_TRUE(cni_->Detach(pod_).has_value());
  EXPECT_FALSE(Request("first.DEL").contains("prevResult"));
  EXPECT_FALSE(HasRecord());
}

TEST_F(CniTest, TheRecordIsThereBeforeThePluginRuns) {
  Behave("first.ADD", "ls \"$dir/../cache\" > \"$dir/seen\"");
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  EXPECT_EQ(ReadFile(Path("bin/seen")).value(), "pod1@eth0.json\n");
  EXPECT_EQ(cni_->Attach(pod_).error().code, Code::kAlreadyExists);
}

TEST_F(CniTest, ADamagedRecordStillLeadsToDel) {
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  ASSERT_TRUE(WriteFileAtomically(Path("cache/pod1@eth0.json"), "{").has_value());
  Calls();
  EXPECT_TRUE(cni_->Detach(pod_).has_value());
  EXPECT_EQ(Calls(), "second DEL, first DEL");
  EXPECT_FALSE(HasRecord());
}

TEST_F(CniTest, GarbageFromAPluginIsAnError) {
  for (const char* script : {"echo garbage; exit 0", "exit 0", "echo '[]'; exit 0",
                             "head -c 3000000 /dev/zero | tr '\\0' x; exit 0"}) {
    Behave("second.ADD", script);
    const Result<CniResult> result = cni_->Attach(pod_);
    ASSERT_FALSE(result.has_value()) << script;
    EXPECT_EQ(result.error().code, Code::kProtocol) << result.error().message;
    EXPECT_LT(result.error().message.size(), 4096U);
    EXPECT_FALSE(HasRecord());
  }
}

TEST_F(CniTest, AHangingPluginIsKilledWithItsChildren) {
  cni_ = Cni::Open({.conf_dir = Path("conf"),
                    .bin_dirs = {Path("bin")},
                    .cache_dir = Path("cache"),
                    .plugin_timeout = std::chrono::milliseconds(2'000)})
             .value();
  ASSERT_TRUE(cni_->Ready().has_value());
  Behave("first.ADD", "sleep 1000");
  const Result<CniResult> result = cni_->Attach(pod_);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().errnum, ETIMEDOUT);
  EXPECT_FALSE(HasRecord());
}

TEST_F(CniTest, CheckGetsTheResultUnlessDisabled) {
  EXPECT_EQ(cni_->Check(pod_).error().code, Code::kNotFound);
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  Calls();
  ASSERT_TRUE(cni_->Check(pod_).has_value());
  EXPECT_EQ(Calls(), "first CHECK, second CHECK");
  EXPECT_EQ(Request("first.CHECK")["prevResult"]["by"], "second");
  ASSERT_TRUE(cni_->Detach(pod_).has_value());
  Configure(R"({"cniVersion": "1.0.0", "name": "net", "disableCheck": true,
                "plugins": [{"type": "first"}]})");
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  Calls();
  EXPECT_TRUE(cni_->Check(pod_).has_value());
  EXPECT_EQ(Calls(), "");
}

TEST_F(CniTest, OldVersionsHaveNoPrevResultAtDel) {
  Configure(R"({"cniVersion": "0.3.1", "name": "net", "plugins": [{"type": "first"}]})");
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  EXPECT_TRUE(cni_->Check(pod_).has_value());
  ASSERT_TRUE(cni_->Detach(pod_).has_value());
  EXPECT_EQ(Calls(), "first ADD, first DEL");
  EXPECT_FALSE(Request("first.DEL").contains("prevResult"));
}

TEST_F(CniTest, PicksTheNewestVersionThatAllPluginsSpeak) {
  ASSERT_TRUE(WriteFileAtomically(Path("bin/second.versions"),
                                  R"({"supportedVersions": ["0.4.0", "1.0.0"]})")
                  .has_value());
  EXPECT_NE(cni_->Ready().error().message.find("plugin \"second\" speaks none"), std::string::npos);
  Configure(R"({"cniVersion": "0.3.1", "cniVersions": ["0.4.0", "1.0.0", "1.1.0"], "name": "net",
                "plugins": [{"type": "first"}, {"type": "second"}]})");
  EXPECT_TRUE(cni_->Ready().has_value());
  EXPECT_EQ(cni_->Configuration().value()["cniVersion"], "1.0.0");
}

TEST_F(CniTest, ReadyAsksTheDirectoryAnewAndThePlugins) {
  EXPECT_TRUE(cni_->Ready().has_value());
  EXPECT_EQ(Calls(), "first STATUS, second STATUS");
  Behave("second.STATUS", R"(echo '{"code": 50, "msg": "no daemon"}'; exit 1)");
  EXPECT_EQ(cni_->Ready().error().message,
            "CNI plugin second STATUS network=net: code 50: no daemon");
  Configure(R"({"cniVersion": "1.1.0", "name": "net", "plugins": [{"type": "third"}]})");
  EXPECT_EQ(cni_->Ready().error().message, "CNI plugin \"third\": not found in " + Path("bin"));
  ASSERT_TRUE(WriteFileAtomically(Path("bin/third"), kPlugin, 0755).has_value());
  EXPECT_TRUE(cni_->Ready().has_value()) << "installed since";
  ASSERT_EQ(::chmod(Path("bin/third").c_str(), 0757), 0);
  EXPECT_NE(cni_->Ready().error().message.find("anybody may write"), std::string::npos);
  std::filesystem::remove(Path("conf/10-net.conflist"));
  EXPECT_EQ(cni_->Ready().error().code, Code::kNotFound);
}

TEST_F(CniTest, CollectGarbageNamesTheLiving) {
  ASSERT_TRUE(cni_->Attach(pod_).has_value());
  ASSERT_TRUE(cni_->CollectGarbage({"pod1", "unknown"}).has_value());
  EXPECT_EQ(PrintJson(Request("second.GC")["cni.dev/valid-attachments"]),
            R"([{"containerID":"pod1","ifname":"eth0"}])");
  Behave("first.GC", "exit 1");
  Calls();
  EXPECT_FALSE(cni_->CollectGarbage({}).has_value());
  EXPECT_EQ(Calls(), "first GC, second GC") << "the others run all the same";
}

TEST_F(CniTest, RefusesParametersThatWouldSaySomethingElse) {
  const auto refused = [&](const Attachment& attachment) {
    const Result<CniResult> result = cni_->Attach(attachment);
    return !result.has_value() && result.error().code == Code::kInvalidConfig;
  };
  Attachment bad = pod_;
  bad.args = {{"K8S_POD_NAME", "a;K8S_POD_NAMESPACE=kube-system"}};
  EXPECT_TRUE(refused(bad));
  bad = pod_;
  bad.container_id = "../pod";
  EXPECT_TRUE(refused(bad));
  EXPECT_TRUE(cni_->Detach(bad).has_value()) << "such a thing was never attached";
  bad = pod_;
  bad.interface = "a/b";
  EXPECT_TRUE(refused(bad));
  bad = pod_;
  bad.network_path = Path("conf");
  EXPECT_TRUE(refused(bad));
  EXPECT_EQ(Calls(), "");
  EXPECT_EQ(Cni::Open({.bin_dirs = {"bin"}, .cache_dir = "/x"}).error().code, Code::kInvalidConfig);
  EXPECT_EQ(Cni::Open({.cache_dir = ""}).error().code, Code::kInvalidConfig);
}

TEST_F(CniTest, ManyAtOnce) {
  std::atomic<int> attached = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      Attachment pod = pod_;
      pod.container_id = "pod-" + std::to_string(i);
      if (cni_->Attach(pod).has_value() && cni_->Detach(pod).has_value()) ++attached;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(attached, 8);
  EXPECT_FALSE(HasRecord());
}

}  // namespace
}  // namespace coracle::net
