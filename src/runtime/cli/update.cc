#include "cli.h"
#include "coracle/base/file.h"
#include "numbers.h"

namespace coracle::runtime::cli {
namespace {

struct UpdateArguments {
  std::string id, file, memory, reservation, swap, kernel_memory, kernel_tcp;
  oci::CpuLimits cpu;
  std::optional<std::uint16_t> blkio_weight;
  std::optional<std::int64_t> pids;
  std::string l3_cache_schema, mem_bw_schema;
};

void AddOptions(Arguments& arguments, UpdateArguments& given) {
  arguments.Operand("container-id", given.id, "the container's name");
  arguments.Text("-r,--resources", given.file,
                 "file with linux.resources as JSON, or -: all other options are ignored");
  arguments.Number("--blkio-weight", given.blkio_weight, "10 to 1000");
  arguments.Number("--cpu-period", given.cpu.period_us, "microseconds");
  arguments.Number("--cpu-quota", given.cpu.quota_us, "microseconds in each period; -1: no limit");
  arguments.Number("--cpu-burst", given.cpu.burst_us, "microseconds");
  arguments.Number("--cpu-share", given.cpu.shares, "weight against other containers");
  arguments.Number("--cpu-rt-period", given.cpu.realtime_period_us, "microseconds");
  arguments.Number("--cpu-rt-runtime", given.cpu.realtime_runtime_us, "microseconds");
  arguments.Text("--cpuset-cpus", given.cpu.cpus, "CPUs to use: 0-3,7");
  arguments.Text("--cpuset-mems", given.cpu.mems, "memory nodes to use");
  arguments.Number("--cpu-idle", given.cpu.idle, "1: SCHED_IDLE");
  arguments.Text("--memory", given.memory, "bytes, or with k, m, g; -1: no limit");
  arguments.Text("--memory-reservation", given.reservation, "bytes, or with k, m, g");
  arguments.Text("--memory-swap", given.swap, "memory and swap; -1: no limit");
  arguments.Text("--kernel-memory", given.kernel_memory, "of cgroup v1: has no effect");
  arguments.Text("--kernel-memory-tcp", given.kernel_tcp, "of cgroup v1: has no effect");
  arguments.Number("--pids-limit", given.pids, "number of processes; -1: no limit");
  arguments.Text("--l3-cache-schema", given.l3_cache_schema, "Intel RDT L3 cache schema");
  arguments.Text("--mem-bw-schema", given.mem_bw_schema, "Intel RDT memory bandwidth schema");
}

Status SetBytes(const std::string& text, const char* option, std::optional<std::int64_t>& out) {
  if (!text.empty()) out = TRY(ParseBytes(text, option));
  return {};
}

Result<oci::Resources> FromOptions(const UpdateArguments& given) {
  oci::Resources resources;
  oci::MemoryLimits memory;
  TRY(SetBytes(given.memory, "--memory", memory.limit));
  TRY(SetBytes(given.reservation, "--memory-reservation", memory.reservation));
  TRY(SetBytes(given.swap, "--memory-swap", memory.swap));
  TRY(SetBytes(given.kernel_memory, "--kernel-memory", memory.kernel));
  TRY(SetBytes(given.kernel_tcp, "--kernel-memory-tcp", memory.kernel_tcp));
  resources.memory = memory;
  resources.cpu = given.cpu;
  if (given.blkio_weight) resources.block_io.emplace().weight = given.blkio_weight;
  resources.pids_limit = given.pids;
  return resources;
}

// "-" is standard input.
Result<oci::Resources> FromFile(const std::string& file) {
  const auto text = file == "-" ? TRY(ReadFd(0, "standard input")) : TRY(ReadFile(file));
  return oci::ParseResources(text, file == "-" ? "standard input" : file);
}

}  // namespace

Result<int> RunUpdate(Context& context, const Words& words) {
  UpdateArguments given;
  Arguments arguments("coracle update", "Changes the resource limits of a container.");
  AddOptions(arguments, given);
  if (!TRY(arguments.Parse(words))) return 0;
  const auto resources = given.file.empty() ? TRY(FromOptions(given)) : TRY(FromFile(given.file));
  for (const auto& [text, option] : {std::pair{given.kernel_memory, "--kernel-memory"},
                                     {given.kernel_tcp, "--kernel-memory-tcp"}})
    if (!text.empty())
      context.log.Warning(std::string(option) + " is of cgroup v1 and has no effect");
  TRY(Update(context.runtime, given.id, resources));
  Words schemata;
  for (const std::string& schema : {given.l3_cache_schema, given.mem_bw_schema})
    if (!schema.empty()) schemata.push_back(schema);
  if (!schemata.empty()) TRY(UpdateRdt(context.runtime, given.id, schemata));
  return 0;
}

}  // namespace coracle::runtime::cli
