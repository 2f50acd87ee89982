#include "progress.h"

#include <unistd.h>

#include <algorithm>

#include "coracle/base/file.h"
#include "verbs.h"

namespace coracle::image::cli {
namespace {

constexpr std::size_t kBarWidth = 30;
constexpr std::chrono::milliseconds kInterval{80};

std::string LineFor(const Progress& layer) {
  const auto colon = layer.digest.find(':');
  std::string line = layer.digest.substr(colon + 1, 12) + "  ";
  switch (layer.phase) {
    case Progress::Phase::kWaiting:
      return line + "waiting";
    case Progress::Phase::kUnpacking:
      return line + "unpacking";
    case Progress::Phase::kDone:
      return line + "done        " + SizeText(layer.total);
    case Progress::Phase::kExists:
      return line + "is here     " + SizeText(layer.total);
    case Progress::Phase::kDownloading:
      break;
  }
  const auto filled =
      static_cast<std::size_t>(layer.total == 0 ? 0 : layer.done * kBarWidth / layer.total);
  return line + "[" + std::string(filled, '=') + std::string(kBarWidth - filled, ' ') + "] " +
         SizeText(layer.done) + "/" + SizeText(layer.total);
}

}  // namespace

ProgressBars::ProgressBars(int fd) : fd_(fd), visible_(::isatty(fd) == 1) {}

void ProgressBars::Update(const Progress& progress) {
  if (!visible_) return;
  const auto same = std::find_if(layers_.begin(), layers_.end(), [&](const Progress& layer) {
    return layer.digest == progress.digest;
  });
  if (same == layers_.end()) {
    layers_.push_back(progress);
  } else {
    *same = progress;
  }
  const auto now = std::chrono::steady_clock::now();
  if (progress.phase == Progress::Phase::kDownloading && now - last_ < kInterval) return;
  last_ = now;
  Draw();
}

void ProgressBars::Draw() {
  std::string text;
  if (drawn_ > 0) text = "\x1b[" + std::to_string(drawn_) + "A";
  for (const Progress& layer : layers_) text += "\r\x1b[K" + LineFor(layer) + "\n";
  drawn_ = layers_.size();
  (void)WriteAll(fd_, text, "terminal");
}

}  // namespace coracle::image::cli
