// The options and operands of one verb: getopt_long(3) behind Results, with help. Names are written
// as "-b,--bundle". Long names may not be abbreviated.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::runtime::cli {

using Words = std::vector<std::string>;

class Arguments {
 public:
  Arguments(const char* name, const char* description);

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
  void Footer(std::string text);

  // False: help was asked for, and printed.
  Result<bool> Parse(const Words& words);
  [[nodiscard]] std::string Help() const;

 private:
  // False: the value is not of the kind. Null where the option stands alone.
  using Take = std::function<bool(const char* value)>;
  struct Kind {
    int has_arg;       // as getopt_long(3) calls it
    const char* name;  // of the value, in help and errors
  };
  struct Option {
    char letter;  // 0: none
    const char* name;
    Kind kind;
    const char* help;
    Take take;
  };
  struct Place {
    const char* name;
    std::string* out;
    const char* help;
    bool required;
  };

  void Add(const char* names, Kind kind, const char* help, Take take);
  template <class T>
  void AddNumber(const char* names, T& out, const char* help);
  Result<const Option*> Next(std::vector<char*>& words, std::vector<char*>& operands) const;
  Status TakeOperands(std::span<char* const> operands);

  const char* name_;
  const char* description_;
  std::string footer_;
  std::vector<Option> options_;
  std::vector<Place> places_;
  Words* rest_ = nullptr;
  const char* rest_shown_ = "";
  bool help_ = false;
};

}  // namespace coracle::runtime::cli
