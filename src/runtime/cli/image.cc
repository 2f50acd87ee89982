#include <unistd.h>

#include "cli.h"
#include "coracle/runtime/own_binary.h"

namespace coracle::runtime::cli {

Error ExecImage(char** argv) {
  const Result<std::string> program = FindBesideOurselves("coracle-image");
  if (!program.has_value()) return program.error();
  ::execv(program->c_str(), argv);
  return KernelError("execve(2) path=" + *program);
}

}  // namespace coracle::runtime::cli
