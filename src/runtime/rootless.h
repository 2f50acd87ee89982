// Callers who are not root of this machine: a user without privileges, or the root of somebody's
// user namespace. What they may not do is found out by trying; these answer only afterwards, so
// that root pays for none of it.
#pragma once

#include "coracle/oci/spec.h"
#include "coracle/runtime/container.h"

namespace coracle::runtime {

// Whether the ids here are not the machine's own: user_namespaces(7).
bool InUserNamespace();

// What `--rootless` says, or else whether the caller is one of those.
bool IsRootless(const Runtime& runtime);

// An operation that the kernel refuses to them, and to nobody else.
bool IsRefused(const Error& error);

// What a user without privileges must ask for, before anything is made.
Status CheckUnprivileged(const oci::Spec& spec);

}  // namespace coracle::runtime
