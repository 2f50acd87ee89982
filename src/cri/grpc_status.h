// The one table from our error codes to gRPC's, and what goes over the wire of an error.
#pragma once

#include <grpcpp/support/status.h>

#include "coracle/base/error.h"

namespace coracle::cri {

grpc::Status ToGrpcStatus(const Error& error);

// An errnum that says "the deadline of the call passed" (DEADLINE_EXCEEDED), whatever its code.
inline constexpr int kDeadlinePassed = ETIME;
// The caller gave up (CANCELLED).
inline constexpr int kCallerGone = ECANCELED;

}  // namespace coracle::cri
