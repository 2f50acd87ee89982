// The options and operands of one verb, behind which CLI11 is hidden: it throws, and is slow to
// compile. Names are as CLI11 takes them: "-b,--bundle".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::runtime::cli {

using Words = std::vector<std::string>;

class Arguments {
 public:
  Arguments(const std::string& name, const std::string& description);
  ~Arguments();
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  void Flag(const char* names, bool& out, const char* help);
  void Text(const char* names, std::string& out, const char* help);
  // May be given several times, each time with one value.
  void Texts(const char* names, Words& out, const char* help);
  void Number(const char* names, int& out, const char* help);
  void Number(const char* names, std::optional<std::int64_t>& out, const char* help);
  void Number(const char* names, std::optional<std::uint64_t>& out, const char* help);
  void Number(const char* names, std::optional<std::uint16_t>& out, const char* help);
  // A flag that may have a value: `--trace` means `--trace=<if_bare>`.
  void FlagWithValue(const char* name, const char* if_bare, std::string& out, const char* help);

  void Operand(const char* name, std::string& out, const char* help);
  void OptionalOperand(const char* name, std::string& out, const char* help);
  // The first word that is no option, and all after it, belong to someone else; `shown` in help.
  void Rest(Words& out, const char* shown);

  // Printed below the options.
  void Footer(const std::string& text);

  // False: help was asked for, and printed.
  Result<bool> Parse(Words words);
  [[nodiscard]] std::string Help() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coracle::runtime::cli
