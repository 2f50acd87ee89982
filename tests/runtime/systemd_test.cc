// What systemd is asked for: names, properties of limits and devices, annotations.
#include <gtest/gtest.h>

#include <limits>

#include "cgroup_devices.h"
#include "systemd_unit.h"

namespace coracle::runtime {
namespace {

constexpr std::uint64_t kInfinity = std::numeric_limits<std::uint64_t>::max();

TEST(SystemdUnit, SlicesLieInEachOther) {
  EXPECT_EQ(SlicePath("system.slice").value(), "/system.slice");
  EXPECT_EQ(SlicePath("a-b-c.slice").value(), "/a.slice/a-b.slice/a-b-c.slice");
  EXPECT_EQ(SlicePath("-.slice").value(), "");
  for (const char* bad :
       {"", ".slice", "a", "a.scope", "-a.slice", "a-.slice", "a--b.slice", "a/b.slice", "ä.slice"})
    EXPECT_EQ(SlicePath(bad).error().code, Code::kInvalidConfig) << bad;
}

TEST(SystemdUnit, NamesOfThePath) {
  const SystemdUnit unit = PlanUnit("kube-pod1.slice:crio:demo", "id", false).value();
  EXPECT_EQ(unit.name, "crio-demo.scope");
  EXPECT_EQ(unit.slice, "kube-pod1.slice");
  EXPECT_EQ(PlanUnit("", "id", false).value().name, "coracle-id.scope");
  EXPECT_EQ(PlanUnit("", "id", false).value().slice, "system.slice");
  EXPECT_EQ(PlanUnit(":p:n", "id", true).value().slice, "user.slice");
  EXPECT_EQ(PlanUnit(":p:n", "id", true).value().name, "p-n.scope");
  EXPECT_EQ(PlanUnit("a.slice::n", "id", false).value().name, "-n.scope");
}

TEST(SystemdUnit, RefusesWhatIsNoName) {
  for (const char* bad : {"plain", "a:b", "a.slice:b:c:d", "/a/b", "x:p:n",
                          "a.slice:p:", "a.slice:p:n/m", "a.slice:p q:n", "a.slice:p:n.slice"}) {
    const auto refused = PlanUnit(bad, "id", false);
    ASSERT_FALSE(refused.has_value()) << bad;
    EXPECT_NE(refused.error().message.find("/linux/cgroupsPath: "), std::string::npos) << bad;
  }
  EXPECT_FALSE(PlanUnit("", std::string(300, 'x'), false).has_value());
  EXPECT_FALSE(PlanUnit("", "a+b", false).has_value());
}

std::vector<UnitProperty> PropertiesOf(const std::string& file, const std::string& text) {
  std::vector<CgroupWrite> writes = {{.file = file, .text = text, .pointer = ""}};
  return LimitProperties(writes);
}

TEST(SystemdProperties, NumbersAndInfinity) {
  for (const auto& [file, name] : {std::pair{"memory.max", "MemoryMax"},
                                   {"memory.low", "MemoryLow"},
                                   {"memory.min", "MemoryMin"},
                                   {"memory.high", "MemoryHigh"},
                                   {"memory.swap.max", "MemorySwapMax"},
                                   {"cpu.weight", "CPUWeight"},
                                   {"pids.max", "TasksMax"}}) {
    const auto properties = PropertiesOf(file, "4096");
    ASSERT_EQ(properties.size(), 1U) << file;
    EXPECT_EQ(properties[0].name, name);
    EXPECT_EQ(properties[0].signature, "t");
    EXPECT_EQ(properties[0].value, 4096U);
    EXPECT_EQ(PropertiesOf(file, "max")[0].value, kInfinity);
    EXPECT_TRUE(PropertiesOf(file, "many").empty());
  }
  EXPECT_EQ(PropertiesOf("pids.max", "0")[0].value, 1U);
  EXPECT_TRUE(PropertiesOf("hugetlb.2MB.max", "0").empty());
}

TEST(SystemdProperties, CpuQuotaIsWholePercents) {
  std::vector<CgroupWrite> writes = {
      {.file = "cpu.max", .text = "12345 100000", .pointer = ""},
      {.file = "cpu.max", .text = "50000", .pointer = ""},
      {.file = "cpu.max", .text = "max 50000", .pointer = ""},
  };
  const auto properties = LimitProperties(writes);
  ASSERT_EQ(properties.size(), 5U);
  EXPECT_EQ(properties[0].name, "CPUQuotaPeriodUSec");
  EXPECT_EQ(properties[0].value, 100000U);
  EXPECT_EQ(properties[1].name, "CPUQuotaPerSecUSec");
  EXPECT_EQ(properties[1].value, 130000U);
  EXPECT_EQ(writes[0].text, "13000 100000");
  EXPECT_EQ(properties[2].value, 500000U);
  EXPECT_EQ(writes[1].text, "50000");
  EXPECT_EQ(properties[3].value, 50000U);
  EXPECT_EQ(properties[4].value, kInfinity);
  EXPECT_EQ(writes[2].text, "max 50000");
  EXPECT_TRUE(PropertiesOf("cpu.max", "1 2 3").empty());
  EXPECT_TRUE(PropertiesOf("cpu.max", "1 0").empty());
}

TEST(SystemdProperties, IdleIsTheWeightZero) {
  EXPECT_EQ(PropertiesOf("cpu.idle", "1")[0].value, 0U);
  EXPECT_EQ(PropertiesOf("cpu.idle", "1")[0].since, 252);
  EXPECT_EQ(PropertiesOf("cpu.idle", "0")[0].value, kInfinity);
}

TEST(SystemdProperties, ListsAreBits) {
  const auto properties = PropertiesOf("cpuset.cpus", "0-2,9");
  ASSERT_EQ(properties.size(), 1U);
  EXPECT_EQ(properties[0].name, "AllowedCPUs");
  EXPECT_EQ(properties[0].signature, "ay");
  EXPECT_EQ(properties[0].value, Json::array({7, 2}));
  EXPECT_EQ(PropertiesOf("cpuset.mems", "1")[0].value, Json::array({2}));
  EXPECT_EQ(PropertiesOf("cpuset.cpus", "")[0].value, Json::array());  // none of its own any more
  for (const char* bad : {"x", "3-1", "0-", "99999"})
    EXPECT_TRUE(PropertiesOf("cpuset.cpus", bad).empty()) << bad;
}

TEST(SystemdProperties, InputAndOutput) {
  EXPECT_EQ(PropertiesOf("io.weight", "200")[0].name, "IOWeight");
  const auto weight = PropertiesOf("io.weight", "8:16 300");
  EXPECT_EQ(weight[0].name, "IODeviceWeight");
  EXPECT_EQ(PrintJson(weight[0].value), R"([["/dev/block/8:16",300]])");
  const auto both = PropertiesOf("io.max", "8:0 rbps=1000 wiops=max");
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0].name, "IOReadBandwidthMax");
  EXPECT_EQ(both[1].name, "IOWriteIOPSMax");
  EXPECT_EQ(both[1].value[0][1], kInfinity);
}

TEST(SystemdProperties, OomGroupOnlyAtStart) {
  const auto properties = PropertiesOf("memory.oom.group", "1");
  ASSERT_EQ(properties.size(), 1U);
  EXPECT_EQ(properties[0].value, "kill");
  EXPECT_TRUE(properties[0].only_at_start);
}

std::string DevicesOf(std::vector<oci::DeviceRule> rules) {
  const auto properties = DeviceProperties(rules);
  return properties[0].value.get<std::string>() + " " + PrintJson(properties.back().value);
}

TEST(SystemdProperties, DevicesAreThoseAllowed) {
  const auto allow = [](const char* type, std::int64_t major, std::int64_t minor) {
    return oci::DeviceRule{
        .allow = true, .type = type, .major = major, .minor = minor, .access = "rw"};
  };
  const oci::DeviceRule deny{
      .allow = false, .type = "a", .major = {}, .minor = {}, .access = "rwm"};
  EXPECT_EQ(DevicesOf({deny, allow("c", 1, 3), allow("b", 7, -1)}),
            R"(strict [["/dev/char/1:3","rw"],["block-7","rw"]])");
  EXPECT_EQ(DevicesOf({allow("c", -1, -1)}), R"(strict [["char-*","rw"]])");
  // No word of systemd's: it allows more, and our own program decides.
  EXPECT_EQ(DevicesOf({allow("c", -1, 5)}), R"(strict [["char-*","rw"]])");
  EXPECT_EQ(DevicesOf({allow("a", 8, 1)}),
            R"(strict [["/dev/char/8:1","rw"],["/dev/block/8:1","rw"]])");
  EXPECT_EQ(DevicesOf({allow("a", -1, -1), deny}), "auto []");
  // systemd would keep the last of two.
  EXPECT_EQ(DevicesOf({allow("b", -1, -1),
                       {.allow = true, .type = "b", .major = {}, .minor = {}, .access = "m"}}),
            R"(strict [["block-*","rwm"]])");
  // A new list replaces the old one.
  EXPECT_EQ(DeviceProperties(WithDefaultDevices({}))[1].value, Json::array());
}

Result<UnitProperty> Annotated(const std::string& name, const std::string& text) {
  auto properties = AnnotatedProperties({{"org.systemd.property." + name, text}});
  if (!properties.has_value()) return properties.error();
  return properties->at(0);
}

TEST(SystemdAnnotations, EveryType) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"true", "b", "true"},   {"'it\\'s'", "s", "\"it's\""},
      {"\"x\"", "s", "\"x\""}, {"['a', 'b']", "as", R"(["a","b"])"},
      {"5", "i", "5"},         {"-5", "i", "-5"},
      {"uint64 5", "t", "5"},  {"byte 7", "y", "7"},
      {"int64 -9", "x", "-9"}, {"uint32 4294967295", "u", "4294967295"},
      {" 1.5 ", "d", "1.5"}};
  for (const auto& [text, signature, value] : cases) {
    const auto property = Annotated("SomeName", text);
    ASSERT_TRUE(property.has_value()) << text << ": " << property.error().message;
    EXPECT_EQ(property->signature, signature) << text;
    EXPECT_EQ(PrintJson(property->value), value) << text;
  }
}

TEST(SystemdAnnotations, SecondsAreMicroseconds) {
  const auto property = Annotated("TimeoutStopSec", "uint64 7").value();
  EXPECT_EQ(property.name, "TimeoutStopUSec");
  EXPECT_EQ(property.signature, "t");
  EXPECT_EQ(property.value, 7'000'000U);
  EXPECT_EQ(Annotated("TimeoutStopSec", "0.5").value().value, 500'000U);
  EXPECT_EQ(Annotated("TimeoutStopUSec", "uint64 7").value().value, 7U);
  EXPECT_EQ(Annotated("WatchSEC", "5").value().name, "WatchSEC");
  EXPECT_FALSE(Annotated("TimeoutStopSec", "'7'").has_value());
  EXPECT_FALSE(Annotated("TimeoutStopSec", "-1").has_value());
}

TEST(SystemdAnnotations, AllProblemsAtOnce) {
  const auto refused = AnnotatedProperties({{"org.systemd.property.Sl1ce", "'x'"},
                                            {"org.systemd.property.Name", "bare words"},
                                            {"org.systemd.property.Other", "byte 256"},
                                            {"org.systemd.property.Open", "['a'"},
                                            {"org.systemd.property.More", "'a' 'b'"},
                                            {"org.other", "anything"}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kInvalidConfig);
  for (const char* name : {"Sl1ce", "Name", "Other", "Open", "More"})
    EXPECT_NE(refused.error().message.find(name), std::string::npos) << name;
  EXPECT_EQ(refused.error().message.find("org.other"), std::string::npos);
}

}  // namespace
}  // namespace coracle::runtime
