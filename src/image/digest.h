// Content digests: "sha256:<64 hex>", "sha512:<128 hex>", and the hasher that makes them. A digest
// becomes a file name and part of a URL, so only this parser makes one out of foreign text.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "coracle/base/result.h"

struct evp_md_ctx_st;  // EVP_MD_CTX

namespace coracle::image {

struct Digest {
  std::string algorithm;  // "sha256" or "sha512"
  std::string hex;        // lower case, of the algorithm's length
  [[nodiscard]] std::string String() const { return algorithm + ":" + hex; }
  bool operator==(const Digest&) const = default;
  auto operator<=>(const Digest&) const = default;
};

Result<Digest> ParseDigest(std::string_view text);

class Hasher {
 public:
  explicit Hasher(const std::string& algorithm = "sha256");
  Hasher(Hasher&&) noexcept = default;
  Hasher& operator=(Hasher&&) noexcept = default;
  void Update(std::string_view data);
  [[nodiscard]] Digest Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::string algorithm_;
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Digest DigestOf(std::string_view data, const std::string& algorithm = "sha256");

}  // namespace coracle::image
