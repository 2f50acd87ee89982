// What the measured containers run: it ends at once, so that nothing of its own is measured. With
// an argument it waits to be killed.
#include "bare.h"

extern "C" [[noreturn]] void Main(char** arguments) {
  while (arguments[1] != nullptr) bare::Call(__NR_pause);
  bare::Exit(0);
}
