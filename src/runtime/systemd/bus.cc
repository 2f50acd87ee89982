#include "bus.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "values.h"

namespace coracle::runtime::systemd {
namespace {

constexpr char kService[] = "org.freedesktop.systemd1";
constexpr char kPath[] = "/org/freedesktop/systemd1";
constexpr char kInterface[] = "org.freedesktop.systemd1.Manager";
constexpr std::uint64_t kTimeoutUs = 60'000'000;

struct BusError {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  BusError() = default;
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  ~BusError() { sd_bus_error_free(&error); }

  // systemd names it org.freedesktop.systemd1.NAME.
  [[nodiscard]] bool Is(std::string_view name) const {
    const std::string_view whole = error.name == nullptr ? "" : error.name;
    return whole.ends_with(name) && whole.starts_with(std::string(kService) + ".");
  }
};

Error Failed(const std::string& what, int result, const BusError& error = {}) {
  std::string text = what;
  if (error.error.message != nullptr) text += ": " + std::string(error.error.message);
  if (error.error.name != nullptr) text += " [" + std::string(error.error.name) + "]";
  return error.error.name != nullptr ? Error{Code::kKernel, -result, text}
                                     : KernelError(text, -result);
}

using Message = std::unique_ptr<sd_bus_message, decltype(&sd_bus_message_unref)>;

Result<Message> NewCall(sd_bus* bus, const char* method) {
  sd_bus_message* raw = nullptr;
  const int made = sd_bus_message_new_method_call(bus, &raw, kService, kPath, kInterface, method);
  if (made < 0) return Failed(method, made);
  return Message(raw, sd_bus_message_unref);
}

struct Reply {
  Message message{nullptr, sd_bus_message_unref};
  BusError error;
  int result = 0;
};

void Call(sd_bus* bus, sd_bus_message* message, Reply& reply) {
  sd_bus_message* raw = nullptr;
  reply.result = sd_bus_call(bus, message, kTimeoutUs, &reply.error.error, &raw);
  reply.message.reset(raw);
}

// The manager's own socket: no bus in between, but not for everybody.
sd_bus* ConnectDirectly(const std::string& path) {
  sd_bus* bus = nullptr;
  if (sd_bus_new(&bus) < 0) return nullptr;
  if (sd_bus_set_address(bus, ("unix:path=" + path).c_str()) >= 0 && sd_bus_start(bus) >= 0)
    return bus;
  sd_bus_unref(bus);
  return nullptr;
}

std::string OwnSocket(bool user) {
  if (!user) return ::geteuid() == 0 ? "/run/systemd/private" : "";
  const char* directory = ::getenv("XDG_RUNTIME_DIR");
  return directory == nullptr ? "" : std::string(directory) + "/systemd/private";
}

// JobRemoved: id, job, unit, result. Called from sd_bus_process only, so after the call's answer.
int NoteJob(sd_bus_message* message, void* data, sd_bus_error* /*error*/) {
  auto& awaited = *static_cast<AwaitedJob*>(data);
  const char* job = nullptr;
  const char* result = nullptr;
  std::uint32_t id = 0;
  const char* unit = nullptr;
  if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) < 0) return 0;
  if (awaited.job == job) awaited.result = result;
  return 0;
}

}  // namespace

Result<Manager> Manager::Connect(bool user) {
  sd_bus* bus = nullptr;
  const int opened = user ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
  if (opened < 0) {
    const std::string socket = OwnSocket(user);
    bus = socket.empty() ? nullptr : ConnectDirectly(socket);
  }
  if (bus == nullptr)
    return KernelError(user ? "no bus of the user's systemd; DBUS_SESSION_BUS_ADDRESS or "
                              "XDG_RUNTIME_DIR must name it"
                            : "no bus of the system's systemd; is it PID 1 of this machine?",
                       -opened);
  return Manager(Bus(bus, sd_bus_flush_close_unref));
}

// Who has not subscribed is told of no job. Nobody waits for the answers of these two.
Status Manager::FollowJobs() {
  const int matched = sd_bus_match_signal_async(bus_.get(), nullptr, nullptr, kPath, kInterface,
                                                "JobRemoved", NoteJob, nullptr, awaited_.get());
  if (matched < 0) return Failed("match JobRemoved", matched);
  const int subscribed = sd_bus_call_method_async(bus_.get(), nullptr, kService, kPath, kInterface,
                                                  "Subscribe", nullptr, nullptr, "");
  return subscribed < 0 ? Status(Failed("Subscribe", subscribed)) : Status();
}

Status Manager::Append(sd_bus_message* message, const std::vector<Property>& properties) {
  int version = 0;
  int done = sd_bus_message_open_container(message, 'a', "(sv)");
  for (const Property& property : properties) {
    if (property.since > 0 && version == 0) version = TRY(Version());
    if (property.since > version) continue;
    if (done >= 0) done = sd_bus_message_open_container(message, 'r', "sv");
    if (done >= 0) done = sd_bus_message_append_basic(message, 's', property.name.c_str());
    if (done >= 0) done = sd_bus_message_open_container(message, 'v', property.signature.c_str());
    std::string_view signature = property.signature;
    if (done >= 0) done = AppendValue(message, signature, property.value);
    if (done >= 0) done = sd_bus_message_close_container(message);
    if (done >= 0) done = sd_bus_message_close_container(message);
    if (done < 0) return Failed("property " + property.name, done);
  }
  if (done >= 0) done = sd_bus_message_close_container(message);
  return done < 0 ? Status(Failed("properties", done)) : Status();
}

Result<int> Manager::Version() {
  BusError error;
  char* text = nullptr;
  const int got = sd_bus_get_property_string(bus_.get(), kService, kPath, kInterface, "Version",
                                             &error.error, &text);
  if (got < 0) return Failed("Version", got, error);
  // "252.39-1~deb12u2", "v245"
  const int version = std::atoi(text + std::strspn(text, "v"));
  std::free(text);
  return version;
}

Result<std::string> Manager::TryStart(const std::string& unit,
                                      const std::vector<Property>& properties) {
  const Message call = TRY(NewCall(bus_.get(), "StartTransientUnit"));
  int done = sd_bus_message_append(call.get(), "ss", unit.c_str(), "replace");
  if (done < 0) return Failed("StartTransientUnit", done);
  TRY(Append(call.get(), properties));
  done = sd_bus_message_append(call.get(), "a(sa(sv))", 0);  // auxiliary units
  if (done < 0) return Failed("StartTransientUnit", done);
  Reply reply;
  Call(bus_.get(), call.get(), reply);
  const char* job = nullptr;
  if (reply.result >= 0) reply.result = sd_bus_message_read(reply.message.get(), "o", &job);
  if (reply.result >= 0) return std::string(job);
  Error error = Failed("start unit " + unit, reply.result, reply.error);
  if (reply.error.Is("UnitExists")) error.code = Code::kAlreadyExists;
  return error;
}

Status Manager::AwaitJob(const std::string& job, const std::string& what) {
  awaited_->job = job;
  while (awaited_->result.empty()) {
    const int processed = sd_bus_process(bus_.get(), nullptr);
    if (processed < 0) return Failed(what, processed);
    if (processed > 0) continue;
    const int woken = sd_bus_wait(bus_.get(), kTimeoutUs);
    if (woken < 0) return Failed(what, woken);
    if (woken == 0) return Error{Code::kKernel, ETIMEDOUT, what + ": no answer after 60 s"};
  }
  if (awaited_->result == "done") return {};
  return Error{Code::kKernel, 0, what + ": the job ended as \"" + awaited_->result + "\""};
}

Status Manager::StartTransient(const std::string& unit, const std::vector<Property>& properties) {
  TRY(FollowJobs());
  Result<std::string> job = TryStart(unit, properties);
  if (!job.has_value() && job.error().code == Code::kAlreadyExists) {
    ResetFailed(unit);
    job = TryStart(unit, properties);
  }
  if (!job.has_value()) return job.error();
  Status started = AwaitJob(*job, "start unit " + unit);
  if (!started.has_value()) ResetFailed(unit);
  return started;
}

void Manager::ResetFailed(const std::string& unit) {
  (void)sd_bus_call_method(bus_.get(), kService, kPath, kInterface, "ResetFailedUnit", nullptr,
                           nullptr, "s", unit.c_str());
}

Status Manager::Stop(const std::string& unit) {
  TRY(FollowJobs());
  const Message call = TRY(NewCall(bus_.get(), "StopUnit"));
  const int done = sd_bus_message_append(call.get(), "ss", unit.c_str(), "replace");
  if (done < 0) return Failed("StopUnit", done);
  Reply reply;
  Call(bus_.get(), call.get(), reply);
  const char* job = nullptr;
  if (reply.result >= 0) reply.result = sd_bus_message_read(reply.message.get(), "o", &job);
  if (reply.result < 0 && reply.error.Is("NoSuchUnit")) return {};
  if (reply.result < 0) return Failed("stop unit " + unit, reply.result, reply.error);
  TRY(AwaitJob(job, "stop unit " + unit));
  ResetFailed(unit);
  return {};
}

Status Manager::SetProperties(const std::string& unit, const std::vector<Property>& properties) {
  const Message call = TRY(NewCall(bus_.get(), "SetUnitProperties"));
  const int done = sd_bus_message_append(call.get(), "sb", unit.c_str(), 1);  // until a reboot
  if (done < 0) return Failed("SetUnitProperties", done);
  TRY(Append(call.get(), properties));
  Reply reply;
  Call(bus_.get(), call.get(), reply);
  if (reply.result >= 0) return {};
  return Failed("set properties of unit " + unit, reply.result, reply.error);
}

}  // namespace coracle::runtime::systemd
