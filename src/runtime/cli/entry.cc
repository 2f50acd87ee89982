// Where the static program begins, before the C library does: ProtectOwnBinary's usual case, by
// system calls alone. Starting the C library is the dearest part of starting a program (it asks the
// processor for its features, which traps in a virtual machine), and would be for nothing in the
// first of the two lives. Whatever is not as expected here is left to ProtectOwnBinary, which looks
// again in every life.
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <string_view>

extern "C" bool coracle_image_is_read_only;  // of main.cc

namespace {

// As main.cc names them to ProtectOwnBinary.
constexpr std::string_view kEnteringVerbs[] = {"create", "run", "exec"};

// Up to five arguments; what is absent is zero.
template <class... Arguments>
long Call(long number, Arguments... arguments) {
  const long all[5] = {static_cast<long>(arguments)...};
  register long r10 __asm__("r10") = all[3];
  register long r8 __asm__("r8") = all[4];
  long result = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(all[0]), "S"(all[1]), "d"(all[2]), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

long Address(const void* pointer) { return reinterpret_cast<long>(pointer); }

bool Same(const char* word, std::string_view verb) {
  for (const char c : verb)
    if (*word++ != c) return false;
  return *word == '\0';
}

bool MayEnterContainer(char** arguments) {
  for (char** word = arguments; *word != nullptr; ++word)
    for (const std::string_view verb : kEnteringVerbs)
      if (Same(*word, verb)) return true;
  return false;
}

// Not on the stack: setting them to zero there may take memset(3), which is not ready yet.
struct statfs filesystem;
struct mount_attr attributes;

}  // namespace

// `stack`: argc, then argv and envp, each with a null pointer at its end.
extern "C" void CoracleExecuteReadOnlyImage(long* stack) {
  char** const arguments = reinterpret_cast<char**>(stack + 1);
  char** const environment = arguments + *stack + 1;
  if (!MayEnterContainer(arguments)) return;
  const long own = Call(__NR_open, Address("/proc/self/exe"), O_RDONLY | O_CLOEXEC);
  if (own < 0) return;
  const bool known = Call(__NR_fstatfs, own, Address(&filesystem), 0) == 0;
  coracle_image_is_read_only = known && (filesystem.f_flags & ST_RDONLY) != 0;
  if (known && !coracle_image_is_read_only) {
    const long image =
        Call(__NR_open_tree, own, Address(""), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (image >= 0 && Call(__NR_mount_setattr, image, Address(""), AT_EMPTY_PATH,
                           Address(&attributes), sizeof attributes) == 0)
      Call(__NR_execveat, image, Address(""), Address(arguments), Address(environment),
           AT_EMPTY_PATH);
    if (image >= 0) Call(__NR_close, image);
  }
  Call(__NR_close, own);
}

// The C library's own beginning finds stack and registers as the kernel left them.
__asm__(
    ".globl coracle_entry\n"
    ".type coracle_entry, @function\n"
    "coracle_entry:\n"
    "  mov %rsp, %rbx\n"
    "  mov %rdx, %r12\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call CoracleExecuteReadOnlyImage\n"
    "  mov %rbx, %rsp\n"
    "  mov %r12, %rdx\n"
    "  xor %ebx, %ebx\n"
    "  jmp _start\n");
