#include "store/database.h"

#include <google/protobuf/util/json_util.h>
#include <sqlite3.h>

#include "coracle/base/json.h"

namespace coracle::cri {
namespace {

constexpr int kSchemaVersion = 1;

constexpr const char* kSchema = R"(
CREATE TABLE sandboxes(
  id TEXT PRIMARY KEY, config TEXT, runtime_handler TEXT, boot_id TEXT, created_at_ns INTEGER,
  ready_at_ns INTEGER, lost_at_ns INTEGER, stopped_at_ns INTEGER, ips TEXT, cni_result TEXT,
  pause_pid INTEGER) STRICT;
CREATE TABLE containers(
  id TEXT PRIMARY KEY, sandbox_id TEXT, config TEXT, image_id TEXT, boot_id TEXT,
  cgroups_path TEXT, log_path TEXT, stop_signal TEXT, uid INTEGER, gid INTEGER, groups TEXT,
  pid INTEGER, created_at_ns INTEGER, ready_at_ns INTEGER, started_at_ns INTEGER,
  finished_at_ns INTEGER, exit_code INTEGER, reason TEXT, message TEXT) STRICT;
PRAGMA user_version=1;
)";

Error SqlError(sqlite3* connection, const std::string& what) {
  const int code = sqlite3_errcode(connection);
  const int errnum = code == SQLITE_FULL ? ENOSPC : 0;
  return {Code::kKernel, errnum, "database: " + what + ": " + sqlite3_errmsg(connection)};
}

// One prepared statement, bound and read by position.
class Statement {
 public:
  Statement(sqlite3* connection, const char* sql) : connection_(connection) {
    sqlite3_prepare_v2(connection, sql, -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& Bind(const std::string& text) {
    sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                        SQLITE_UTF8);
    return *this;
  }
  Statement& Bind(std::int64_t number) {
    sqlite3_bind_int64(statement_, ++bound_, number);
    return *this;
  }
  // True: there is a row.
  Result<bool> Next(const char* what) {
    read_ = 0;
    const int code = statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return SqlError(connection_, what);
  }
  std::string Text() {
    const auto* text = sqlite3_column_text(statement_, read_);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, read_++));
    return text == nullptr ? "" : std::string(reinterpret_cast<const char*>(text), size);
  }
  std::int64_t Number() { return sqlite3_column_int64(statement_, read_++); }

 private:
  sqlite3* connection_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0, read_ = 0;
};

Result<std::string> PrintMessage(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) {
    return Error{Code::kInvalidConfig, 0, "configuration: " + std::string(status.message())};
  }
  return text;
}

template <class Message>
std::shared_ptr<const Message> ParseMessage(const std::string& text) {
  auto message = std::make_shared<Message>();
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // written by a newer version of ours
  if (!google::protobuf::util::JsonStringToMessage(text, message.get(), options).ok()) return {};
  return message;
}

template <class T>
std::vector<T> ParseList(const std::string& text) {
  std::vector<T> list;
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return list;
  for (const Json& item : json) {
    if constexpr (std::is_same_v<T, std::string>) {
      if (item.is_string()) list.push_back(item);
    } else {
      if (item.is_number_unsigned()) list.push_back(item);
    }
  }
  return list;
}

}  // namespace

Result<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &connection,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX,
      nullptr);
  std::unique_ptr<Database> database(new Database(connection));
  if (code != SQLITE_OK) return SqlError(connection, "open " + path);
  sqlite3_busy_timeout(connection, 5000);
  TRY(database->Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"));
  std::int64_t version = 0;
  {
    Statement query(connection, "PRAGMA user_version");
    if (TRY(query.Next("user_version"))) version = query.Number();
  }
  if (version == 0) {
    TRY(database->Execute((std::string("BEGIN;") + kSchema + "COMMIT;").c_str()));
  } else if (version != kSchemaVersion) {
    return Error{Code::kUnsupported, 0,
                 path + ": schema version " + std::to_string(version) + ", this program knows " +
                     std::to_string(kSchemaVersion)};
  }
  return database;
}

Database::~Database() { sqlite3_close_v2(connection_); }

Status Database::Execute(const char* sql) {
  if (sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return SqlError(connection_, "execute");
}

Status Database::Put(const SandboxRecord& record) {
  const std::string config = TRY(PrintMessage(*record.config));
  const std::lock_guard lock(mutex_);
  Statement insert(connection_, "INSERT OR REPLACE INTO sandboxes VALUES(?,?,?,?,?,?,?,?,?,?,?)");
  insert.Bind(record.id).Bind(config).Bind(record.runtime_handler).Bind(record.boot_id);
  insert.Bind(record.created_at_ns).Bind(record.ready_at_ns).Bind(record.lost_at_ns);
  insert.Bind(record.stopped_at_ns).Bind(PrintJson(Json(record.ips))).Bind(record.cni_result);
  insert.Bind(record.pause_pid);
  TRY(insert.Next("write sandbox"));
  return {};
}

Status Database::Put(const ContainerRecord& record) {
  const std::string config = TRY(PrintMessage(*record.config));
  const std::lock_guard lock(mutex_);
  Statement insert(
      connection_,
      "INSERT OR REPLACE INTO containers VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  insert.Bind(record.id).Bind(record.sandbox_id).Bind(config).Bind(record.image_id);
  insert.Bind(record.boot_id).Bind(record.cgroups_path).Bind(record.log_path);
  insert.Bind(record.stop_signal).Bind(record.uid).Bind(record.gid);
  insert.Bind(PrintJson(Json(record.groups))).Bind(record.pid).Bind(record.created_at_ns);
  insert.Bind(record.ready_at_ns).Bind(record.started_at_ns).Bind(record.finished_at_ns);
  insert.Bind(record.exit_code).Bind(record.reason).Bind(record.message);
  TRY(insert.Next("write container"));
  return {};
}

Status Database::RemoveSandbox(const std::string& id) {
  const std::lock_guard lock(mutex_);
  Statement remove(connection_, "DELETE FROM sandboxes WHERE id=?");
  TRY(remove.Bind(id).Next("remove sandbox"));
  return {};
}

Status Database::RemoveContainer(const std::string& id) {
  const std::lock_guard lock(mutex_);
  Statement remove(connection_, "DELETE FROM containers WHERE id=?");
  TRY(remove.Bind(id).Next("remove container"));
  return {};
}

Result<std::vector<SandboxRecord>> Database::Sandboxes(std::vector<std::string>& unreadable) {
  const std::lock_guard lock(mutex_);
  std::vector<SandboxRecord> records;
  Statement query(connection_, "SELECT * FROM sandboxes");
  while (TRY(query.Next("read sandboxes"))) {
    SandboxRecord record;
    record.id = query.Text();
    record.config = ParseMessage<v1::PodSandboxConfig>(query.Text());
    record.runtime_handler = query.Text();
    record.boot_id = query.Text();
    record.created_at_ns = query.Number();
    record.ready_at_ns = query.Number();
    record.lost_at_ns = query.Number();
    record.stopped_at_ns = query.Number();
    record.ips = ParseList<std::string>(query.Text());
    record.cni_result = query.Text();
    record.pause_pid = static_cast<pid_t>(query.Number());
    if (record.config == nullptr) {
      unreadable.push_back(record.id);
    } else {
      records.push_back(std::move(record));
    }
  }
  return records;
}

Result<std::vector<ContainerRecord>> Database::Containers(std::vector<std::string>& unreadable) {
  const std::lock_guard lock(mutex_);
  std::vector<ContainerRecord> records;
  Statement query(connection_, "SELECT * FROM containers");
  while (TRY(query.Next("read containers"))) {
    ContainerRecord record;
    record.id = query.Text();
    record.sandbox_id = query.Text();
    record.config = ParseMessage<v1::ContainerConfig>(query.Text());
    record.image_id = query.Text();
    record.boot_id = query.Text();
    record.cgroups_path = query.Text();
    record.log_path = query.Text();
    record.stop_signal = query.Text();
    record.uid = static_cast<std::uint32_t>(query.Number());
    record.gid = static_cast<std::uint32_t>(query.Number());
    record.groups = ParseList<std::uint32_t>(query.Text());
    record.pid = static_cast<pid_t>(query.Number());
    record.created_at_ns = query.Number();
    record.ready_at_ns = query.Number();
    record.started_at_ns = query.Number();
    record.finished_at_ns = query.Number();
    record.exit_code = static_cast<std::int32_t>(query.Number());
    record.reason = query.Text();
    record.message = query.Text();
    if (record.config == nullptr) {
      unreadable.push_back(record.id);
    } else {
      records.push_back(std::move(record));
    }
  }
  return records;
}

}  // namespace coracle::cri
