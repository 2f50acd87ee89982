// hosts.toml: which servers answer for a registry, as containerd lays it out: one directory per
// registry ("host_port_", "host:port", "_default"), with certificates beside it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "coracle/base/result.h"
#include "http.h"

namespace coracle::image {

struct RegistryHost {
  std::string base_url;  // "https://registry-1.docker.io/v2"
  bool resolve = true;   // may translate tags to digests
  bool pull = true;
  bool is_origin = false;  // the registry itself, not a mirror: no ?ns=
  TlsOptions tls;
  std::vector<std::string> headers;  // "Name: value"
};

// In the order to try. Without a configuration: the registry over https, or http if loopback.
Result<std::vector<RegistryHost>> HostsFor(const std::string& registry,
                                           const std::string& config_dir);

}  // namespace coracle::image
