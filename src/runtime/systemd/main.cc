// The program `coracle-systemd`: one request to systemd, as JSON on standard input. The runtime
// itself is static and executes this only where systemd manages the cgroups, so that nobody else
// pays for loading libsystemd.
//
//   {"verb": "start", "user": false, "unit": "a.scope",
//    "properties": [["Slice", "s", "b.slice", 0]]}
//   {"verb": "set",  ...the same}
//   {"verb": "stop", "user": false, "unit": "a.scope"}
//
// Exit code 0: done, and the unit's job with it. 1: one line on standard error says why not.
#include <cstdio>

#include "bus.h"
#include "coracle/base/file.h"

namespace coracle::runtime::systemd {

struct Request {
  std::string verb, unit;
  bool user = false;
  Json properties = Json::array();
};

void Read(JsonReader& reader, Request& request) {
  reader.Required("verb", request.verb);
  reader.Required("unit", request.unit);
  reader.Required("user", request.user);
  reader.Optional("properties", request.properties);
}

namespace {

Result<std::vector<Property>> Properties(const Json& list) {
  std::vector<Property> properties;
  for (const Json& each : list) {
    if (!each.is_array() || each.size() != 4 || !each[0].is_string() || !each[1].is_string() ||
        !each[3].is_number_integer())
      return Error{Code::kProtocol, 0, "request: no [name, signature, value, since]"};
    properties.push_back(
        {each[0].get<std::string>(), each[1].get<std::string>(), each[2], each[3].get<int>()});
  }
  return properties;
}

Status Serve() {
  Request request;
  const std::string text = TRY(ReadFd(0, "standard input"));
  TRY(ReadJsonDocument(TRY(ParseJson(text, "request")), "request", request));
  const std::vector<Property> properties = TRY(Properties(request.properties));
  Manager manager = TRY(Manager::Connect(request.user));
  if (request.verb == "start") return manager.StartTransient(request.unit, properties);
  if (request.verb == "set") return manager.SetProperties(request.unit, properties);
  if (request.verb == "stop") return manager.Stop(request.unit);
  return Error{Code::kProtocol, 0, "request: unknown verb \"" + request.verb + "\""};
}

}  // namespace
}  // namespace coracle::runtime::systemd

int main() {
  const coracle::Status served = coracle::runtime::systemd::Serve();
  if (served.has_value()) return 0;
  std::fprintf(stderr, "%s\n", served.error().message.c_str());
  return 1;
}
