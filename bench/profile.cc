// Prints the default seccomp profile of coracled, for the capabilities given: what docker, podman
// and containerd use by default.
#include <cstdio>

#include "coracle/base/json.h"
#include "seccomp_default.h"

int main(int argc, char** argv) {
  using namespace coracle;
  oci::Spec spec;
  spec.linux_.seccomp = cri::DefaultSeccomp(std::vector<std::string>(argv + 1, argv + argc));
  const Json json = oci::ToJson(spec);
  std::puts(PrintJson(json["linux"]["seccomp"]).c_str());
}
