// The conversation between the runtime and the container process, before the user's program runs.
//
//      runtime (create)                    container process
//      ----------------                    -----------------
//      clone3(2)            ............>  starts
//      writes uid_map, gid_map             (only with a new user namespace)
//      kIdMapsWritten       ------------>
//                           <------------  kMounted   (only with prestart or createRuntime hooks)
//      runs those hooks
//      kHooksRun            ------------>
//      loads the device program, limits    mounts, devices, pivot_root, ...
//                           <------------  kReady
//      writes the state: `created`
//      kCreated             ------------>  waits on its listening socket, start.sock
//
//      runtime (start), another program    container process
//      ----------------                    -----------------
//      connect(2)           ------------>  accept(2)
//      kTrace + memory      ------------>  (only with a trace: from a connection with a name)
//                                          startContainer hooks, credentials, seccomp
//                           <------------  kSeccompListener + descriptor  (only with a listener)
//      hands it to the agent
//      kSeccompTaken        ------------>
//                           <............  end of file: execve(2) has closed the socket
//
//      or, at any point:    <------------  kFailed + Error, then the process exits
//
// An exec process speaks the second part, over a socket pair. One message is one packet of fixed
// size: no parser stands between the two.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::runtime {

enum class SyncKind : std::uint8_t {
  kIdMapsWritten = 1,
  kMounted,
  kHooksRun,
  kReady,
  kCreated,
  kTrace,
  kSeccompListener,
  kSeccompTaken,
  kFailed,
};

struct SyncMessage {
  SyncKind kind = SyncKind::kReady;
  Code code = Code::kKernel;
  std::int32_t errnum = 0;
  std::array<char, 40> step{};
  std::array<char, 2000> text{};
};

Status SendSync(int socket, SyncKind kind, int fd = -1);
Status SendFailure(int socket, const Error& error);

// The descriptor that came with it, if any. A kFailed message becomes the returned Error.
Result<UniqueFd> ExpectSync(int socket, SyncKind expected);

// Until the end of the conversation, which is execve(2). A seccomp listener that comes on the way
// is returned, and the other side waits for kSeccompTaken; empty at the end.
Result<UniqueFd> AwaitExecve(int socket);

// The Error of a kFailed packet that was received elsewhere.
Error ErrorInPacket(std::string_view packet);

// When talking to the other process failed: its own last word if it left one, else `ours`.
Error LastWordOf(int socket, Error ours);

}  // namespace coracle::runtime
