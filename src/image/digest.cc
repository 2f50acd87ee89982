#include "digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace coracle::image {
namespace {

bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

Result<Digest> ParseDigest(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view algorithm = text.substr(0, colon);
  const std::size_t length = algorithm == "sha256" ? 64 : algorithm == "sha512" ? 128 : 0;
  const std::string_view hex = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (length == 0 || hex.size() != length || !std::all_of(hex.begin(), hex.end(), IsLowerHex))
    return Error{Code::kInvalidConfig, 0,
                 "digest \"" + std::string(text.substr(0, 160)) +
                     "\": expected sha256: and 64, or sha512: and 128, lower-case hex digits"};
  return Digest{std::string(algorithm), std::string(hex)};
}

void Hasher::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Hasher::Hasher(const std::string& algorithm)
    : algorithm_(algorithm == "sha512" ? "sha512" : "sha256"), context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(context_.get(), algorithm_ == "sha512" ? EVP_sha512() : EVP_sha256(), nullptr);
}

void Hasher::Update(std::string_view data) {
  EVP_DigestUpdate(context_.get(), data.data(), data.size());
}

Digest Hasher::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned length = 0;
  EVP_DigestFinal_ex(context_.get(), bytes.data(), &length);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    hex += kDigits[bytes[i] >> 4];
    hex += kDigits[bytes[i] & 15];
  }
  return {algorithm_, std::move(hex)};
}

Digest DigestOf(std::string_view data, const std::string& algorithm) {
  Hasher hasher(algorithm);
  hasher.Update(data);
  return hasher.Finish();
}

}  // namespace coracle::image
