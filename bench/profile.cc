// Prints docker's default seccomp profile for the capabilities given: coracled's own, which leaves
// 32-bit calls out, with docker's architectures.
#include <cstdio>

#include "coracle/base/json.h"
#include "seccomp_default.h"

int main(int argc, char** argv) {
  using namespace coracle;
  oci::Spec spec;
  spec.linux_.seccomp = cri::DefaultSeccomp(std::vector<std::string>(argv + 1, argv + argc), true);
  spec.linux_.seccomp->architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  const Json json = oci::ToJson(spec);
  std::puts(PrintJson(json["linux"]["seccomp"]).c_str());
}
