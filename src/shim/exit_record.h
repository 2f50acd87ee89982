// <bundle>/exit.json: how the container ended, on disk before anyone is told. It outlives the shim.
#pragma once

#include <sys/types.h>

#include <string>

#include "coracle/base/result.h"
#include "coracle/shim/client.h"

namespace coracle::shim {

struct ExitRecord {
  pid_t pid = 0;
  ExitStatus exit;
};

Status WriteExitRecord(const std::string& bundle, const ExitRecord& record);
Result<ExitRecord> ReadWholeExitRecord(const std::string& bundle);

}  // namespace coracle::shim
