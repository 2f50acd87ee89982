#include "database.h"

#include <sqlite3.h>

#include <chrono>
#include <thread>

namespace coracle::image {
namespace {

constexpr int kWalAttempts = 1000;
constexpr std::chrono::milliseconds kWalPause{10};

}  // namespace

void Statement::Free::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::Bind(std::string_view text) {
  sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
  return *this;
}

Statement& Statement::Bind(std::int64_t number) {
  sqlite3_bind_int64(statement_.get(), ++bound_, number);
  return *this;
}

Result<bool> Statement::Step() {
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return database_->LastError(sqlite3_sql(statement_.get()));
  }
}

Status Statement::Run() {
  while (TRY(Step())) {
  }
  return {};
}

std::string Statement::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_.get(), column);
  if (text == nullptr) return "";
  return {reinterpret_cast<const char*>(text),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::int64_t Statement::Number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

void Database::Close::operator()(sqlite3* connection) const { sqlite3_close(connection); }

Result<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  std::unique_ptr<Database> database(new Database(path));
  sqlite3* connection = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX |
                    SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
  const int result = sqlite3_open_v2(path.c_str(), &connection, flags, nullptr);
  database->connection_.reset(connection);
  if (result != SQLITE_OK) return database->LastError("open");
  sqlite3_busy_timeout(connection, 10'000);
  // Two that make a new database one of WAL at once hold what the other needs: there SQLite does
  // not wait, whatever the timeout.
  const char* const kWal = "PRAGMA journal_mode=WAL";
  for (int left = kWalAttempts; left > 0; --left) {
    if ((sqlite3_exec(connection, kWal, nullptr, nullptr, nullptr) & 0xff) != SQLITE_BUSY) break;
    std::this_thread::sleep_for(kWalPause);
  }
  TRY(database->Execute(std::string(kWal) + "; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"));
  return database;
}

Result<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(connection_.get(), sql.data(), static_cast<int>(sql.size()), &statement,
                         nullptr) != SQLITE_OK)
    return LastError(std::string(sql));
  return Statement(this, statement);
}

Status Database::Execute(const std::string& sql) {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return LastError(sql);
  return {};
}

std::int64_t Database::LastInsertId() const { return sqlite3_last_insert_rowid(connection_.get()); }

std::int64_t Database::Changes() const { return sqlite3_changes64(connection_.get()); }

Error Database::LastError(const std::string& doing) const {
  const int code = sqlite3_extended_errcode(connection_.get());
  const int errnum =
      (code & 0xff) == SQLITE_FULL ? ENOSPC : sqlite3_system_errno(connection_.get());
  return {Code::kKernel, errnum,
          path_ + ": " + doing.substr(0, 80) + ": " + sqlite3_errmsg(connection_.get())};
}

Result<Transaction> Transaction::Begin(Database& database) {
  TRY(database.Execute("BEGIN IMMEDIATE"));
  return Transaction(&database);
}

Result<Transaction> Transaction::BeginRead(Database& database) {
  TRY(database.Execute("BEGIN"));
  return Transaction(&database);
}

Transaction::~Transaction() {
  if (database_ != nullptr) (void)database_->Execute("ROLLBACK");
}

Status Transaction::Commit() {
  TRY(database_->Execute("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace coracle::image
