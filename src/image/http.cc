#include "http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>

#include "coracle/base/file.h"
#include "file_lock.h"

namespace coracle::image {
namespace {

constexpr int kMaxRedirects = 5;
constexpr std::size_t kMaxHeaders = 256UL << 10;  // bytes, all together
constexpr const char* kSystemCaBundle = "/etc/ssl/certs/ca-certificates.crt";

void InitializeOnce() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)result;
}

bool IsRedirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

int ErrnumOf(CURLcode code, long os_errno) {
  if (os_errno != 0) return static_cast<int>(os_errno);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
      return ECONNREFUSED;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2_STREAM:
      return ECONNRESET;
    default:
      return EIO;
  }
}

std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string out = text;
  curl_free(text);
  return out;
}

using UrlHandle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

}  // namespace

struct HttpClient::Transfer {
  CURL* handle;
  const HttpRequest& request;
  const HttpSettings& settings;
  HttpResponse response;
  std::size_t header_bytes = 0;
  std::optional<Error> failure;

  static std::size_t OnHeader(char* data, std::size_t, std::size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const std::string_view line(data, size);
    transfer.header_bytes += size;
    if (transfer.header_bytes > kMaxHeaders) return 0;
    if (line.starts_with("HTTP/")) transfer.response.headers.clear();  // after a 100 Continue
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return size;
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front())) != 0)
      value.remove_prefix(1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())) != 0)
      value.remove_suffix(1);
    transfer.response.headers.emplace_back(std::move(name), value);
    return size;
  }

  static std::size_t OnBody(char* data, std::size_t, std::size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    long& status = transfer.response.status;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    if (transfer.request.sink && status >= 200 && status < 300) {
      Status accepted = transfer.request.sink(transfer.response, {data, size});
      if (accepted.has_value()) return size;
      transfer.failure = std::move(accepted).error();
      return 0;
    }
    if (transfer.response.body.size() + size > transfer.request.limit_bytes) {
      transfer.failure =
          Error{Code::kInvalidConfig, EFBIG,
                transfer.request.url + ": answer is larger than the " +
                    std::to_string(transfer.request.limit_bytes) + " bytes allowed here"};
      return 0;
    }
    transfer.response.body.append(data, size);
    return size;
  }
};

std::string HttpResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

HttpClient::HttpClient(HttpSettings settings) : settings_(std::move(settings)) {
  InitializeOnce();
  if (settings_.tls.ca_files.empty()) return;
  if (Result<std::string> system = ReadFile(kSystemCaBundle); system.has_value())
    ca_bundle_ = *std::move(system) + "\n";
  for (const std::string& path : settings_.tls.ca_files) {
    if (Result<std::string> ca = ReadFile(path); ca.has_value()) ca_bundle_ += *ca + "\n";
  }
}

HttpClient::~HttpClient() {
  for (void* handle : idle_) curl_easy_cleanup(handle);
}

void* HttpClient::Take() {
  const std::scoped_lock lock(mutex_);
  if (idle_.empty()) return curl_easy_init();
  void* handle = idle_.back();
  idle_.pop_back();
  return handle;
}

void HttpClient::GiveBack(void* handle) {
  curl_easy_reset(handle);  // keeps its connections
  const std::scoped_lock lock(mutex_);
  idle_.push_back(handle);
}

void HttpClient::Configure(Transfer& transfer) {
  CURL* const handle = transfer.handle;
  const HttpRequest& request = transfer.request;
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "coracle");
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 512L << 10);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                   static_cast<long>(settings_.no_progress_timeout.count()));
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, Transfer::OnHeader);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Transfer::OnBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(
      handle, CURLOPT_XFERINFOFUNCTION,
      +[](void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) -> int {
        return static_cast<Transfer*>(self)->settings.cancel.stop_requested() ? 1 : 0;
      });
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &transfer);
  if (request.method == "HEAD") curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  if (request.method == "POST") {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.form.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.form.c_str());
  }
  if (settings_.tls.skip_verify) {
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!ca_bundle_.empty()) {
    curl_blob blob{ca_bundle_.data(), ca_bundle_.size(), CURL_BLOB_NOCOPY};
    curl_easy_setopt(handle, CURLOPT_CAINFO_BLOB, &blob);
  }
  if (!settings_.tls.client_cert.empty())
    curl_easy_setopt(handle, CURLOPT_SSLCERT, settings_.tls.client_cert.c_str());
  if (!settings_.tls.client_key.empty())
    curl_easy_setopt(handle, CURLOPT_SSLKEY, settings_.tls.client_key.c_str());
}

Result<HttpResponse> HttpClient::PerformOnce(const HttpRequest& request) {
  const Url url = TRY(ParseUrl(request.url));
  Transfer transfer{Take(), request, settings_, {}, 0, {}};
  if (transfer.handle == nullptr) return Error{Code::kKernel, ENOMEM, "curl_easy_init"};
  Configure(transfer);
  if (IsLoopback(url.host)) curl_easy_setopt(transfer.handle, CURLOPT_PROXY, "");
  curl_slist* list = nullptr;
  for (const std::string& header : request.headers) list = curl_slist_append(list, header.c_str());
  for (const std::string& header : request.secret_headers)
    list = curl_slist_append(list, header.c_str());
  curl_easy_setopt(transfer.handle, CURLOPT_HTTPHEADER, list);

  const CURLcode code = curl_easy_perform(transfer.handle);
  long os_errno = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_OS_ERRNO, &os_errno);
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &transfer.response.status);
  curl_slist_free_all(list);
  GiveBack(transfer.handle);

  if (transfer.failure.has_value()) return *std::move(transfer.failure);
  if (settings_.cancel.stop_requested()) return Cancelled();
  if (code != CURLE_OK)
    return Error{Code::kKernel, ErrnumOf(code, os_errno),
                 request.method + " " + request.url + ": " + curl_easy_strerror(code)};
  return std::move(transfer.response);
}

Result<HttpResponse> HttpClient::Perform(HttpRequest request) {
  const Url first = TRY(ParseUrl(request.url));
  for (int hop = 0;; ++hop) {
    HttpResponse response = TRY(PerformOnce(request));
    const std::string location = response.Header("location");
    if (!IsRedirect(response.status) || location.empty()) return response;
    if (hop == kMaxRedirects)
      return Error{Code::kKernel, ELOOP, request.url + ": more than 5 redirects"};
    const std::string next = TRY(ResolveUrl(request.url, location));
    const Url url = TRY(ParseUrl(next));
    if (first.scheme == "https" && url.scheme != "https")
      return Error{Code::kKernel, EACCES, request.url + ": redirect from https to http is refused"};
    // Once away from the first server, secrets stay away even if a later hop leads back.
    if (!url.SameServer(first)) request.secret_headers.clear();
    request.url = next;
  }
}

bool Url::SameServer(const Url& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

Result<Url> ParseUrl(const std::string& text) {
  const UrlHandle handle(curl_url(), &curl_url_cleanup);
  const auto bad = [&](const std::string& problem) {
    return Error{Code::kInvalidConfig, 0, "URL \"" + text.substr(0, 200) + "\": " + problem};
  };
  if (curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return bad("not a URL");
  Url url{Part(handle.get(), CURLUPART_SCHEME), Part(handle.get(), CURLUPART_HOST),
          Part(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT),
          Part(handle.get(), CURLUPART_PATH)};
  if (url.scheme != "http" && url.scheme != "https") return bad("must be http or https");
  if (!Part(handle.get(), CURLUPART_USER).empty() ||
      !Part(handle.get(), CURLUPART_PASSWORD).empty())
    return bad("must not contain a user or password");
  return url;
}

Result<std::string> ResolveUrl(const std::string& base, const std::string& relative) {
  const UrlHandle handle(curl_url(), &curl_url_cleanup);
  if (curl_url_set(handle.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_URL, relative.c_str(), 0) != CURLUE_OK)
    return Error{Code::kInvalidConfig, 0,
                 base + ": redirect to \"" + relative.substr(0, 200) + "\", not a URL"};
  return Part(handle.get(), CURLUPART_URL);
}

std::string EscapeQuery(const std::string& text) {
  char* escaped = curl_easy_escape(nullptr, text.c_str(), static_cast<int>(text.size()));
  std::string out = escaped == nullptr ? "" : escaped;
  curl_free(escaped);
  return out;
}

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "[::1]" || host == "::1" ||
         (host.starts_with("127.") && std::all_of(host.begin(), host.end(), [](char c) {
            return c == '.' || (c >= '0' && c <= '9');
          }));
}

}  // namespace coracle::image
