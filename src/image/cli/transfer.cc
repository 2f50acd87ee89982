// pull, load, save.
#include <stdio.h>
#include <unistd.h>

#include "platform.h"
#include "progress.h"
#include "verbs.h"

namespace coracle::image::cli {
namespace {

void PrintImage(const Image& image, bool quiet) {
  if (!quiet) {
    for (const std::string& tag : image.repo_tags) std::printf("%s\n", tag.c_str());
    for (const std::string& digest : image.repo_digests) std::printf("%s\n", digest.c_str());
  }
  std::printf("%s\n", image.id.c_str());
}

}  // namespace

Status Pull(ImageStore& store, const Arguments& arguments, const std::stop_token& cancel) {
  PullOptions options;
  options.registry_config_dir = arguments.registry_config;
  options.no_progress_timeout = std::chrono::seconds(arguments.progress_timeout_s);
  options.cancel = cancel;
  if (!arguments.platform.empty()) options.platform = TRY(ParsePlatform(arguments.platform));
  if (!arguments.credentials.empty()) {
    const auto colon = arguments.credentials.find(':');
    if (colon == std::string::npos)
      return Error{Code::kInvalidConfig, 0, "--creds: expected USER:PASSWORD"};
    options.auth.emplace();
    options.auth->username = arguments.credentials.substr(0, colon);
    options.auth->password = arguments.credentials.substr(colon + 1);
  }
  ProgressBars bars(STDERR_FILENO);
  if (bars.visible() && !arguments.quiet)
    options.progress = [&](const Progress& progress) { bars.Update(progress); };
  PrintImage(TRY(store.Pull(arguments.reference, options)), arguments.quiet);
  return {};
}

Status Load(ImageStore& store, const Arguments& arguments) {
  if (arguments.path.empty() && ::isatty(STDIN_FILENO) == 1)
    return Error{Code::kInvalidConfig, 0,
                 "load: standard input is a terminal; name an archive with -i"};
  const std::string path =
      arguments.path.empty() || arguments.path == "-" ? "/dev/stdin" : arguments.path;
  for (const Image& image : TRY(store.Load(path, arguments.name)))
    PrintImage(image, arguments.quiet);
  return {};
}

Status Save(ImageStore& store, const Arguments& arguments) {
  const bool to_stdout = arguments.path.empty() || arguments.path == "-";
  if (to_stdout && ::isatty(STDOUT_FILENO) == 1)
    return Error{Code::kInvalidConfig, 0,
                 "save: standard output is a terminal; name a file with -o"};
  return store.Save(arguments.references, to_stdout ? "/dev/stdout" : arguments.path,
                    arguments.archive_format == "oci" ? ImageStore::ArchiveFormat::kOci
                                                      : ImageStore::ArchiveFormat::kDocker);
}

}  // namespace coracle::image::cli
