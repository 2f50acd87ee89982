// Puts members into a JSON object unless they have the value that an absent member means.
#pragma once

#include "coracle/base/json.h"
#include "coracle/oci/spec.h"

namespace coracle::oci {

template <class T>
void PutMember(Json& json, const char* key, const T& value) {
  if (value != T{}) json[key] = value;
}

// An empty optional is absent; one that holds a zero is not.
template <class T>
void PutMember(Json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

template <class T, class Print>
void PutList(Json& json, const char* key, const std::vector<T>& list, const Print& print) {
  if (list.empty()) return;
  Json& array = json[key] = Json::array();
  for (const T& item : list) array.push_back(print(item));
}

template <class T, class Print>
void PutMap(Json& json, const char* key, const std::map<std::string, T>& map, const Print& print) {
  if (map.empty()) return;
  Json& object = json[key] = Json::object();
  for (const auto& [name, item] : map) object[name] = print(item);
}

inline void PutObject(Json& json, const char* key, Json object) {
  if (!object.empty()) json[key] = std::move(object);
}

Json PrintIdMapping(const IdMapping& mapping);
Json PrintLinux(const Linux& linux_);

}  // namespace coracle::oci
