#include "registry_auth.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cctype>

#include "coracle/base/json.h"

namespace coracle::image {
namespace {

constexpr std::size_t kMaxTokenAnswer = 64UL << 10;

bool IsTokenChar(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Walks over a header value.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  [[nodiscard]] bool AtEnd() const { return position_ >= text_.size(); }
  void SkipSpaceAndCommas() {
    while (!AtEnd() &&
           (text_[position_] == ' ' || text_[position_] == '\t' || text_[position_] == ','))
      ++position_;
  }
  void SkipSpace() {
    while (!AtEnd() && (text_[position_] == ' ' || text_[position_] == '\t')) ++position_;
  }
  std::string Token() {
    const std::size_t begin = position_;
    while (!AtEnd() && IsTokenChar(text_[position_])) ++position_;
    return std::string(text_.substr(begin, position_ - begin));
  }
  bool Take(char c) {
    if (AtEnd() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  std::string Value() {
    if (!Take('"')) {
      const std::size_t begin = position_;
      while (!AtEnd() && text_[position_] != ',' && text_[position_] != ' ') ++position_;
      return std::string(text_.substr(begin, position_ - begin));
    }
    std::string value;
    while (!AtEnd() && text_[position_] != '"') {
      if (text_[position_] == '\\' && position_ + 1 < text_.size()) ++position_;
      value += text_[position_++];
    }
    Take('"');
    return value;
  }
  void SkipOne() { ++position_; }

 private:
  std::string_view text_;
  std::size_t position_ = 0;
};

std::string AppendQuery(std::string url, const std::string& key, const std::string& value) {
  url += url.find('?') == std::string::npos ? '?' : '&';
  return url + key + "=" + EscapeQuery(value);
}

std::string BasicHeader(const std::string& username, const std::string& password) {
  return "Basic " + Base64Encode(username + ":" + password);
}

bool IsHeaderSafe(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

std::string HostOf(const std::string& address) {
  std::string host = address;
  if (const auto scheme = host.find("://"); scheme != std::string::npos) host.erase(0, scheme + 3);
  host = host.substr(0, host.find('/'));
  return host == "index.docker.io" || host == "registry-1.docker.io" ? "docker.io" : host;
}

}  // namespace

std::string Base64Encode(std::string_view data) {
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(data.data()),
                                   static_cast<int>(data.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::optional<std::string> Base64Decode(std::string_view text) {
  std::string padded(text);
  while (padded.size() % 4 != 0) padded += '=';
  std::string out(padded.size() / 4 * 3 + 1, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(padded.data()),
                                   static_cast<int>(padded.size()));
  if (size < 0) return std::nullopt;
  const auto padding = static_cast<int>(padded.ends_with("==") ? 2 : padded.ends_with('=') ? 1 : 0);
  out.resize(static_cast<std::size_t>(size - padding));
  return out;
}

std::vector<Challenge> ParseChallenges(std::string_view value) {
  std::vector<Challenge> challenges;
  Scanner scanner(value);
  while (true) {
    scanner.SkipSpaceAndCommas();
    if (scanner.AtEnd()) return challenges;
    const std::string token = scanner.Token();
    scanner.SkipSpace();
    if (token.empty()) {
      scanner.SkipOne();  // not a challenge; look for one behind it
    } else if (!challenges.empty() && scanner.Take('=')) {
      scanner.SkipSpace();
      challenges.back().parameters[Lower(token)] = scanner.Value();
    } else {
      challenges.push_back({Lower(token), {}});
    }
  }
}

Result<Credentials> CredentialsFor(const std::optional<Auth>& auth, const std::string& registry) {
  Credentials out;
  if (!auth.has_value()) return out;
  if (!auth->server_address.empty() && HostOf(auth->server_address) != registry) return out;
  if (!auth->username.empty()) {
    out.username = auth->username;
    out.password = auth->password;
  } else if (!auth->identity_token.empty()) {
    out.identity_token = auth->identity_token;
  } else if (!auth->auth.empty()) {
    std::optional<std::string> pair = Base64Decode(auth->auth);
    const auto colon = pair.has_value() ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos)
      return Error{Code::kInvalidConfig, 0,
                   "credentials: `auth` is not the base64 of username:password"};
    out.username = pair->substr(0, colon);
    out.password = pair->substr(colon + 1);
    std::erase(out.password, '\0');
  } else if (!auth->registry_token.empty()) {
    if (!IsHeaderSafe(auth->registry_token))
      return Error{Code::kInvalidConfig, 0, "credentials: the registry token is not one word"};
    out.registry_token = auth->registry_token;
  }
  return out;
}

std::string RegistryAuth::Header() {
  const std::scoped_lock lock(mutex_);
  return header_;
}

Status RegistryAuth::Answer(const HttpResponse& unauthorized, const std::string& url,
                            const std::string& used) {
  const std::scoped_lock lock(mutex_);
  if (header_ != used) return {};  // another thread has got a new one meanwhile
  const Error refused{Code::kKernel, EACCES,
                      url + ": 401 Unauthorized" +
                          (credentials_.username.empty() && credentials_.identity_token.empty() &&
                                   credentials_.registry_token.empty()
                               ? " (no credentials given)"
                               : " (the credentials were not accepted)")};
  std::vector<Challenge> challenges;
  for (const auto& [name, value] : unauthorized.headers) {
    if (name != "www-authenticate") continue;
    for (Challenge& challenge : ParseChallenges(value)) challenges.push_back(std::move(challenge));
  }
  const auto with = [&](std::string_view scheme) {
    return std::find_if(challenges.begin(), challenges.end(),
                        [&](const Challenge& challenge) { return challenge.scheme == scheme; });
  };
  if (const auto bearer = with("bearer"); bearer != challenges.end()) {
    if (!credentials_.registry_token.empty()) {
      if (!used.empty()) return refused;
      header_ = "Bearer " + credentials_.registry_token;
      return {};
    }
    header_ = "Bearer " + TRY(FetchToken(*bearer, url));
    return {};
  }
  if (with("basic") == challenges.end() || credentials_.username.empty() || !used.empty())
    return refused;
  header_ = BasicHeader(credentials_.username, credentials_.password);
  return {};
}

Result<HttpResponse> RegistryAuth::AskTokenServer(const std::string& realm,
                                                  const std::string& service,
                                                  const std::string& scope) {
  HttpRequest request;
  request.limit_bytes = kMaxTokenAnswer;
  if (!credentials_.identity_token.empty()) {
    request.method = "POST";
    request.url = realm;
    request.form = "grant_type=refresh_token&client_id=coracle&service=" + EscapeQuery(service) +
                   "&scope=" + EscapeQuery(scope) +
                   "&refresh_token=" + EscapeQuery(credentials_.identity_token);
    return http_.Perform(std::move(request));
  }
  request.url = realm;
  if (!service.empty()) request.url = AppendQuery(request.url, "service", service);
  request.url = AppendQuery(request.url, "scope", scope);
  if (!credentials_.username.empty()) {
    request.url = AppendQuery(request.url, "account", credentials_.username);
    request.secret_headers.push_back("Authorization: " +
                                     BasicHeader(credentials_.username, credentials_.password));
  }
  return http_.Perform(std::move(request));
}

Result<std::string> RegistryAuth::FetchToken(const Challenge& challenge, const std::string& url) {
  const auto parameter = [&](const char* name) {
    const auto found = challenge.parameters.find(name);
    return found == challenge.parameters.end() ? std::string() : found->second;
  };
  const std::string realm = parameter("realm");
  const Url token_server = TRY(ParseUrl(realm));
  const Url registry = TRY(ParseUrl(url));
  // A registry with TLS must not make us send secrets, or anything, over plain http.
  if (token_server.scheme == "http" && registry.scheme != "http")
    return Error{Code::kKernel, EACCES, url + ": its token server " + realm + " is not https"};
  std::string scope = parameter("scope");
  if (scope.empty()) scope = "repository:" + repository_ + ":pull";
  const HttpResponse response = TRY(AskTokenServer(realm, parameter("service"), scope));
  if (response.status != 200)
    return Error{Code::kKernel, EACCES,
                 "token server " + realm + ": status " + std::to_string(response.status)};
  const Json json = TRY(ParseJson(response.body, "token server " + realm));
  for (const char* name : {"token", "access_token"}) {
    const auto member = json.is_object() ? json.find(name) : json.end();
    if (member == json.end() || !member->is_string()) continue;
    std::string token = member->get<std::string>();
    if (!token.empty() && IsHeaderSafe(token)) return token;
  }
  return Error{Code::kKernel, EACCES, "token server " + realm + ": answered without a token"};
}

}  // namespace coracle::image
