// Root filesystems made of an image's layers: overlay mounts, described but not mounted here.
#pragma once

#include <string>

#include "coracle/base/result.h"
#include "coracle/image/image_store.h"
#include "store_context.h"

namespace coracle::image {

// Directories of the snapshot, made if they are missing, and its mounts.
Result<Snapshot> MakeSnapshot(const StoreContext& store, const SnapshotRecord& record);

// Bytes and inodes of a directory tree on its filesystem; hard links count once.
Result<Usage> UsageOfTree(const std::string& path);

}  // namespace coracle::image
