// list, inspect, rm, gc.
#include <stdio.h>

#include <array>

#include "coracle/base/json.h"
#include "verbs.h"

namespace coracle::image::cli {
namespace {

Json Summary(const Image& image) {
  return {{"id", image.id},
          {"repoTags", image.repo_tags},
          {"repoDigests", image.repo_digests},
          {"size", image.size},
          {"pinned", image.pinned}};
}

std::string ShortId(const std::string& id) { return id.substr(id.find(':') + 1, 12); }

void PrintRow(const std::string& name, const std::string& tag, const Image& image) {
  std::printf("%-48s %-16s %-12s %10s\n", name.c_str(), tag.c_str(), ShortId(image.id).c_str(),
              SizeText(image.size).c_str());
}

void PrintRows(const Image& image) {
  for (const std::string& name : image.repo_tags) {
    const auto colon = name.rfind(':');
    PrintRow(name.substr(0, colon), name.substr(colon + 1), image);
  }
  if (!image.repo_tags.empty()) return;
  for (const std::string& name : image.repo_digests)
    PrintRow(name.substr(0, name.find('@')), "<none>", image);
  if (image.repo_digests.empty()) PrintRow("<none>", "<none>", image);
}

}  // namespace

std::string SizeText(std::uint64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  double size = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; size >= 1000 && unit + 1 < kUnits.size(); ++unit) size /= 1000;
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f%s" : "%.1f%s", size, kUnits[unit]);
  return text.data();
}

Status List(ImageStore& store, const Arguments& arguments) {
  const std::vector<Image> images = TRY(store.List());
  if (arguments.format == "json") {
    Json list = Json::array();
    for (const Image& image : images) list.push_back(Summary(image));
    std::printf("%s\n", PrintJson(list, 2).c_str());
    return {};
  }
  if (!arguments.quiet)
    std::printf("%-48s %-16s %-12s %10s\n", "REPOSITORY", "TAG", "IMAGE ID", "SIZE");
  for (const Image& image : images) {
    if (arguments.quiet) {
      std::printf("%s\n", image.id.c_str());
    } else {
      PrintRows(image);
    }
  }
  return {};
}

Status Inspect(ImageStore& store, const Arguments& arguments) {
  const Image image = TRY(store.Find(arguments.reference));
  Json json = Summary(image);
  json["config"] = TRY(ParseJson(image.config_json, "config " + image.id));
  std::printf("%s\n", PrintJson(json, 2).c_str());
  return {};
}

Status Remove(ImageStore& store, const Arguments& arguments) {
  for (const std::string& reference : arguments.references) {
    TRY(store.Remove(reference));
    std::printf("%s\n", reference.c_str());
  }
  return {};
}

Status Collect(ImageStore& store, const Arguments& /*arguments*/) { return store.CollectGarbage(); }

}  // namespace coracle::image::cli
