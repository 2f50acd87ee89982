#include "stats_json.h"

#include <gtest/gtest.h>

#include "coracle/base/json.h"

namespace coracle::runtime::cli {
namespace {

TEST(StatsJson, HasTheShapeThatMonitorsRead) {
  CgroupStats stats;
  stats.cpu_usage_us = 7;
  stats.memory_usage = 4096;
  stats.memory_limit = UINT64_MAX;
  stats.pids_current = 2;
  stats.io = {{8, 0, 10, 20, 1, 2}};
  stats.memory_some = Pressure{0.5, 0.25, 0, 9};
  const Json json = StatsJson(stats);
  EXPECT_EQ(json["cpu"]["usage"]["total"], 7000);
  EXPECT_EQ(json["memory"]["usage"]["usage"], 4096);
  EXPECT_EQ(json["memory"]["usage"]["limit"], UINT64_MAX);
  EXPECT_EQ(json["memory"]["psi"]["some"]["total"], 9);
  EXPECT_EQ(json["pids"]["current"], 2);
  EXPECT_EQ(PrintJson(json["blkio"]["ioServiceBytesRecursive"][1]),
            R"({"major":8,"minor":0,"op":"Write","value":20})");
}

TEST(StatsJson, LeavesOutWhatNoControllerTells) {
  const Json json = StatsJson({});
  EXPECT_FALSE(json["memory"]["usage"].contains("usage"));
  EXPECT_FALSE(json["pids"].contains("current"));
}

}  // namespace
}  // namespace coracle::runtime::cli
