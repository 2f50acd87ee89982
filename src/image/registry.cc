#include "registry.h"

#include <algorithm>
#include <thread>

#include "coracle/base/json.h"
#include "document.h"
#include "file_lock.h"

namespace coracle::image {
namespace {

constexpr int kAttempts = 4;  // of a request, and of a download without progress
constexpr std::chrono::seconds kMaxRetryAfter{20};

constexpr const char* kAccept =
    "Accept: application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

bool IsTransient(long status) { return status == 408 || status == 429 || status >= 500; }

bool IsTransient(const Error& error) {
  return error.code == Code::kKernel &&
         (error.errnum == ECONNRESET || error.errnum == EPIPE || error.errnum == ECONNREFUSED ||
          error.errnum == EIO || error.errnum == ETIMEDOUT);
}

// The registry's own words, if it has any: {"errors":[{"message": ...}]}.
std::string ServerMessage(const HttpResponse& response) {
  const Result<Json> json = ParseJson(response.body, "");
  if (!json.has_value() || !json->is_object()) return "";
  const auto errors = json->find("errors");
  if (errors == json->end() || !errors->is_array() || errors->empty()) return "";
  const Json& first = errors->front();
  const auto message = first.is_object() ? first.find("message") : first.end();
  if (message == first.end() || !message->is_string()) return "";
  std::string text = message->get<std::string>().substr(0, 200);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return " (" + text + ")";
}

Error StatusError(const std::string& url, const HttpResponse& response) {
  const std::string text =
      url + ": status " + std::to_string(response.status) + ServerMessage(response);
  switch (response.status) {
    case 404:
      return {Code::kNotFound, ENOENT, text};
    case 401:
    case 403:
      return {Code::kKernel, EACCES, text};
    default:
      return {Code::kKernel, IsTransient(response.status) ? EAGAIN : EPROTO, text};
  }
}

// "bytes 100-199/200" -> 100.
std::optional<std::uint64_t> RangeStart(const std::string& content_range) {
  if (!content_range.starts_with("bytes ")) return std::nullopt;
  char* end = nullptr;
  const std::string text = content_range.substr(6);
  const std::uint64_t start = std::strtoull(text.c_str(), &end, 10);
  if (end == text.c_str() || *end != '-') return std::nullopt;
  return start;
}

}  // namespace

struct Registry::Host {
  Host(RegistryHost host, const RegistryOptions& options, const Reference& reference)
      : config(std::move(host)),
        http({config.tls, options.no_progress_timeout, options.cancel}),
        // Credentials are the registry's: a mirror on another host does not get them.
        auth(http, config.is_origin ? options.credentials : Credentials{}, reference.repository) {}
  RegistryHost config;
  HttpClient http;
  RegistryAuth auth;
};

Registry::Registry(const Reference& reference, const std::vector<RegistryHost>& hosts,
                   const RegistryOptions& options)
    : reference_(reference), options_(options) {
  for (const RegistryHost& host : hosts)
    hosts_.push_back(std::make_shared<Host>(host, options_, reference_));
}

Status Registry::Pause(int attempt, const std::string& retry_after) const {
  std::chrono::milliseconds wait(200 << attempt);
  if (!retry_after.empty() && std::all_of(retry_after.begin(), retry_after.end(),
                                          [](char c) { return c >= '0' && c <= '9'; }))
    wait = std::min<std::chrono::milliseconds>(
        kMaxRetryAfter, std::chrono::seconds(std::strtoul(retry_after.c_str(), nullptr, 10)));
  const auto until = std::chrono::steady_clock::now() + wait;
  while (std::chrono::steady_clock::now() < until) {
    if (options_.cancel.stop_requested()) return Cancelled();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {};
}

Status Registry::OnHosts(For purpose, const std::function<Status(Host&)>& attempt) {
  std::optional<Error> failure;
  for (const auto& host : hosts_) {
    if (purpose == For::kResolve ? !host->config.resolve : !host->config.pull) continue;
    Status status = attempt(*host);
    if (status.has_value() || options_.cancel.stop_requested()) return status;
    // Trouble of our own (a full disk) does not get better on another host.
    if (status.error().errnum == ENOSPC || status.error().errnum == EDQUOT) return status;
    // The last host is the registry itself: what it says counts, and the mirrors' words beside it.
    Error error = std::move(status).error();
    if (failure.has_value()) error.message += "; before that: " + failure->message;
    failure = std::move(error);
  }
  if (failure.has_value()) return *std::move(failure);
  return Error{Code::kInvalidConfig, 0,
               reference_.registry + ": no host in hosts.toml has the capability to " +
                   (purpose == For::kResolve ? "resolve" : "pull")};
}

Result<HttpResponse> Registry::Request(Host& host, HttpRequest request, const std::string& path) {
  request.url = host.config.base_url + "/" + reference_.repository + path;
  if (!host.config.is_origin) request.url += "?ns=" + EscapeQuery(reference_.registry);
  request.secret_headers = host.config.headers;
  // Twice challenged at most: the first request knows nothing, a token may have run out.
  for (int attempt = 0;; ++attempt) {
    HttpRequest authorized = request;
    const std::string header = host.auth.Header();
    if (!header.empty()) authorized.secret_headers.push_back("Authorization: " + header);
    HttpResponse response = TRY(host.http.Perform(std::move(authorized)));
    if (response.status != 401 || attempt == 2) return response;
    TRY(host.auth.Answer(response, request.url, header));
  }
}

Result<HttpResponse> Registry::RequestWithRetries(Host& host, const HttpRequest& request,
                                                  const std::string& path) {
  for (int attempt = 1;; ++attempt) {
    Result<HttpResponse> response = Request(host, request, path);
    const bool transient =
        response.has_value() ? IsTransient(response->status) : IsTransient(response.error());
    if (!transient || attempt == kAttempts) return response;
    // A host that refuses connections is down, not busy: one more try is enough.
    if (!response.has_value() && response.error().errnum == ECONNREFUSED && attempt == 2)
      return response;
    TRY(Pause(attempt, response.has_value() ? response->Header("retry-after") : ""));
  }
}

Result<Digest> Registry::ResolveTag(const std::string& tag) {
  Digest out;
  TRY(OnHosts(For::kResolve, [&](Host& host) -> Status {
    HttpRequest request;
    request.method = "HEAD";
    request.headers = {kAccept};
    const HttpResponse response = TRY(RequestWithRetries(host, request, "/manifests/" + tag));
    if (response.status != 200) return StatusError(host.config.base_url, response);
    out = TRY(ParseDigest(response.Header("docker-content-digest")));
    return {};
  }));
  return out;
}

Result<Document> Registry::FetchManifest(const std::string& tag_or_digest) {
  Document document;
  const Result<Digest> wanted = ParseDigest(tag_or_digest);
  TRY(OnHosts(wanted.has_value() ? For::kPull : For::kResolve, [&](Host& host) -> Status {
    HttpRequest request;
    request.headers = {kAccept};
    request.limit_bytes = kMaxManifest;
    HttpResponse response = TRY(RequestWithRetries(host, request, "/manifests/" + tag_or_digest));
    const std::string url =
        host.config.base_url + "/" + reference_.repository + "/manifests/" + tag_or_digest;
    if (response.status != 200) return StatusError(url, response);
    const Digest got = DigestOf(response.body, wanted.has_value() ? wanted->algorithm : "sha256");
    const std::string claimed = response.Header("docker-content-digest");
    if (wanted.has_value() ? got != *wanted
                           : claimed.starts_with("sha256:") && claimed != got.String())
      return Error{Code::kInvalidConfig, EBADMSG,
                   url + ": content has digest " + got.String() + ", not " +
                       (wanted.has_value() ? wanted->String() : claimed.substr(0, 80))};
    document = {got, response.Header("content-type"), std::move(response.body)};
    return {};
  }));
  return document;
}

Result<HttpResponse> Registry::RequestBlob(Host& host, const Digest& digest, BlobWriter& writer,
                                           const std::function<void(std::uint64_t)>& progress) {
  HttpRequest request;
  request.limit_bytes = 64UL << 10;  // error texts only
  const std::uint64_t offset = writer.offset();
  if (offset > 0) request.headers.push_back("Range: bytes=" + std::to_string(offset) + "-");
  bool first = true;
  request.sink = [&](const HttpResponse& head, std::string_view data) -> Status {
    if (std::exchange(first, false) && offset > 0) {
      if (head.status != 206) {
        TRY(writer.Truncate());  // the server sends all of it again
      } else if (RangeStart(head.Header("content-range")) != offset) {
        return Error{Code::kKernel, EPROTO, "answered another range than was asked for"};
      }
    }
    TRY(writer.Write(data));
    progress(writer.offset());
    return {};
  };
  return Request(host, std::move(request), "/blobs/" + digest.String());
}

Status Registry::FetchBlobFrom(Host& host, const Digest& digest, BlobWriter& writer,
                               const std::function<void(std::uint64_t)>& progress) {
  const std::string url =
      host.config.base_url + "/" + reference_.repository + "/blobs/" + digest.String();
  for (int attempt = 1;; ++attempt) {
    const std::uint64_t before = writer.offset();
    const Result<HttpResponse> response = RequestBlob(host, digest, writer, progress);
    if (response.has_value() && response->status >= 200 && response->status < 300) {
      Status committed = writer.Commit();
      // A resumed blob may have been wrong from its first part: once more, from the start.
      if (committed.has_value() || before == 0) return committed;
      continue;
    }
    const bool bad_range = response.has_value() ? response->status == 416
                                                : before > 0 && response.error().errnum == EPROTO;
    if (bad_range && before > 0) {
      TRY(writer.Truncate());
      continue;
    }
    const Error error = response.has_value() ? StatusError(url, *response) : response.error();
    if (!IsTransient(error) && error.errnum != EAGAIN) return error;
    if (writer.offset() > before) attempt = 0;  // it moves: keep going
    if (attempt == kAttempts) return error;
    TRY(Pause(attempt, response.has_value() ? response->Header("retry-after") : ""));
  }
}

Status Registry::FetchBlob(const Digest& digest, BlobWriter& writer,
                           const std::function<void(std::uint64_t)>& progress) {
  return OnHosts(For::kPull,
                 [&](Host& host) { return FetchBlobFrom(host, digest, writer, progress); });
}

}  // namespace coracle::image
