// coracle-image: images without a daemon, and beside one. `coracle image ...` executes it.
#include <signal.h>
#include <stdio.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <thread>

#include "verbs.h"

namespace coracle::image::cli {
namespace {

using Verb = std::function<Status(ImageStore&, const Arguments&, const std::stop_token&)>;

Verb WithoutCancel(Status (*verb)(ImageStore&, const Arguments&)) {
  return [verb](ImageStore& store, const Arguments& arguments, const std::stop_token&) {
    return verb(store, arguments);
  };
}

// The verbs on their way into the command line.
struct Verbs {
  CLI::App& app;
  Arguments& arguments;
  Verb chosen = {};

  CLI::App* Add(const std::string& name, const std::string& text, const Verb& verb) {
    CLI::App* command = app.add_subcommand(name, text);
    command->fallthrough();
    command->callback([this, verb] { chosen = verb; });
    return command;
  }
};

void AddTransfers(Verbs& verbs) {
  Arguments& arguments = verbs.arguments;
  CLI::App* pull = verbs.Add("pull", "Pull an image from its registry", Pull);
  pull->add_option("REFERENCE", arguments.reference, "the image, e.g. busybox:1.36")->required();
  pull->add_option("--creds", arguments.credentials, "USER:PASSWORD for the registry");
  pull->add_option("--platform", arguments.platform,
                   "os/architecture[/variant]; default: this host's");
  pull->add_option("--registry-config", arguments.registry_config,
                   "directory with <registry>/hosts.toml")
      ->capture_default_str();
  pull->add_option("--progress-timeout", arguments.progress_timeout_s,
                   "seconds without a byte after which a transfer is given up")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  pull->add_flag("-q,--quiet", arguments.quiet, "print only the image's id");

  CLI::App* load = verbs.Add("load", "Load images from an archive", WithoutCancel(Load));
  load->add_option("-i,--input", arguments.path,
                   "docker-archive or OCI layout, tar or directory; default: standard input");
  load->add_option("--name", arguments.name, "name of an image that the archive does not name");
  load->add_flag("-q,--quiet", arguments.quiet, "print only the images' ids");

  CLI::App* save = verbs.Add("save", "Save images to an archive", WithoutCancel(Save));
  save->add_option("REFERENCE", arguments.references, "images")->required();
  save->add_option("-o,--output", arguments.path, "file; default: standard output");
  save->add_option("--format", arguments.archive_format, "oci or docker")
      ->check(CLI::IsMember({"oci", "docker"}))
      ->capture_default_str();
}

void AddQueries(Verbs& verbs) {
  Arguments& arguments = verbs.arguments;
  CLI::App* list = verbs.Add("list", "List images", WithoutCancel(List));
  list->alias("ls");
  list->add_flag("-q,--quiet", arguments.quiet, "print only ids");
  list->add_option("--format,-f", arguments.format, "table or json")
      ->check(CLI::IsMember({"table", "json"}));

  CLI::App* inspect = verbs.Add("inspect", "Show all of an image", WithoutCancel(Inspect));
  inspect->add_option("REFERENCE", arguments.reference, "image")->required();

  CLI::App* remove = verbs.Add("rm", "Remove a name, or an image", WithoutCancel(Remove));
  remove->add_option("REFERENCE", arguments.references, "names or ids")->required();

  verbs.Add("gc", "Delete what interrupted pulls and crashes left", WithoutCancel(Collect));
}

void AddBundles(Verbs& verbs) {
  Arguments& arguments = verbs.arguments;
  CLI::App* bundle = verbs.Add("bundle", "Make an OCI bundle of an image", WithoutCancel(Bundle));
  bundle->add_option("REFERENCE", arguments.reference, "image")->required();
  bundle->add_option("DIRECTORY", arguments.bundle, "gets config.json and rootfs")->required();
  bundle->add_option("COMMAND", arguments.command, "instead of the image's own command (after --)");
  bundle->add_flag("--mount", arguments.mount,
                   "mount an overlay on rootfs instead of copying the tree: quick and small, but "
                   "only until the next boot or `unbundle`");
  bundle->add_flag("-t,--terminal", arguments.terminal, "give the process a terminal");

  CLI::App* unbundle =
      verbs.Add("unbundle", "Remove a bundle and what it is mounted on", WithoutCancel(Unbundle));
  unbundle->add_option("DIRECTORY", arguments.bundle, "the bundle")->required();
}

int Fail(const Error& error) {
  std::fprintf(stderr, "coracle image: %s\n", error.message.c_str());
  return 1;
}

// Turns SIGINT and SIGTERM into a stop request. What was downloaded stays, for the next try.
void WaitForSignal(const sigset_t& signals, const std::stop_token& done, std::stop_source& cancel) {
  const std::stop_callback wake(done, [self = ::pthread_self()] { ::pthread_kill(self, SIGTERM); });
  for (int signal = 0; !done.stop_requested();) {
    if (::sigwait(&signals, &signal) == 0 && !done.stop_requested()) cancel.request_stop();
  }
}

int Run(const Verb& verb, const Arguments& arguments) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const auto store = ImageStore::Open(arguments.root + "/images");
  if (!store.has_value()) return Fail(store.error());
  std::stop_source cancel;
  const std::jthread waiter(
      [&](const std::stop_token& done) { WaitForSignal(signals, done, cancel); });
  const Status status = verb(**store, arguments, cancel.get_token());
  if (cancel.stop_requested()) return 130;
  return status.has_value() ? 0 : Fail(status.error());
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Images: pull, load, save, list, remove, and make bundles of them", "coracle image");
  app.require_subcommand(1);
  app.add_option("--root", arguments.root, "data directory, as coracled's --root")
      ->capture_default_str();
  Verbs verbs{app, arguments};
  AddTransfers(verbs);
  AddQueries(verbs);
  AddBundles(verbs);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  return Run(verbs.chosen, arguments);
}

}  // namespace
}  // namespace coracle::image::cli

int main(int argc, char** argv) { return coracle::image::cli::Main(argc, argv); }
