#include "ttrpc.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fstream>
#include <sstream>

#include "coracle/base/id.h"
#include "ttrpc.pb.h"
#include "ttrpc_channel.h"
#include "ttrpc_server.h"

namespace coracle::shim {
namespace {

using namespace std::chrono_literals;

TEST(FrameReader, CutsFramesWhateverTheChunks) {
  std::string bytes;
  AppendFrame(bytes, 1, FrameType::kRequest, "one");
  AppendFrame(bytes, 3, FrameType::kResponse, "");
  FrameReader reader;
  std::vector<Frame> frames;
  for (const char byte : bytes) {
    reader.Feed({&byte, 1});
    while (auto frame = reader.Next()) frames.push_back(*std::move(frame));
  }
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].stream, 1U);
  EXPECT_EQ(frames[0].type, FrameType::kRequest);
  EXPECT_EQ(frames[0].data, "one");
  EXPECT_EQ(frames[1].stream, 3U);
  EXPECT_EQ(frames[1].type, FrameType::kResponse);
  EXPECT_EQ(frames[1].data, "");
}

TEST(FrameReader, WritesTheHeaderBigEndian) {
  std::string bytes;
  AppendFrame(bytes, 0x01020304, FrameType::kRequest, "abc");
  EXPECT_EQ(bytes, std::string("\0\0\0\3\1\2\3\4\1\0abc", 13));
}

TEST(FrameReader, SkipsAnOversizeFrameAndGoesOn) {
  std::string bytes("\x00\x40\x00\x01\x00\x00\x00\x05\x01\x00", 10);  // 4 MiB + 1, stream 5
  bytes.append((4UL << 20) + 1, 'x');
  AppendFrame(bytes, 7, FrameType::kRequest, "next");
  FrameReader reader;
  std::vector<Frame> frames;
  for (std::size_t at = 0; at < bytes.size(); at += 100'000) {
    reader.Feed(std::string_view(bytes).substr(at, 100'000));
    while (auto frame = reader.Next()) frames.push_back(*std::move(frame));
  }
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].stream, 5U);
  EXPECT_EQ(frames[0].oversize, (4U << 20) + 1);
  EXPECT_EQ(frames[1].data, "next");
}

TEST(TtrpcStatus, CarriesOurErrorWhole) {
  const Error error{Code::kUnsupported, ENOSYS, "linux.resources.pids: no controller", "cgroup"};
  const Error back = ErrorOf(StatusOf(error));
  EXPECT_EQ(back.code, error.code);
  EXPECT_EQ(back.errnum, error.errnum);
  EXPECT_EQ(back.message, error.message);
  EXPECT_EQ(back.step, error.step);
}

TEST(TtrpcStatus, UnderstandsForeignStatuses) {
  ttrpc::Status status;
  status.set_code(5);
  status.set_message("process already finished: not found");
  EXPECT_EQ(ErrorOf(status).code, Code::kNotFound);
  status.set_code(9);
  EXPECT_EQ(ErrorOf(status).code, Code::kWrongState);
  status.set_code(12);
  status.set_message("service containerd.task.v3.Task");
  EXPECT_TRUE(IsUnimplemented(ErrorOf(status)));
}

// A server and raw or proper clients in one loop.
class TtrpcServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = EventLoop::Make();
    ASSERT_TRUE(made) << made.error().message;
    loop_ = *std::move(made);
    server_ = std::make_unique<TtrpcServer>(
        *loop_, [this](const IncomingCall& call, Reply reply) { return Handle(call, reply); });
    UniqueFd listening(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address_.sun_family = AF_UNIX;
    const std::string name = "coracle-ttrpc-test-" + RandomHex(8);
    name.copy(address_.sun_path + 1, name.size());
    size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    ASSERT_EQ(bind(listening.get(), reinterpret_cast<sockaddr*>(&address_), size_), 0);
    ASSERT_EQ(listen(listening.get(), 8), 0);
    ASSERT_TRUE(server_->Listen(std::move(listening)));
  }

  TtrpcServer::Found Handle(const IncomingCall& call, const Reply& reply) {
    if (call.service != "test.Service") return TtrpcServer::Found::kNothing;
    if (call.method == "Echo") {
      reply(call.payload);
    } else if (call.method == "Fail") {
      reply(Error{Code::kNotFound, 0, "no such thing"});
    } else if (call.method == "Later") {
      later_.push_back(reply);
    } else {
      return TtrpcServer::Found::kServiceOnly;
    }
    return TtrpcServer::Found::kMethod;
  }

  UniqueFd Connect() {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address_), size_), 0);
    return fd;
  }

  std::unique_ptr<TtrpcChannel> Channel() {
    auto channel = TtrpcChannel::Make(*loop_, Connect(), "ns", [] {});
    EXPECT_TRUE(channel);
    return *std::move(channel);
  }

  // Runs the loop until `done` or five seconds, which no passing test needs.
  void RunUntil(const std::function<bool()>& done) {
    const auto give_up = EventLoop::Clock::now() + 5s;
    std::function<void()> look = [&] {
      if (done() || EventLoop::Clock::now() > give_up) return loop_->Stop();
      loop_->At(EventLoop::Clock::now() + 1ms, look);
    };
    loop_->At(EventLoop::Clock::now(), look);  // Run() forgets an earlier Stop()
    loop_->Run();
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<TtrpcServer> server_;
  sockaddr_un address_{};
  socklen_t size_ = 0;
  std::vector<Reply> later_;
};

TEST_F(TtrpcServerTest, AnswersFailsAndKnowsWhatItDoesNotHave) {
  auto channel = Channel();
  std::vector<Result<std::string>> replies;
  const auto collect = [&](Result<std::string> reply) { replies.push_back(std::move(reply)); };
  channel->Call({"test.Service", "Echo", std::string(100'000, 'e'), {}}, collect);
  channel->Call({"test.Service", "Fail", "", {}}, collect);
  channel->Call({"test.Service", "Nothing", "", {}}, collect);
  channel->Call({"other.Service", "Echo", "", {}}, collect);
  RunUntil([&] { return replies.size() == 4; });
  ASSERT_EQ(replies.size(), 4U);
  EXPECT_EQ(*replies[0], std::string(100'000, 'e'));
  EXPECT_EQ(replies[1].error().code, Code::kNotFound);
  EXPECT_EQ(replies[1].error().message, "no such thing");
  EXPECT_EQ(replies[2].error().message, "method Nothing");
  EXPECT_TRUE(IsUnimplemented(replies[2].error()));
  EXPECT_EQ(replies[3].error().message, "service other.Service");
}

TEST_F(TtrpcServerTest, AnswersInAnyOrder) {
  auto channel = Channel();
  std::vector<std::string> order;
  channel->Call({"test.Service", "Later", "", {}}, [&](auto reply) { order.push_back(*reply); });
  channel->Call({"test.Service", "Echo", "now", {}}, [&](auto reply) {
    order.push_back(*reply);
    later_[0](std::string("late"));
    later_[0](std::string("twice"));  // dropped
  });
  RunUntil([&] { return order.size() == 2; });
  EXPECT_EQ(order, (std::vector<std::string>{"now", "late"}));
}

TEST_F(TtrpcServerTest, BothSidesKeepTheDeadline) {
  auto channel = Channel();
  std::optional<Result<std::string>> reply;
  channel->Call({"test.Service", "Later", "", EventLoop::Clock::now() + 20ms},
                [&](Result<std::string> got) { reply = std::move(got); });
  RunUntil([&] { return reply.has_value(); });
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->error().errnum, ETIMEDOUT);
}

TEST_F(TtrpcServerTest, ALostConnectionEndsEveryCall) {
  auto channel = Channel();
  std::optional<Result<std::string>> reply;
  channel->Call({"test.Service", "Later", "", {}},
                [&](Result<std::string> got) { reply = std::move(got); });
  RunUntil([&] { return !later_.empty(); });
  server_.reset();
  RunUntil([&] { return reply.has_value(); });
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->error().message, "ttrpc: closed");
  EXPECT_EQ(reply->error().code, Code::kProtocol);
}

// What a peer that does not keep the rules gets, byte by byte.
class RawPeer : public TtrpcServerTest {
 protected:
  ttrpc::Response Exchange(std::uint32_t stream, std::string_view data) {
    std::string bytes;
    AppendFrame(bytes, stream, FrameType::kRequest, data);
    return Send(bytes);
  }
  ttrpc::Response Send(const std::string& bytes) {
    if (!raw_) raw_ = Connect();
    FrameReader reader;
    std::optional<Frame> frame;
    std::size_t sent = 0;
    RunUntil([&] {
      if (sent < bytes.size()) {
        const auto n =
            send(raw_.get(), bytes.data() + sent, bytes.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) sent += static_cast<std::size_t>(n);
      }
      char buffer[4096];
      const auto got = recv(raw_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (got > 0) reader.Feed({buffer, static_cast<std::size_t>(got)});
      frame = reader.Next();
      return frame.has_value();
    });
    ttrpc::Response response;
    EXPECT_TRUE(frame);
    if (frame) {
      EXPECT_EQ(frame->type, FrameType::kResponse);
      EXPECT_TRUE(response.ParseFromString(frame->data));
    }
    return response;
  }
  UniqueFd raw_;
};

TEST_F(RawPeer, EvenStreamIsRefused) { EXPECT_EQ(Exchange(2, "").status().code(), 3); }

TEST_F(RawPeer, GarbageIsRefused) { EXPECT_NE(Exchange(1, "\xff\xff\xff").status().code(), 0); }

TEST_F(RawPeer, OversizeIsRefused) {
  const auto response = Exchange(1, std::string((4UL << 20) + 1, 'x'));
  EXPECT_EQ(response.status().code(), 8);
  EXPECT_EQ(response.status().message(),
            "message length 4194305 exceed maximum message size of 4194304");
}

TEST(TaskProto, Version3IsVersion2UnderAnotherName) {
  const auto body = [](const std::string& version) {
    std::ifstream file(std::string(CORACLE_SOURCE_DIR) + "/proto/shim/task/v" + version +
                       "/task.proto");
    std::string text(std::istreambuf_iterator<char>(file), {});
    const auto syntax = text.find("syntax");
    EXPECT_NE(syntax, std::string::npos);
    text.erase(0, syntax);
    const auto name = text.find("containerd.task.v" + version);
    EXPECT_NE(name, std::string::npos);
    return text.erase(name, std::string("containerd.task.v2").size());
  };
  EXPECT_EQ(body("2"), body("3"));
}

}  // namespace
}  // namespace coracle::shim
