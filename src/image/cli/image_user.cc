#include "image_user.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace coracle::image::cli {
namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// 0 to 2^32-2, decimal digits only: 2^32-1 means "no change" to the kernel.
std::optional<std::uint32_t> ParseId(const std::string& text) {
  if (text.empty() || text.size() > 10 || text.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  const std::uint64_t id = std::stoull(text);
  if (id >= 0xffffffff) return std::nullopt;
  return static_cast<std::uint32_t>(id);
}

// The lines of passwd(5) or group(5) that have all fields and a usable id in the third.
std::vector<std::vector<std::string>> Accounts(const std::string& text, std::size_t fields) {
  std::vector<std::vector<std::string>> accounts;
  for (const std::string& line : Split(text, '\n')) {
    std::vector<std::string> account = Split(line, ':');
    if (account.size() >= fields && !account[0].empty() && ParseId(account[2]).has_value())
      accounts.push_back(std::move(account));
  }
  return accounts;
}

const std::vector<std::string>* Find(const std::vector<std::vector<std::string>>& accounts,
                                     std::size_t field, const std::string& value) {
  const auto found = std::find_if(accounts.begin(), accounts.end(),
                                  [&](const auto& account) { return account[field] == value; });
  return found == accounts.end() ? nullptr : &*found;
}

Error Bad(const std::string& text, const std::string& problem) {
  return {Code::kInvalidConfig, 0,
          "image: config.User \"" + text.substr(0, 100) + "\": " + problem};
}

bool LooksLikeNumber(const std::string& text) {
  return text.find_first_not_of("0123456789") == std::string::npos || text[0] == '-' ||
         text[0] == '+';
}

}  // namespace

Result<oci::User> ResolveImageUser(const std::string& text, const std::string& passwd,
                                   const std::string& group) {
  const auto users = Accounts(passwd, 4);
  const auto groups = Accounts(group, 4);
  const auto colon = text.find(':');
  const std::string user_text = text.empty() ? "0" : text.substr(0, colon);
  const std::string group_text = colon == std::string::npos ? "" : text.substr(colon + 1);
  oci::User user;
  const std::vector<std::string>* account = nullptr;
  if (LooksLikeNumber(user_text)) {
    const auto uid = ParseId(user_text);
    if (!uid.has_value()) return Bad(text, "expected a number from 0 to 4294967294 or a name");
    user.uid = *uid;
    account = Find(users, 2, std::to_string(*uid));
  } else {
    account = Find(users, 0, user_text);
    if (account == nullptr) return Bad(text, "not in the image's /etc/passwd");
    user.uid = *ParseId((*account)[2]);
  }
  if (account != nullptr) user.gid = ParseId((*account)[3]).value_or(0);
  if (!group_text.empty()) {
    if (LooksLikeNumber(group_text)) {
      const auto gid = ParseId(group_text);
      if (!gid.has_value()) return Bad(text, "expected a group number from 0 to 4294967294");
      user.gid = *gid;
    } else {
      const auto* named = Find(groups, 0, group_text);
      if (named == nullptr) return Bad(text, "group is not in the image's /etc/group");
      user.gid = *ParseId((*named)[2]);
    }
  }
  // The primary group, too: a file that denies this group stays denied (CVE-2022-36109).
  user.additional_gids.push_back(user.gid);
  if (account == nullptr) return user;
  for (const auto& entry : groups) {
    const std::vector<std::string> members = Split(entry[3], ',');
    const std::uint32_t gid = *ParseId(entry[2]);
    if (gid != user.gid &&
        std::find(members.begin(), members.end(), (*account)[0]) != members.end())
      user.additional_gids.push_back(gid);
  }
  return user;
}

}  // namespace coracle::image::cli
