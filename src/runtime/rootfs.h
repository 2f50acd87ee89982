// The root file system of the container: cloned as a detached tree by the parent, attached over
// itself in the new mount namespace, and made "/". config.md#root,
// config-linux.md#rootfs-mount-propagation.
#pragma once

#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct RootfsPlan {
  std::string path;  // absolute
  bool readonly = false;
  // Without a mount namespace of its own: the tree stays detached, mounts are made in it where no
  // other process sees them, and the container process enters it by chroot(2).
  bool detached = false;
  unsigned long propagation = 0;  // MS_SHARED, MS_SLAVE|MS_REC, ...; 0: not given, means slave
};

// `bundle` is absolute; root.path may be relative to it.
Result<RootfsPlan> PlanRootfs(const oci::Spec& spec, const std::string& bundle);

// Parent, before clone: the tree at root.path with everything mounted below, detached.
Result<UniqueFd> CloneRoot(const RootfsPlan& plan);

// Makes the directory `root_fd` names the root of the calling process.
Status EnterRoot(int root_fd);

// Container process, first thing in its new mount namespace: nothing it mounts reaches the host.
Status IsolateMounts(const RootfsPlan& plan);

// Container process: attaches what CloneRoot made over root.path. From now on `root_fd` is the
// root directory for sys/path.h.
Status AttachRoot(const RootfsPlan& plan, int root_fd);

// Container process: pivot_root(2), or MS_MOVE and chroot(2) where that cannot be (--no-pivot, an
// initramfs root). Afterwards "/" and the working directory are the container's root.
Status PivotRoot(const RootfsPlan& plan, int root_fd);
Status MoveRoot(const RootfsPlan& plan, int root_fd);

// Container process, after every change to the root: its propagation, and read-only last.
Status SealRoot(const RootfsPlan& plan, int root_fd);

// That "/" is the directory `root_fd` names, and the working directory lies inside it.
Status VerifyRoot(int root_fd);

}  // namespace coracle::runtime
