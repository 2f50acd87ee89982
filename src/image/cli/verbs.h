// The verbs of `coracle image`: what main has parsed, and one function per verb.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/image/image_store.h"

namespace coracle::image::cli {

struct Arguments {
  std::string root = "/var/lib/coracle";  // as coracled's --root: the store is <root>/images
  std::string reference;
  std::vector<std::string> references;  // of the verbs that take several
  std::string registry_config = "/etc/containerd/certs.d";
  std::string credentials;  // "user:password"
  std::string platform;
  unsigned progress_timeout_s = 60;
  std::string path;  // of an archive
  std::string name;  // for an image that an archive does not name
  std::string archive_format = "docker";
  std::string format;  // of a list
  bool quiet = false;
  std::string bundle;
  std::vector<std::string> command;  // instead of the image's
  bool mount = false;
  bool terminal = false;
};

Status Pull(ImageStore& store, const Arguments& arguments, const std::stop_token& cancel);
Status Load(ImageStore& store, const Arguments& arguments);
Status Save(ImageStore& store, const Arguments& arguments);
Status List(ImageStore& store, const Arguments& arguments);
Status Inspect(ImageStore& store, const Arguments& arguments);
Status Remove(ImageStore& store, const Arguments& arguments);
Status Collect(ImageStore& store, const Arguments& arguments);
Status Bundle(ImageStore& store, const Arguments& arguments);
Status Unbundle(ImageStore& store, const Arguments& arguments);

// "1.5MB": decimal units, as registries and other tools show them.
std::string SizeText(std::uint64_t bytes);

}  // namespace coracle::image::cli
