#include "arguments.h"

#include <getopt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>

namespace coracle::runtime::cli {
namespace {

constexpr int kFirstLong = 256;  // what getopt_long(3) returns for the first long name
constexpr std::size_t kHelpColumn = 30;
// As runc takes them.
constexpr std::array<std::string_view, 6> kTrue = {"true", "1", "t", "T", "TRUE", "True"};
constexpr std::array<std::string_view, 6> kFalse = {"false", "0", "f", "F", "FALSE", "False"};

Error BadArgument(const std::string& text) { return {Code::kInvalidConfig, 0, text}; }

Error Unexpected(const std::string& word) {
  return BadArgument("The following argument was not expected: " + word);
}

template <class T>
bool Parse(const char* text, T& out) {
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, out);
  return error == std::errc() && stop == end;
}
template <class T>
bool Parse(const char* text, std::optional<T>& out) {
  return Parse(text, out.emplace());
}

std::string Padded(std::string text) {
  text = "  " + text;
  text.resize(std::max(text.size() + 1, kHelpColumn), ' ');
  return text;
}

}  // namespace

Arguments::Arguments(const char* name, const char* description)
    : name_(name), description_(description) {
  options_.reserve(24);
  Flag("-h,--help", help_, "show this help");
}

void Arguments::Add(const char* names, Kind kind, const char* help, Take take) {
  const bool short_too = names[1] != '-';
  options_.push_back({.letter = short_too ? names[1] : '\0',
                      .name = names + (short_too ? std::strlen("-x,--") : std::strlen("--")),
                      .kind = kind,
                      .help = help,
                      .take = std::move(take)});
}

void Arguments::Flag(const char* names, bool& out, const char* help) {
  Add(names, {optional_argument, "true or false"}, help, [&out](const char* value) {
    const std::string_view word = value == nullptr ? "true" : value;
    out = std::ranges::find(kTrue, word) != kTrue.end();
    return out || std::ranges::find(kFalse, word) != kFalse.end();
  });
}

void Arguments::Text(const char* names, std::string& out, const char* help) {
  Add(names, {required_argument, "TEXT"}, help, [&out](const char* value) {
    out = value;
    return true;
  });
}

void Arguments::Texts(const char* names, Words& out, const char* help) {
  Add(names, {required_argument, "TEXT ..."}, help, [&out](const char* value) {
    out.emplace_back(value);
    return true;
  });
}

template <class T>
void Arguments::AddNumber(const char* names, T& out, const char* help) {
  Add(names, {required_argument, "NUMBER"}, help,
      [&out](const char* value) { return cli::Parse(value, out); });
}

void Arguments::Number(const char* names, int& out, const char* help) {
  AddNumber(names, out, help);
}
void Arguments::Number(const char* names, std::optional<std::int64_t>& out, const char* help) {
  AddNumber(names, out, help);
}
void Arguments::Number(const char* names, std::optional<std::uint64_t>& out, const char* help) {
  AddNumber(names, out, help);
}
void Arguments::Number(const char* names, std::optional<std::uint16_t>& out, const char* help) {
  AddNumber(names, out, help);
}

void Arguments::FlagWithValue(const char* name, const char* if_bare, std::string& out,
                              const char* help) {
  Add(name, {optional_argument, "TEXT"}, help, [&out, if_bare](const char* value) {
    out = value == nullptr ? if_bare : value;
    return true;
  });
}

void Arguments::Operand(const char* name, std::string& out, const char* help) {
  places_.push_back({name, &out, help, true});
}

void Arguments::OptionalOperand(const char* name, std::string& out, const char* help) {
  places_.push_back({name, &out, help, false});
}

void Arguments::Rest(Words& out, const char* shown) {
  rest_ = &out;
  rest_shown_ = shown;
}

void Arguments::Footer(std::string text) { footer_ = std::move(text); }

// The option that comes next, its value in `optarg`; null when there is none any more. Operands on
// the way are handed over in order, whatever POSIXLY_CORRECT in the environment says.
Result<const Arguments::Option*> Arguments::Next(std::vector<char*>& words,
                                                 std::vector<char*>& operands) const {
  std::string letters = rest_ == nullptr ? "-:" : "+:";
  std::vector<option> names;
  for (const Option& each : options_) {
    names.push_back(
        {each.name, each.kind.has_arg, nullptr, kFirstLong + static_cast<int>(names.size())});
    if (each.letter == '\0') continue;
    letters += each.letter;
    if (each.kind.has_arg == required_argument) letters += ':';
  }
  names.push_back({});
  const int argc = static_cast<int>(words.size()) - 1;
  int found = 0;
  while ((found = ::getopt_long(argc, words.data(), letters.c_str(), names.data(), nullptr)) == 1)
    operands.push_back(optarg);
  if (found < 0) return nullptr;
  const std::string_view word = words[static_cast<std::size_t>(optind) - 1];
  if (found == ':') return BadArgument(std::string(word) + " needs a value");
  if (found == '?') {
    const bool letter = optopt > 0 && optopt < kFirstLong;
    return Unexpected(letter ? std::string("-") + static_cast<char>(optopt) : std::string(word));
  }
  for (const Option& each : options_)
    if (found == each.letter) return &each;
  const Option& option = options_[static_cast<std::size_t>(found - kFirstLong)];
  const bool apart = option.kind.has_arg == required_argument && optarg == word.data();
  const std::string_view given = apart ? words[static_cast<std::size_t>(optind) - 2] : word;
  if (given.substr(2, given.find('=') - 2) != option.name) return Unexpected(std::string(given));
  return &option;
}

Status Arguments::TakeOperands(std::span<char* const> operands) {
  if (rest_ != nullptr) {
    rest_->assign(operands.begin(), operands.end());
    return {};
  }
  for (const Place& place : places_) {
    if (operands.empty()) {
      if (place.required) return BadArgument(std::string(place.name) + " is required");
      return {};
    }
    *place.out = operands.front();
    operands = operands.subspan(1);
  }
  return operands.empty() ? Status() : Unexpected(operands.front());
}

Result<bool> Arguments::Parse(const Words& words) {
  std::vector<char*> pointers = {const_cast<char*>(name_)};
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  opterr = optind = 0;  // from the beginning, and without a word from getopt_long(3) itself
  std::vector<char*> operands;
  while (const Option* option = TRY(Next(pointers, operands))) {
    if (!option->take(optarg))
      return BadArgument("--" + std::string(option->name) + ": got \"" + optarg +
                         "\"; allowed: " + option->kind.name);
  }
  if (help_) {
    const std::string help = Help();
    std::fwrite(help.data(), 1, help.size(), stdout);
    return false;
  }
  operands.insert(operands.end(), pointers.begin() + optind, pointers.end() - 1);
  TRY(TakeOperands(operands));
  return true;
}

std::string Arguments::Help() const {
  std::string text = std::string(description_) + "\nUsage: " + name_ + " [options]";
  for (const Place& place : places_)
    text += place.required ? " " + std::string(place.name) : " [" + std::string(place.name) + "]";
  if (rest_ != nullptr) text += " " + std::string(rest_shown_);
  text += "\n";
  if (!places_.empty()) text += "\nOperands:\n";
  for (const Place& place : places_) text += Padded(place.name) + place.help + "\n";
  text += "\nOptions:\n";
  for (const Option& each : options_) {
    std::string names = each.letter == '\0' ? "" : "-" + std::string(1, each.letter) + ",";
    names += "--" + std::string(each.name);
    if (each.kind.has_arg == required_argument) names += " " + std::string(each.kind.name);
    text += Padded(std::move(names)) + each.help + "\n";
  }
  return footer_.empty() ? text : text + "\n" + footer_;
}

}  // namespace coracle::runtime::cli
