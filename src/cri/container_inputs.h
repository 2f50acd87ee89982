// What must be looked up on the host and in the image before config.json can be built.
#pragma once

#include "container_create.h"

namespace coracle::cri {

// uid, gid and groups from the image's own files.
Status LookIntoImage(ContainerCreate& create);
// What the image declares as VOLUME exists, if only as a directory of the writable layer. After the
// shim has mounted the root filesystem.
Status MakeVolumeDirectories(const ContainerCreate& create);
// Host paths of mounts: missing ones become directories.
Status ResolveMounts(ContainerCreate& create);
Status ResolveDevices(ContainerCreate& create);
// The namespace that pid mode POD or TARGET joins.
Status ResolvePidNamespace(ContainerCreate& create);
Status ReadSeccompProfile(ContainerCreate& create);

}  // namespace coracle::cri
