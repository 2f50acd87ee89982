// Authorization for one registry: the challenge of a 401 answer, Basic, and Bearer tokens from a
// token server. Secrets go to the server that they are for, and nowhere else.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/image/image_store.h"
#include "http.h"

namespace coracle::image {

struct Challenge {
  std::string scheme;                             // "bearer", "basic": lower case
  std::map<std::string, std::string> parameters;  // names in lower case
};
// All challenges of WWW-Authenticate values (RFC 9110 section 11.6.1).
std::vector<Challenge> ParseChallenges(std::string_view value);

// What is used of `auth` for `registry`, in containerd's order: another server_address means
// anonymous; then username and password, identity token, `auth`, registry token.
struct Credentials {
  std::string username, password;
  std::string identity_token, registry_token;
};
Result<Credentials> CredentialsFor(const std::optional<Auth>& auth, const std::string& registry);

class RegistryAuth {
 public:
  RegistryAuth(HttpClient& http, Credentials credentials, std::string repository)
      : http_(http), credentials_(std::move(credentials)), repository_(std::move(repository)) {}

  // The value of the header Authorization, or "" before the first challenge.
  std::string Header();
  // After a 401 to a request that carried `used`: gets a new header value. An error if there is
  // nothing (more) to try.
  Status Answer(const HttpResponse& unauthorized, const std::string& url, const std::string& used);

 private:
  Result<std::string> FetchToken(const Challenge& challenge, const std::string& url);
  Result<HttpResponse> AskTokenServer(const std::string& realm, const std::string& service,
                                      const std::string& scope);

  HttpClient& http_;
  const Credentials credentials_;
  const std::string repository_;
  std::mutex mutex_;  // one thread asks for a token, the others use it
  std::string header_;
};

std::string Base64Encode(std::string_view data);
std::optional<std::string> Base64Decode(std::string_view text);

}  // namespace coracle::image
