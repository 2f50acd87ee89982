// HTTP as a registry client needs it: libcurl behind Result, redirects that never carry secrets to
// another host, a limit on everything that is kept in memory, stall timeout, cancel.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::image {

struct TlsOptions {
  std::vector<std::string> ca_files;  // besides the system's
  std::string client_cert, client_key;
  bool skip_verify = false;
};

struct HttpResponse {
  long status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;                                          // unless it went to the sink
  // The first of this name, or "".
  [[nodiscard]] std::string Header(std::string_view name) const;
};

struct HttpRequest {
  std::string method = "GET";  // HEAD, POST
  std::string url;
  std::vector<std::string> headers;         // "Name: value"
  std::vector<std::string> secret_headers;  // only for this scheme, host and port
  std::string form;                         // of a POST
  std::size_t limit_bytes = 4UL << 20;      // of `body`
  // Gets the body of a 2xx answer; an error ends the transfer and is the result.
  std::function<Status(const HttpResponse& head, std::string_view data)> sink = {};
};

struct HttpSettings {
  TlsOptions tls;
  std::chrono::seconds no_progress_timeout{60};
  std::stop_token cancel = {};
};

// Safe from several threads; keeps connections open for the next request.
class HttpClient {
 public:
  explicit HttpClient(HttpSettings settings);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any answer of the server is a response; an Error means there was none (kKernel), with errnum
  // ECANCELED after a stop request and ETIMEDOUT after a stall. Follows up to 5 redirects.
  Result<HttpResponse> Perform(HttpRequest request);

 private:
  struct Transfer;
  Result<HttpResponse> PerformOnce(const HttpRequest& request);
  void Configure(Transfer& transfer);
  void* Take();
  void GiveBack(void* handle);

  HttpSettings settings_;
  std::string ca_bundle_;  // system CAs and ours, made once
  std::mutex mutex_;
  std::vector<void*> idle_;  // CURL*
};

struct Url {
  std::string scheme, host, port, path;
  [[nodiscard]] bool SameServer(const Url& other) const;
};
// http and https only, without user information. `base` is for relative ones.
Result<Url> ParseUrl(const std::string& text);
Result<std::string> ResolveUrl(const std::string& base, const std::string& relative);
std::string EscapeQuery(const std::string& text);
// "localhost", 127.0.0.0/8, ::1: the only hosts spoken to without TLS by default.
bool IsLoopback(const std::string& host);

}  // namespace coracle::image
