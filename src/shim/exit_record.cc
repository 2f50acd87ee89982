#include "exit_record.h"

#include "coracle/base/file.h"
#include "coracle/base/json.h"

namespace coracle::shim {
namespace {

std::string RecordPath(const std::string& bundle) { return bundle + "/exit.json"; }

}  // namespace

void Read(JsonReader& reader, ExitRecord& record) {
  reader.Required("pid", record.pid);
  reader.Required("exitStatus", record.exit.code);
  reader.Required("exitedAtUnixNs", record.exit.exited_at_unix_ns);
  reader.Required("oomKilled", record.exit.oom_killed);
}

Status WriteExitRecord(const std::string& bundle, const ExitRecord& record) {
  const Json json = {{"pid", record.pid},
                     {"exitStatus", record.exit.code},
                     {"exitedAtUnixNs", record.exit.exited_at_unix_ns},
                     {"oomKilled", record.exit.oom_killed}};
  // Not fsync(2)ed: it survives our death, and a power cut ends the container's host anyway.
  return WriteFileAtomically(RecordPath(bundle), PrintJson(json) + "\n", 0600);
}

Result<ExitRecord> ReadWholeExitRecord(const std::string& bundle) {
  const std::string path = RecordPath(bundle);
  auto text = ReadFile(path);
  if (!text && text.error().errnum == ENOENT)
    return Error{Code::kNotFound, ENOENT, path + ": the container has not ended"};
  if (!text) return std::move(text).error();
  const Json json = TRY(ParseJson(*text, path));
  ExitRecord record;
  TRY(ReadJsonDocument(json, path, record));
  return record;
}

Result<ExitStatus> ReadExitRecord(const std::string& bundle) {
  return TRY(ReadWholeExitRecord(bundle)).exit;
}

}  // namespace coracle::shim
