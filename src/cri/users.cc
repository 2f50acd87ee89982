#include "users.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "coracle/base/file.h"
#include "coracle/sys/path.h"
#include "security_context.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr std::size_t kMaxAccountFile = 10UL << 20;  // bytes
constexpr std::uint32_t kNoId =
    std::numeric_limits<std::uint32_t>::max();  // (uid_t)-1: "no change"

struct Account {  // one line of passwd(5) or group(5)
  std::string name;
  std::uint32_t id = 0;   // uid or gid
  std::uint32_t gid = 0;  // passwd only
  std::string home;       // passwd only
  std::vector<std::string> members;
};

// Lines that are not of the format are passed over, as getpwent(3) does.
std::vector<Account> ParsePasswd(const std::string& text) {
  std::vector<Account> accounts;
  for (const std::string& line : Split(text, '\n')) {
    const std::vector<std::string> field = Split(line, ':');
    Account account;
    if (field.size() < 6 || field[0].empty()) continue;
    if (!ParseUint32(field[2], account.id) || !ParseUint32(field[3], account.gid)) continue;
    account.name = field[0];
    account.home = field[5];
    accounts.push_back(std::move(account));
  }
  return accounts;
}

std::vector<Account> ParseGroup(const std::string& text) {
  std::vector<Account> accounts;
  for (const std::string& line : Split(text, '\n')) {
    const std::vector<std::string> field = Split(line, ':');
    Account account;
    if (field.size() < 4 || field[0].empty() || !ParseUint32(field[2], account.id)) continue;
    account.name = field[0];
    account.members = Split(field[3], ',');
    accounts.push_back(std::move(account));
  }
  return accounts;
}

Error Bad(const std::string& where, const std::string& text) {
  return {Code::kInvalidConfig, 0, where + ": " + text};
}

Result<std::uint32_t> CheckedId(std::int64_t id, const std::string& where) {
  if (id < 0 || id >= kNoId) {
    return Bad(where, std::to_string(id) + ": expected 0 to 4294967294");
  }
  return static_cast<std::uint32_t>(id);
}

bool StartsLikeNumber(const std::string& text) {
  return text.find_first_not_of("0123456789") == std::string::npos || text[0] == '-' ||
         text[0] == '+';
}

// A number is never a name: an image's passwd could give "4294967296" the uid 0.
const Account* FindById(const std::vector<Account>& accounts, std::uint32_t id) {
  const auto found = std::ranges::find(accounts, id, &Account::id);
  return found == accounts.end() ? nullptr : &*found;
}

Result<std::uint32_t> LookUp(const std::vector<Account>& accounts, const std::string& text,
                             const std::string& where, const std::string& file) {
  if (StartsLikeNumber(text)) {
    std::uint32_t id = 0;
    if (!ParseUint32(text, id) || id == kNoId) {
      return Bad(where, "\"" + text + "\": expected a number from 0 to 4294967294 or a name");
    }
    return id;
  }
  const auto found = std::ranges::find(accounts, text, &Account::name);
  if (found == accounts.end()) {
    return Bad(where, "\"" + text + "\" is not in the image's " + file);
  }
  if (found->id == kNoId) return Bad(where, "\"" + text + "\" has no usable id in " + file);
  return found->id;
}

struct Wanted {  // the words, before they are looked up
  std::optional<std::uint32_t> uid, gid;
  std::string user, group;
  std::string where;
};

Result<Wanted> ReadWords(const v1::LinuxContainerSecurityContext& context,
                         const std::string& image_user) {
  const std::string at = kSecurityContext;
  Wanted wanted;
  if (context.has_run_as_user()) {
    wanted.uid = TRY(CheckedId(context.run_as_user().value(), at + "/run_as_user/value"));
  } else if (!context.run_as_username().empty()) {
    wanted.user = context.run_as_username();
    wanted.where = at + "/run_as_username";
  } else {
    const std::size_t colon = image_user.find(':');
    wanted.user = image_user.substr(0, colon);
    if (colon != std::string::npos) wanted.group = image_user.substr(colon + 1);
    wanted.where = "image: config.User";
  }
  if (!context.has_run_as_group()) return wanted;
  if (!context.has_run_as_user() && context.run_as_username().empty()) {
    return Bad(at + "/run_as_group", "needs run_as_user or run_as_username");
  }
  wanted.gid = TRY(CheckedId(context.run_as_group().value(), at + "/run_as_group/value"));
  wanted.group.clear();
  return wanted;
}

}  // namespace

Result<Identity> ResolveIdentity(const v1::LinuxContainerSecurityContext& context,
                                 const std::string& image_user, const std::string& passwd,
                                 const std::string& group) {
  const Wanted wanted = TRY(ReadWords(context, image_user));
  const std::vector<Account> users = ParsePasswd(passwd);
  const std::vector<Account> groups = ParseGroup(group);
  Identity identity;
  const Account* account = nullptr;
  if (wanted.uid) {
    identity.uid = *wanted.uid;
  } else if (!wanted.user.empty()) {
    identity.uid = TRY(LookUp(users, wanted.user, wanted.where, "/etc/passwd"));
    const auto named = std::ranges::find(users, wanted.user, &Account::name);
    if (!StartsLikeNumber(wanted.user) && named != users.end()) account = &*named;
  }
  if (account == nullptr) account = FindById(users, identity.uid);
  if (account != nullptr) {
    identity.gid = account->gid == kNoId ? 0 : account->gid;
    identity.home = account->home;
  }
  if (wanted.gid) identity.gid = *wanted.gid;
  if (!wanted.group.empty()) {
    identity.gid = TRY(LookUp(groups, wanted.group, wanted.where, "/etc/group"));
  }
  const auto add = [&](std::uint32_t gid) {
    if (std::ranges::find(identity.groups, gid) == identity.groups.end()) {
      identity.groups.push_back(gid);
    }
  };
  // The primary group is listed too: a file that denies that group must stay denied even after the
  // process changes its gid (CVE-2022-36109).
  add(identity.gid);
  if (account != nullptr && context.supplemental_groups_policy() == v1::Merge) {
    for (const Account& entry : groups) {
      if (std::ranges::find(entry.members, account->name) != entry.members.end()) add(entry.id);
    }
  }
  for (int i = 0; i < context.supplemental_groups_size(); ++i) {
    add(TRY(
        CheckedId(context.supplemental_groups(i),
                  std::string(kSecurityContext) + "/supplemental_groups/" + std::to_string(i))));
  }
  return identity;
}

std::string UserPart(const std::string& image_user) {
  return image_user.substr(0, image_user.find(':'));
}

std::optional<std::uint32_t> NumericUser(const std::string& image_user) {
  std::uint32_t uid = 0;
  if (!ParseUint32(UserPart(image_user), uid)) return std::nullopt;
  return uid;
}

Result<std::string> ReadImageFile(int root_fd, const std::string& path) {
  // O_NONBLOCK: a FIFO of the image must not stop us.
  Result<UniqueFd> file = sys::OpenInRoot(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file.has_value()) {
    if (file.error().errnum == ENOENT || file.error().errnum == ENOTDIR) return std::string();
    return std::move(file).error();
  }
  struct stat st {};
  if (::fstat(file->get(), &st) != 0) return KernelError("fstat(2) " + path);
  if (!S_ISREG(st.st_mode)) return Bad("image: " + path, "expected a regular file");
  return ReadFd(file->get(), "image: " + path, kMaxAccountFile);
}

}  // namespace coracle::cri
