// SQLite as RAII and Result: one connection, prepared statements, transactions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "coracle/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace coracle::image {

class Database;

// One prepared statement; values are bound by position as they are pushed.
class Statement {
 public:
  Statement& Bind(std::string_view text);
  Statement& Bind(std::int64_t number);
  // true: a row is there to be read; false: done.
  Result<bool> Step();
  // Runs to the end, without rows of interest.
  Status Run();
  [[nodiscard]] std::string Text(int column) const;
  [[nodiscard]] std::int64_t Number(int column) const;

 private:
  friend class Database;
  struct Free {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(Database* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}
  Database* database_;
  std::unique_ptr<sqlite3_stmt, Free> statement_;
  int bound_ = 0;
};

class Database {
 public:
  // Write-ahead log, synchronous=FULL, foreign keys; waits up to 10 s for another process.
  static Result<std::unique_ptr<Database>> Open(const std::string& path);
  Result<Statement> Prepare(std::string_view sql);
  Status Execute(const std::string& sql);
  [[nodiscard]] std::int64_t LastInsertId() const;
  [[nodiscard]] std::int64_t Changes() const;
  [[nodiscard]] Error LastError(const std::string& doing) const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  explicit Database(std::string path) : path_(std::move(path)) {}
  std::string path_;
  std::unique_ptr<sqlite3, Close> connection_;
};

// Rolled back unless committed.
class Transaction {
 public:
  static Result<Transaction> Begin(Database& database);
  // Several reads of one state.
  static Result<Transaction> BeginRead(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status Commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;
};

}  // namespace coracle::image
