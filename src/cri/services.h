// The two gRPC services: they carry requests to the functions of rpcs.h, map errors, and log what
// failed. Nothing is decided here.
#pragma once

#include <memory>

#include "daemon.h"

namespace grpc {
class Service;
}

namespace coracle::cri {

std::unique_ptr<grpc::Service> MakeRuntimeService(Daemon& daemon);
std::unique_ptr<grpc::Service> MakeImageService(Daemon& daemon);

}  // namespace coracle::cri
