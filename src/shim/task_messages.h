// Small translations between the Task service's messages and ours.
#pragma once

#include <string>
#include <utility>

#include "container_io.h"
#include "ttrpc_server.h"
#include "wire.pb.h"

namespace coracle::shim {

inline void SetTimestamp(std::uint64_t unix_ns, wire::Timestamp& time) {
  time.set_seconds(static_cast<std::int64_t>(unix_ns / 1'000'000'000U));
  time.set_nanos(static_cast<std::int32_t>(unix_ns % 1'000'000'000U));
}

// Of a CreateTaskRequest or an ExecProcessRequest.
template <class Request>
IoRequest IoRequestOf(const Request& request, const std::string& container_namespace) {
  return {.stdin_ = request.stdin(),
          .stdout_ = request.stdout(),
          .stderr_ = request.stderr(),
          .terminal = request.terminal(),
          .is_init = false,
          .container_id = request.id(),
          .container_namespace = container_namespace};
}

// Answers with the message, or with the error in its place.
template <class Message>
void ReplyWith(const Reply& reply, Result<Message> result) {
  if (!result) return reply(std::move(result).error());
  reply(result->SerializeAsString());
}

inline void ReplyEmpty(const Reply& reply, Status status) {
  if (!status) return reply(std::move(status).error());
  reply(std::string());
}

}  // namespace coracle::shim
