// One RPC: the call to our function, the error's code, and the line in the log.
#pragma once

#include <grpcpp/server_context.h>
#include <spdlog/spdlog.h>

#include <string>

#include "coracle/base/result.h"
#include "daemon.h"
#include "grpc_status.h"

namespace coracle::cri {

struct Rpc {
  const char* name;
  Daemon& daemon;
  grpc::ServerContext& context;
};

template <class Request, class Response>
grpc::Status ServeRpc(const Rpc& rpc,
                      Result<Response> (*function)(Daemon&, const Request&, const Call&),
                      const Request& request, Response& response) {
  auto& [name, daemon, context] = rpc;
  const Call call{.cancelled = [&rpc] { return rpc.context.IsCancelled(); }};
  Result<Response> result = function(daemon, request, call);
  if (result.has_value()) {
    response = *std::move(result);
    return grpc::Status::OK;
  }
  grpc::Status status = ToGrpcStatus(result.error());
  if (context.IsCancelled() && status.error_code() == grpc::StatusCode::CANCELLED &&
      context.deadline() <= std::chrono::system_clock::now()) {
    status = {grpc::StatusCode::DEADLINE_EXCEEDED, status.error_message()};
  }
  // The request is not printed: it may carry secrets.
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
    daemon.log->debug("{}: {}", name, status.error_message());
  } else {
    daemon.log->error("{}: {}", name, status.error_message());
  }
  return status;
}

}  // namespace coracle::cri
