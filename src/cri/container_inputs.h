// What must be looked up on the host and in the image before config.json can be built.
#pragma once

#include "container_create.h"

namespace coracle::cri {

// uid, gid and groups from the image's files; directories for its VOLUMEs. The root filesystem is
// mounted nowhere for that: a detached mount, gone when this returns.
Status LookIntoImage(ContainerCreate& create);
// Host paths of mounts: missing ones become directories.
Status ResolveMounts(ContainerCreate& create);
Status ResolveDevices(ContainerCreate& create);
// The namespace that pid mode POD or TARGET joins.
Status ResolvePidNamespace(ContainerCreate& create);
Status ReadSeccompProfile(ContainerCreate& create);

}  // namespace coracle::cri
