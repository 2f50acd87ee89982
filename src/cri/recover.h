// What an earlier daemon left is made true again before the socket opens: running containers are
// found, exits that nobody saw are recorded, half-made things are unmade, and what no record names
// is removed.
#pragma once

#include "daemon.h"

namespace coracle::cri {

Status Recover(Daemon& daemon);

// garbage.cc: directories, snapshots and attachments that no record names. After Recover.
void CollectGarbage(Daemon& daemon);

}  // namespace coracle::cri
