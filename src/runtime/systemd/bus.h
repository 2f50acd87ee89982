// One conversation with a systemd manager over D-Bus: org.freedesktop.systemd1(5).
#pragma once

#include <systemd/sd-bus.h>

#include <memory>
#include <string>
#include <string_view>

#include "coracle/base/json.h"
#include "coracle/base/result.h"

namespace coracle::runtime::systemd {

// A property as the request has it: [name, signature of the value, value, since].
struct Property {
  std::string name, signature;
  Json value;
  int since = 0;
};

struct AwaitedJob {
  std::string job, result;
};

class Manager {
 public:
  // The system's, or that of the user. The bus, or where there is none, the manager's own socket.
  static Result<Manager> Connect(bool user);

  // Each returns when the job is done. A unit of this name that has failed is in nobody's use.
  Status StartTransient(const std::string& unit, const std::vector<Property>& properties);
  // A unit that is not there is success.
  Status Stop(const std::string& unit);
  Status SetProperties(const std::string& unit, const std::vector<Property>& properties);

 private:
  using Bus = std::unique_ptr<sd_bus, decltype(&sd_bus_flush_close_unref)>;
  explicit Manager(Bus bus) : bus_(std::move(bus)) {}

  Status FollowJobs();
  Result<std::string> TryStart(const std::string& unit, const std::vector<Property>& properties);
  Status AwaitJob(const std::string& job, const std::string& what);
  void ResetFailed(const std::string& unit);
  Result<int> Version();
  Status Append(sd_bus_message* message, const std::vector<Property>& properties);

  std::unique_ptr<AwaitedJob> awaited_ = std::make_unique<AwaitedJob>();
  Bus bus_;
};

}  // namespace coracle::runtime::systemd
