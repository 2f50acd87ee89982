// The distribution API of one repository: manifests and blobs, from mirrors and then the registry
// itself, with authorization, retries and resumed downloads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "content_store.h"
#include "coracle/base/result.h"
#include "coracle/image/image_store.h"
#include "hosts_config.h"
#include "http.h"
#include "registry_auth.h"

namespace coracle::image {

struct RegistryOptions {
  Credentials credentials;
  std::chrono::seconds no_progress_timeout{60};
  std::stop_token cancel = {};
};

struct Document {  // manifest or index
  Digest digest;
  std::string media_type, data;
};

class Registry {
 public:
  Registry(const Reference& reference, const std::vector<RegistryHost>& hosts,
           const RegistryOptions& options);

  // HEAD: the digest that a tag has now. Registries that refuse HEAD give an error.
  Result<Digest> ResolveTag(const std::string& tag);
  // By tag or digest; a digest is verified.
  Result<Document> FetchManifest(const std::string& tag_or_digest);
  // Into `writer`, from where it stopped; verified by its Commit, which is called here.
  Status FetchBlob(const Digest& digest, BlobWriter& writer,
                   const std::function<void(std::uint64_t done)>& progress);

 private:
  struct Host;
  enum class For : bool { kResolve, kPull };
  Status OnHosts(For purpose, const std::function<Status(Host&)>& attempt);
  Result<HttpResponse> Request(Host& host, HttpRequest request, const std::string& path);
  Result<HttpResponse> RequestWithRetries(Host& host, const HttpRequest& request,
                                          const std::string& path);
  Result<HttpResponse> RequestBlob(Host& host, const Digest& digest, BlobWriter& writer,
                                   const std::function<void(std::uint64_t)>& progress);
  Status FetchBlobFrom(Host& host, const Digest& digest, BlobWriter& writer,
                       const std::function<void(std::uint64_t)>& progress);
  Status Pause(int attempt, const std::string& retry_after) const;

  Reference reference_;
  RegistryOptions options_;
  std::vector<std::shared_ptr<Host>> hosts_;
};

}  // namespace coracle::image
