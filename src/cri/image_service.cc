#include "rpcs.h"
#include "serve_rpc.h"
#include "services.h"

// After api.h: see there.
#include "runtime/v1/api.grpc.pb.h"

namespace coracle::cri {
namespace {

class ImageService final : public v1::ImageService::Service {
 public:
  explicit ImageService(Daemon& daemon) : daemon_(daemon) {}

  grpc::Status ListImages(grpc::ServerContext* context, const v1::ListImagesRequest* request,
                          v1::ListImagesResponse* response) override {
    return ServeRpc({"ListImages", daemon_, *context}, rpc::ListImages, *request, *response);
  }
  grpc::Status ImageStatus(grpc::ServerContext* context, const v1::ImageStatusRequest* request,
                           v1::ImageStatusResponse* response) override {
    return ServeRpc({"ImageStatus", daemon_, *context}, rpc::ImageStatus, *request, *response);
  }
  grpc::Status PullImage(grpc::ServerContext* context, const v1::PullImageRequest* request,
                         v1::PullImageResponse* response) override {
    return ServeRpc({"PullImage", daemon_, *context}, rpc::PullImage, *request, *response);
  }
  grpc::Status RemoveImage(grpc::ServerContext* context, const v1::RemoveImageRequest* request,
                           v1::RemoveImageResponse* response) override {
    return ServeRpc({"RemoveImage", daemon_, *context}, rpc::RemoveImage, *request, *response);
  }
  grpc::Status ImageFsInfo(grpc::ServerContext* context, const v1::ImageFsInfoRequest* request,
                           v1::ImageFsInfoResponse* response) override {
    return ServeRpc({"ImageFsInfo", daemon_, *context}, rpc::ImageFsInfo, *request, *response);
  }

 private:
  Daemon& daemon_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeImageService(Daemon& daemon) {
  return std::make_unique<ImageService>(daemon);
}

}  // namespace coracle::cri
