// The kernel without a C library: system calls, and the start of a program that has nothing else.
// A C library's own start would be a good part of what is measured here.
#pragma once

#include <asm/unistd.h>

namespace bare {

// Up to five arguments; what is absent is zero.
template <class... Arguments>
long Call(long number, Arguments... arguments) {
  const long all[6] = {static_cast<long>(arguments)...};
  register long r10 __asm__("r10") = all[3];
  register long r8 __asm__("r8") = all[4];
  register long r9 __asm__("r9") = all[5];
  long result = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(all[0]), "S"(all[1]), "d"(all[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

[[noreturn]] inline void Exit(int code) {
  for (;;) Call(__NR_exit_group, code);
}

inline long Address(const void* pointer) { return reinterpret_cast<long>(pointer); }

}  // namespace bare

// The program itself: Main(arguments), an array that ends with a null pointer.
extern "C" [[noreturn]] void Main(char** arguments);

// The kernel starts a program with the stack pointing at argc, argv[0], ...
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  lea 8(%rsp), %rdi\n"
    "  and $-16, %rsp\n"
    "  call Main\n");
