#include "grpc_status.h"

#include "text.h"

namespace coracle::cri {
namespace {

constexpr std::size_t kMaxMessage = 8 << 10;  // gRPC puts the message into HTTP/2 headers

grpc::StatusCode CodeOf(const Error& error) {
  switch (error.errnum) {
    case kDeadlinePassed:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case kCallerGone:
      return grpc::StatusCode::CANCELLED;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    default:
      break;
  }
  switch (error.code) {
    case Code::kInvalidConfig:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case Code::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case Code::kAlreadyExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case Code::kWrongState:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case Code::kUnsupported:
      return grpc::StatusCode::UNIMPLEMENTED;
    case Code::kProtocol:
      return grpc::StatusCode::UNAVAILABLE;
    case Code::kKernel:
      break;
  }
  return grpc::StatusCode::UNKNOWN;
}

}  // namespace

grpc::Status ToGrpcStatus(const Error& error) {
  return {CodeOf(error), ToUtf8(error.message).substr(0, kMaxMessage)};
}

}  // namespace coracle::cri
