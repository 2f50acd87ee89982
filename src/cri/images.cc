// The image service's RPCs.
#include <thread>

#include "coracle/base/json.h"
#include "grpc_status.h"
#include "rpcs.h"
#include "text.h"
#include "users.h"

namespace coracle::cri {
namespace {

constexpr std::chrono::milliseconds kPollGone{50};  // how soon a cancelled pull is noticed

v1::Image Describe(const image::Image& image) {
  v1::Image out;
  out.set_id(image.id);
  for (const std::string& tag : image.repo_tags) out.add_repo_tags(tag);
  for (const std::string& digest : image.repo_digests) out.add_repo_digests(digest);
  out.set_size(image.size);
  out.set_pinned(image.pinned);
  out.mutable_spec()->set_image(image.id);
  if (const auto uid = NumericUser(image.config.user)) {
    out.mutable_uid()->set_value(*uid);
  } else {
    out.set_username(ToUtf8(UserPart(image.config.user)));
  }
  return out;
}

Status RequireName(const v1::ImageSpec& spec) {
  if (!spec.image().empty()) return {};
  return Error{Code::kInvalidConfig, 0, "/image/image: required, but missing"};
}

std::optional<image::Auth> MakeAuth(const v1::PullImageRequest& request) {
  if (!request.has_auth()) return std::nullopt;
  const v1::AuthConfig& auth = request.auth();
  return image::Auth{.username = auth.username(),
                     .password = auth.password(),
                     .auth = auth.auth(),
                     .identity_token = auth.identity_token(),
                     .registry_token = auth.registry_token(),
                     .server_address = auth.server_address()};
}

}  // namespace

namespace rpc {

Result<v1::ListImagesResponse> ListImages(Daemon& daemon, const v1::ListImagesRequest& request,
                                          const Call&) {
  v1::ListImagesResponse response;
  const std::string& wanted = request.filter().image().image();
  if (!wanted.empty()) {
    const auto found = daemon.images->Find(wanted);
    if (found.has_value()) *response.add_images() = Describe(*found);
    if (!found.has_value() && found.error().code != Code::kNotFound) return found.error();
    return response;
  }
  for (const image::Image& image : TRY(daemon.images->List())) {
    *response.add_images() = Describe(image);
  }
  return response;
}

Result<v1::ImageStatusResponse> ImageStatus(Daemon& daemon, const v1::ImageStatusRequest& request,
                                            const Call&) {
  TRY(RequireName(request.image()));
  v1::ImageStatusResponse response;
  const auto found = daemon.images->Find(request.image().image());
  if (!found.has_value()) {
    if (found.error().code == Code::kNotFound) return response;
    return found.error();
  }
  *response.mutable_image() = Describe(*found);
  if (request.verbose()) {
    const Json config = Json::parse(found->config_json, nullptr, /*allow_exceptions=*/false);
    (*response.mutable_info())["info"] = PrintJson(Json{{"imageSpec", config}});
  }
  return response;
}

Result<v1::PullImageResponse> PullImage(Daemon& daemon, const v1::PullImageRequest& request,
                                        const Call& call) {
  TRY(RequireName(request.image()));
  image::PullOptions options;
  options.auth = MakeAuth(request);
  options.registry_config_dir = daemon.config.registry_config_dir;
  options.parallel_downloads = static_cast<unsigned>(daemon.config.parallel_downloads);
  options.no_progress_timeout = std::chrono::seconds(daemon.config.no_progress_timeout_s);
  std::stop_source stop;
  options.cancel = stop.get_token();
  const std::jthread watch([&](const std::stop_token& done) {
    while (!done.stop_requested()) {
      if (call.cancelled() || daemon.stopping) stop.request_stop();
      std::this_thread::sleep_for(kPollGone);
    }
  });
  const auto pulled = daemon.images->Pull(request.image().image(), options);
  if (!pulled.has_value()) {
    if (stop.stop_requested()) return Error{Code::kKernel, kCallerGone, "the caller gave up"};
    return pulled.error();
  }
  v1::PullImageResponse response;
  response.set_image_ref(pulled->id);
  return response;
}

Result<v1::RemoveImageResponse> RemoveImage(Daemon& daemon, const v1::RemoveImageRequest& request,
                                            const Call&) {
  TRY(RequireName(request.image()));
  const auto removed = daemon.images->RemoveAllNames(request.image().image());
  if (!removed.has_value() && removed.error().code != Code::kNotFound) return removed.error();
  return v1::RemoveImageResponse();
}

Result<v1::ImageFsInfoResponse> ImageFsInfo(Daemon& daemon, const v1::ImageFsInfoRequest&,
                                            const Call&) {
  const image::Usage usage = TRY(daemon.images->StoreUsage());
  v1::FilesystemUsage filesystem;
  filesystem.set_timestamp(NowUnixNs());
  filesystem.mutable_fs_id()->set_mountpoint(daemon.paths.Images());
  filesystem.mutable_used_bytes()->set_value(usage.bytes);
  filesystem.mutable_inodes_used()->set_value(usage.inodes);
  v1::ImageFsInfoResponse response;
  *response.add_image_filesystems() = filesystem;
  *response.add_container_filesystems() = filesystem;
  return response;
}

}  // namespace rpc
}  // namespace coracle::cri
