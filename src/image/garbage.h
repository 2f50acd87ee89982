// Deletes what no record names any more. Only ever under the store's exclusive lock: nobody is
// just adding content then.
#pragma once

#include "coracle/base/result.h"
#include "store_context.h"

namespace coracle::image {

// What was noted as garbage when images and snapshots went. Does nothing while content is being
// added: who adds it calls this again when done.
Status SweepNoted(StoreContext& store);

// Also everything that a crash left: unfinished downloads, directories without a record.
Status SweepAll(StoreContext& store);

}  // namespace coracle::image
