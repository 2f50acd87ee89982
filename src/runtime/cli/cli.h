// What the verbs of the command line share. One file per verb, each with the one function below.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "arguments.h"
#include "coracle/base/result.h"
#include "coracle/runtime/container.h"
#include "log.h"
#include "trace.h"

namespace coracle::runtime::cli {

struct Context {
  Runtime runtime;
  Log log;
  Trace trace;
  int exit_code_of_failure = 1;
};

// Each takes the words after its name, and gives the exit code.
Result<int> RunCreate(Context& context, const Words& words);
Result<int> RunRun(Context& context, const Words& words);
Result<int> RunStart(Context& context, const Words& words);
Result<int> RunState(Context& context, const Words& words);
Result<int> RunKill(Context& context, const Words& words);
Result<int> RunDelete(Context& context, const Words& words);
Result<int> RunList(Context& context, const Words& words);
Result<int> RunExec(Context& context, const Words& words);
Result<int> RunPs(Context& context, const Words& words);
Result<int> RunPause(Context& context, const Words& words);
Result<int> RunResume(Context& context, const Words& words);
Result<int> RunUpdate(Context& context, const Words& words);
Result<int> RunEvents(Context& context, const Words& words);
Result<int> RunFeatures(Context& context, const Words& words);
Result<int> RunSpec(Context& context, const Words& words);
Result<int> RunExplain(Context& context, const Words& words);

// Replaces this program by `coracle-image`; returns only with the reason why it could not.
Error ExecImage(char** argv);

Result<int> RunCheckpoint(Context& context, const Words& words);

// Does `act` for every container whose name matches the POSIX regular expression.
Status ForMatching(const Context& context, const std::string& pattern,
                   const std::function<Status(const std::string& id)>& act);

// "table" or "json", or an error that says so.
Result<bool> WantsJson(const std::string& format);

// To standard output, whole.
Status Print(const std::string& text);

// Puts the options that `create` and `run` share into `arguments`.
void AddCreateOptions(Arguments& arguments, CreateOptions& options);

}  // namespace coracle::runtime::cli
