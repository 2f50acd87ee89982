#include "sysctl.h"

#include <gtest/gtest.h>

#include "child.h"
#include "procfs.h"

namespace coracle::runtime {
namespace {

using test::InChild;
using test::ReadText;

oci::Spec SpecWith(const std::string& name, const std::string& value) {
  oci::Spec spec;
  spec.linux_.namespaces = {{.type = "network", .path = ""}, {.type = "ipc", .path = ""}};
  spec.linux_.sysctl[name] = value;
  return spec;
}
std::string Problem(const oci::Spec& spec) {
  const auto plan = PlanSysctl(spec);
  return plan.has_value() ? "" : plan.error().message;
}

TEST(Sysctl, BothSeparatorsNameTheSamePath) {
  EXPECT_EQ(PlanSysctl(SpecWith("net.ipv4.ip_forward", "1"))->values.begin()->first,
            "sys/net/ipv4/ip_forward");
  EXPECT_EQ(PlanSysctl(SpecWith("net/ipv4/conf/eth0.100/forwarding", "1"))->values.begin()->first,
            "sys/net/ipv4/conf/eth0.100/forwarding");
  EXPECT_EQ(PlanSysctl(SpecWith("net.ipv4.conf.eth0/100.forwarding", "1"))->values.begin()->first,
            "sys/net/ipv4/conf/eth0.100/forwarding");
}

TEST(Sysctl, OnlyWhatANamespaceKeepsApart) {
  EXPECT_EQ(Problem(SpecWith("kernel.shm_rmid_forced", "1")), "");
  EXPECT_EQ(Problem(SpecWith("fs.mqueue.msg_max", "10")), "");
  EXPECT_EQ(Problem(SpecWith("vm.swappiness", "1")),
            "/linux/sysctl/vm.swappiness: is not in a separate kernel namespace");
  EXPECT_NE(Problem(SpecWith("kernel.domainname", "x")).find("host's uts namespace"),
            std::string::npos);
  EXPECT_NE(Problem(SpecWith("kernel.hostname", "x")).find("/hostname"), std::string::npos);
  oci::Spec shared = SpecWith("net.ipv4.ip_forward", "1");
  shared.linux_.namespaces[0].path = "/proc/self/ns/net";
  EXPECT_NE(Problem(shared).find("host's network namespace"), std::string::npos);
}

TEST(Sysctl, NothingButANameAndALine) {
  for (const char* name : {"net/../vm/swappiness", "net..x", "net.ipv4.", "net/./x"})
    EXPECT_NE(Problem(SpecWith(name, "1")).find("not the name"), std::string::npos) << name;
  EXPECT_NE(Problem(SpecWith("net.x", "1\n2")).find("one line"), std::string::npos);
}

TEST(Sysctl, IsWrittenInTheNewNamespaceOnly) {
  const std::string before = ReadText("/proc/sys/net/ipv4/ip_default_ttl");
  const auto plan = PlanSysctl(SpecWith("net.ipv4.ip_default_ttl", "77"));
  EXPECT_EQ(InChild(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID,
                    [&]() -> std::string {
                      const auto proc = OpenProc(ProcPart::kAll);
                      MUST_WORK(proc);
                      MUST_WORK(WriteSysctls(*plan, proc->get()));
                      MUST(ReadText("/proc/sys/net/ipv4/ip_default_ttl") == "77\n");
                      return "";
                    }),
            "");
  EXPECT_EQ(ReadText("/proc/sys/net/ipv4/ip_default_ttl"), before);
}

}  // namespace
}  // namespace coracle::runtime
