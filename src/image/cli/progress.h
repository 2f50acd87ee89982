// One line per layer on a terminal, redrawn in place; nothing anywhere else.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "coracle/image/image_store.h"

namespace coracle::image::cli {

class ProgressBars {
 public:
  explicit ProgressBars(int fd);
  [[nodiscard]] bool visible() const { return visible_; }
  void Update(const Progress& progress);

 private:
  void Draw();

  int fd_;
  bool visible_;
  std::vector<Progress> layers_;
  std::size_t drawn_ = 0;  // lines
  std::chrono::steady_clock::time_point last_;
};

}  // namespace coracle::image::cli
