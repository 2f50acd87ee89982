#include "values.h"

#include <cerrno>
#include <string>

namespace coracle::runtime::systemd {
namespace {

// The first complete type of a signature: "a(ss)" of "a(ss)t".
std::string_view FirstType(std::string_view signature) {
  std::size_t end = 0;
  while (end < signature.size() && signature[end] == 'a') ++end;
  if (end == signature.size()) return {};
  if (signature[end] != '(') return signature.substr(0, end + 1);
  for (int depth = 0; end < signature.size(); ++end) {
    if (signature[end] == '(') ++depth;
    if (signature[end] == ')' && --depth == 0) return signature.substr(0, end + 1);
  }
  return {};
}

template <class T>
int AppendNumber(sd_bus_message* message, char type, const Json& value) {
  if (!value.is_number()) return -EINVAL;
  const T number = value.get<T>();
  return sd_bus_message_append_basic(message, type, &number);
}

int AppendBasic(sd_bus_message* message, char type, const Json& value) {
  switch (type) {
    case 's':
      if (!value.is_string()) return -EINVAL;
      return sd_bus_message_append_basic(message, 's', value.get<std::string>().c_str());
    case 'b': {
      if (!value.is_boolean()) return -EINVAL;
      const int flag = value.get<bool>() ? 1 : 0;
      return sd_bus_message_append_basic(message, 'b', &flag);
    }
    case 'y':
      return AppendNumber<std::uint8_t>(message, type, value);
    case 'n':
      return AppendNumber<std::int16_t>(message, type, value);
    case 'q':
      return AppendNumber<std::uint16_t>(message, type, value);
    case 'i':
      return AppendNumber<std::int32_t>(message, type, value);
    case 'u':
      return AppendNumber<std::uint32_t>(message, type, value);
    case 'x':
      return AppendNumber<std::int64_t>(message, type, value);
    case 't':
      return AppendNumber<std::uint64_t>(message, type, value);
    case 'd':
      return AppendNumber<double>(message, type, value);
    default:
      return -EINVAL;
  }
}

int AppendMembers(sd_bus_message* message, std::string_view types, const Json& members) {
  for (const Json& member : members) {
    const int appended = AppendValue(message, types, member);
    if (appended < 0) return appended;
  }
  return types.empty() ? 0 : -EINVAL;
}

int AppendArray(sd_bus_message* message, const std::string& element, const Json& items) {
  int done = sd_bus_message_open_container(message, 'a', element.c_str());
  for (const Json& item : items) {
    std::string_view type = element;
    if (done >= 0) done = AppendValue(message, type, item);
  }
  return done < 0 ? done : sd_bus_message_close_container(message);
}

}  // namespace

int AppendValue(sd_bus_message* message, std::string_view& signature, const Json& value) {
  const std::string type(FirstType(signature));
  if (type.empty()) return -EINVAL;
  signature.remove_prefix(type.size());
  if (type.size() == 1) return AppendBasic(message, type[0], value);
  if (!value.is_array()) return -EINVAL;
  if (type[0] == 'a') return AppendArray(message, type.substr(1), value);
  const std::string members = type.substr(1, type.size() - 2);
  int done = sd_bus_message_open_container(message, 'r', members.c_str());
  if (done >= 0) done = AppendMembers(message, members, value);
  return done < 0 ? done : sd_bus_message_close_container(message);
}

}  // namespace coracle::runtime::systemd
