#include "arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

namespace coracle::runtime::cli {
namespace {

// CLI11's own line knows nothing of words that belong to someone else.
class Formatter : public CLI::Formatter {
 public:
  explicit Formatter(const std::string& usage) : usage_(usage) {}
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "Usage: " + usage_ + "\n";
  }

 private:
  const std::string& usage_;
};

}  // namespace

struct Arguments::Impl {
  CLI::App app;
  std::string usage;
  Words* rest = nullptr;
};

Arguments::Arguments(const std::string& name, const std::string& description)
    : impl_(std::make_unique<Impl>()) {
  impl_->app.description(description);
  impl_->usage = name + " [options]";
  impl_->app.formatter(std::make_shared<Formatter>(impl_->usage));
  impl_->app.set_help_flag("-h,--help", "show this help");
}

Arguments::~Arguments() = default;

void Arguments::Flag(const char* names, bool& out, const char* help) {
  impl_->app.add_flag(names, out, help);
}

void Arguments::Text(const char* names, std::string& out, const char* help) {
  impl_->app.add_option(names, out, help);
}

void Arguments::Texts(const char* names, Words& out, const char* help) {
  impl_->app.add_option(names, out, help)->allow_extra_args(false);
}

void Arguments::Number(const char* names, int& out, const char* help) {
  impl_->app.add_option(names, out, help);
}

void Arguments::Number(const char* names, std::optional<std::int64_t>& out, const char* help) {
  impl_->app.add_option(names, out, help);
}

void Arguments::Number(const char* names, std::optional<std::uint64_t>& out, const char* help) {
  impl_->app.add_option(names, out, help);
}

void Arguments::Number(const char* names, std::optional<std::uint16_t>& out, const char* help) {
  impl_->app.add_option(names, out, help);
}

void Arguments::FlagWithValue(const char* name, const char* if_bare, std::string& out,
                              const char* help) {
  impl_->app.add_flag(std::string(name) + "{" + if_bare + "}", out, help);
}

void Arguments::Operand(const char* name, std::string& out, const char* help) {
  impl_->app.add_option(name, out, help)->required();
  impl_->usage += " " + std::string(name);
}

void Arguments::OptionalOperand(const char* name, std::string& out, const char* help) {
  impl_->app.add_option(name, out, help);
  impl_->usage += " [" + std::string(name) + "]";
}

void Arguments::Rest(Words& out, const char* shown) {
  impl_->usage += " " + std::string(shown);
  impl_->rest = &out;
  impl_->app.prefix_command();
}

void Arguments::Footer(const std::string& text) { impl_->app.footer(text); }

Result<bool> Arguments::Parse(Words words) {
  std::ranges::reverse(words);  // what CLI11 wants
  try {
    impl_->app.parse(words);
  } catch (const CLI::CallForHelp&) {
    const std::string help = Help();
    std::fwrite(help.data(), 1, help.size(), stdout);
    return false;
  } catch (const CLI::Error& error) {
    return Error{Code::kInvalidConfig, 0, error.what()};
  }
  if (impl_->rest == nullptr) return true;
  *impl_->rest = impl_->app.remaining();
  if (impl_->rest->empty()) return true;
  if (impl_->rest->front() == "--") {
    impl_->rest->erase(impl_->rest->begin());
  } else if (impl_->rest->front().starts_with('-')) {
    return Error{Code::kInvalidConfig, 0,
                 "The following argument was not expected: " + impl_->rest->front()};
  }
  return true;
}

std::string Arguments::Help() const { return impl_->app.help(); }

}  // namespace coracle::runtime::cli
