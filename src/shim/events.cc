#include "events.h"

#include <sys/socket.h>

#include <ctime>
#include <utility>

#include "coracle/sys/socket.h"
#include "events/forward.pb.h"

namespace coracle::shim {
namespace {

using namespace std::chrono_literals;

constexpr auto kTimeout = 5s;
constexpr int kMaxAttempts = 6;          // at once, then 1, 2, 3, 4, 5 seconds later
constexpr std::size_t kMaxQueue = 2048;  // containerd's shims keep as many
constexpr std::string_view kUnixScheme = "unix://";

}  // namespace

void EventPublisher::Publish(const std::string& topic, const std::string& type, std::string value) {
  if (address_.empty() || queue_.size() >= kMaxQueue) return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  containerd::services::events::ttrpc::v1::ForwardRequest request;
  auto* envelope = request.mutable_envelope();
  envelope->mutable_timestamp()->set_seconds(now.tv_sec);
  envelope->mutable_timestamp()->set_nanos(static_cast<std::int32_t>(now.tv_nsec));
  envelope->set_namespace_(container_namespace_);
  envelope->set_topic(topic);
  envelope->mutable_event()->set_type_url(type);
  envelope->mutable_event()->set_value(std::move(value));
  queue_.push_back(request.SerializeAsString());
  if (!is_sending_) SendNext();
}

void EventPublisher::WhenIdle(std::function<void()> on_idle) {
  on_idle_ = std::move(on_idle);
  if (queue_.empty()) std::exchange(on_idle_, {})();
}

Status EventPublisher::Connect() {
  const std::string path =
      address_.starts_with(kUnixScheme) ? address_.substr(kUnixScheme.size()) : address_;
  auto socket = TRY(sys::ConnectUnix(path, SOCK_STREAM | SOCK_NONBLOCK));
  channel_ = TRY(TtrpcChannel::Make(loop_, std::move(socket), container_namespace_, [] {}));
  return {};
}

void EventPublisher::SendNext() {
  if (queue_.empty()) {
    is_sending_ = false;
    if (on_idle_) std::exchange(on_idle_, {})();
    return;
  }
  is_sending_ = true;
  if (!channel_) {
    if (auto connected = Connect(); !connected) return Answered(std::move(connected).error());
  }
  const OutgoingCall call{"containerd.services.events.ttrpc.v1.Events", "Forward", queue_.front(),
                          EventLoop::Clock::now() + kTimeout};
  channel_->Call(call, [this](Result<std::string> answer) {
    // Not from within the channel, which this may replace.
    loop_.Post([this, answer = std::move(answer)] { Answered(answer); });
  });
}

void EventPublisher::Answered(Result<std::string> answer) {
  // An answer of any kind means that the daemon has read it; a refused event stays refused.
  const bool is_lost = !answer && (answer.error().code == Code::kProtocol ||
                                   answer.error().errnum != 0 || !channel_);
  if (is_lost) channel_.reset();
  if (!is_lost || attempts_ + 1 >= kMaxAttempts) {
    queue_.pop_front();
    attempts_ = 0;
    return SendNext();
  }
  // The daemon may be starting again just now.
  const auto delay = std::chrono::seconds(attempts_++);
  loop_.At(EventLoop::Clock::now() + delay, [this] { SendNext(); });
}

}  // namespace coracle::shim
