// The guest program: each word of its command line shows one fact as JSON, or does one thing.
// Facts are printed as one object on one line, before the first act and at the end.
//
//   probe cwd read=/proc/self/oom_score_adj exit=3
//   {"cwd": "/", "read=/proc/self/oom_score_adj": "0\n"}          and exits with 3
#pragma once

#include <string>

namespace probe {

// The value of a fact as JSON, or "" when `name` is no fact.
std::string Fact(const std::string& name, const std::string& argument);

// Does `name`; false when it is no act. Some never return.
bool Act(const std::string& name, const std::string& argument);

// The same, of what a hostile container does (attacks.cc).
std::string AttackFact(const std::string& name, const std::string& argument);
bool Attack(const std::string& name, const std::string& argument);

std::string Quote(const std::string& text);
std::string ReadFile(const std::string& path, bool* opened = nullptr);
std::string ErrnoName(int errnum);  // "EPERM"; "0" for success

}  // namespace probe
