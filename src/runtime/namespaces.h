// linux.namespaces: config-linux.md#namespaces, namespaces(7). What clone3(2) makes at once, what
// is joined by path, and the order of it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct NamespacePath {
  std::uint64_t flag = 0;
  std::string path;
  std::string pointer;  // "/linux/namespaces/3/path"
};

struct NamespacesPlan {
  std::uint64_t clone_flags = 0;  // new ones, by clone3(2)
  bool new_cgroup = false;        // by unshare(2) in the child: clone3 would take our cgroup
  bool new_time = false;          // by unshare(2) before: its offsets are set first
  std::vector<NamespacePath> joined;
  std::map<std::string, oci::TimeOffset> time_offsets;
  std::string hostname, domainname;

  [[nodiscard]] bool IsNew(std::uint64_t flag) const;
  [[nodiscard]] bool IsJoined(std::uint64_t flag) const;
  // Both a joined or new user namespace and other joined ones: their order needs a process of its
  // own, which joins and then clones the container process as its sibling.
  [[nodiscard]] bool NeedsJoiner() const;
};

Result<NamespacesPlan> PlanNamespaces(const oci::Spec& spec);

struct OpenedNamespace {
  std::uint64_t flag = 0;
  UniqueFd fd;
};
// Opens all paths and checks their types. One that is our own already is left out.
Result<std::vector<OpenedNamespace>> OpenNamespaces(const NamespacesPlan& plan);

// setns(2) into all but the PID namespace. Those that the host owns go before the user namespace,
// where we still have the privilege; those that the user namespace owns, after it.
Status JoinNamespaces(std::span<const OpenedNamespace> namespaces);

// What only children of the caller get: a joined PID namespace, a new time namespace.
Status PrepareForChildren(const NamespacesPlan& plan, std::span<const OpenedNamespace> namespaces);
// Undoes PrepareForChildren, for a caller that lives on.
void RestoreForChildren(const NamespacesPlan& plan) noexcept;

// Root of the user namespace we are in: ids as seen there, no groups.
Status BecomeRootOfUserNamespace();

Status SetHostnames(const NamespacesPlan& plan);
// "lo" of a new network namespace.
Status RaiseLoopback();

}  // namespace coracle::runtime
