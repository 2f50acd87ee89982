"""Writes docs/CONFORMANCE.md."""

from dataclasses import dataclass

import causes as known
import checklist
import tools

RUNTIMES = ("coracle", "runc", "crun")
DOCUMENT = checklist.INTEGRATION.parent / "docs" / "CONFORMANCE.md"

INTRODUCTION = """# Conformance

Every demand of the OCI's runtime-spec 1.3 on a runtime for Linux, with the tests that show it and
what they say of coracle, and of the newest runc and crun in the same run; then what the OCI's own
validation programs say. `make conformance` writes this page (integration/conformance).

{versions}

The tests run on the host, where /sys/fs/cgroup shows cgroup2 only. What the host has to skip runs
in VMs: with every cgroup v2 controller (most of the host's are bound to version 1) and AppArmor,
with systemd as PID 1, and with SELinux.
"""

ROWS_INTRODUCTION = """
## The checklist

yes: every test that ran passed. no: one failed; they are listed below the tables. skipped: with
the reason. {totals}
"""

TOOLS_INTRODUCTION = """
## The OCI's validation programs

{module} {version}. A point is one line of a program's report: ok / not ok; "no result" is a
program that ended badly without a failing point. Points that fail for coracle and that runc or crun
passes and may pass: {passed}. Those that only a runtime passes which breaks a row of the checklist
in this run: {breaking}.
"""


def cell(verdict):
    if verdict.word == "skipped":
        reasons = sorted(set(verdict.skipped.values()))
        return "skipped: " + "; ".join(reasons)
    return verdict.word


def short(functions):
    """test_oci_mounts.test_flag, test_oci_mounts.test_x → oci_mounts: flag, x"""
    files = {}
    for name in functions:
        file, _, function = name.partition(".")
        files.setdefault(file.removeprefix("test_"), []).append(function.removeprefix("test_"))
    return "; ".join(f"{file}: {', '.join(names)}" for file, names in files.items())


def row_tables(rows, remarks, functions, verdicts):
    lines, section = [], None
    empty = checklist.Verdict()
    for row in rows:
        if row.section != section:
            section = row.section
            lines += [f"\n### {section} ({row.page})\n",
                      "| # | level | demand | tests | coracle | runc | crun |",
                      "|---|---|---|---|---|---|---|"]
        remark = f" *({remarks[row.number]})*" if row.number in remarks else ""
        cells = [cell(verdicts[name].get(row.number, empty)) for name in RUNTIMES]
        lines.append(f"| {row.number} | {row.level} | {row.text}{remark} | "
                     f"{short(functions.get(row.number, []))} | {' | '.join(cells)} |")
    return lines


def row_totals(rows, verdicts):
    said = []
    for name in RUNTIMES:
        words = [verdicts[name].get(row.number, checklist.Verdict()).word for row in rows]
        said.append(f"{name} {words.count('yes')} yes, {words.count('no')} no, "
                    f"{len(words) - words.count('yes') - words.count('no')} skipped")
    return "; ".join(said) + "."


def refusals(rows, verdicts):
    lines = ["\n### Where the answer is no\n", "| # | runtime | tests that fail |", "|---|---|---|"]
    for row in rows:
        for name in RUNTIMES:
            failed = verdicts[name].get(row.number, checklist.Verdict()).failed
            if failed:
                tests = ", ".join(sorted(one.removeprefix("test_").replace("|", "\\|")
                                         for one in failed)[:6])
                more = f" and {len(failed) - 6} more" if len(failed) > 6 else ""
                lines.append(f"| {row.number} | {name} | {tests}{more} |")
    return lines if len(lines) > 3 else ["\nNo row fails for anybody."]


def outcome_cell(outcome):
    if outcome is None:
        return "-"
    text = f"{outcome.count('ok')} / {outcome.count('not ok')}"
    return text + (" (no result)" if outcome.end and not outcome.failures else "")


def why_cell(place, program, results, causes):
    """Who fails, and why: the same cause once."""
    reasons = {}
    for name in RUNTIMES:
        outcome = results[name].get(program)
        if outcome is None or outcome.clean:
            continue
        found, unexplained = known.explain(causes, place, name, program, outcome)
        for why in found + (["not explained"] if unexplained else []):
            reasons.setdefault(why, []).append(name)
    return "; ".join(f"{why} ({', '.join(names)})" for why, names in reasons.items())


def tools_table(place, title, results, causes):
    programs = list(dict.fromkeys(name for one in results.values() for name in one))
    lines = [f"\n### {title}\n", "| program | coracle | runc | crun | why it fails |",
             "|---|---|---|---|---|"]
    for program in programs:
        cells = [outcome_cell(results[name].get(program)) for name in RUNTIMES]
        lines.append(f"| {program} | {' | '.join(cells)} | "
                     f"{why_cell(place, program, results, causes)} |")
    cells = []
    for name in RUNTIMES:
        outcomes = results[name].values()
        failing = sum(not outcome.clean for outcome in outcomes)
        cells.append(f"{sum(o.count('ok') for o in outcomes)} / "
                     f"{sum(o.count('not ok') for o in outcomes)}, {failing} programs fail")
    return [*lines, f"| all {len(programs)} | {' | '.join(cells)} | |"]


@dataclass
class Passed:
    """A point that fails for coracle and passes for a peer."""
    place: str
    program: str
    point: str
    peer: str
    cause: known.Cause
    breaks: bool  # the row of the cause, which coracle keeps

    def __str__(self):
        row = f": {self.peer} breaks row {self.cause.row}, coracle keeps it" if self.breaks else ""
        why = f" ({self.cause.why})" if self.cause else ""
        return f"{self.place}, {self.program}, {self.peer}: {self.point}{row}{why}"


def passed_by_peers(gathered):
    def word(runtime, row):
        return gathered.verdicts[runtime].get(row, checklist.Verdict()).word

    for place, of_place in gathered.tools.items():
        for peer in RUNTIMES[1:]:
            for program, ours in of_place["coracle"].items():
                theirs = of_place[peer].get(program, tools.Outcome(end="not run"))
                for point in tools.passed_elsewhere(ours, theirs):
                    cause = known.cause_of(gathered.causes, place, "coracle", program, point)
                    breaks = (cause is not None and word("coracle", cause.row) == "yes"
                              and word(peer, cause.row) == "no")
                    yield Passed(place, program, point, peer, cause, breaks)


def write(rows, remarks, functions, run):
    """`run`: what `run` gathered: versions, verdicts, tools, causes, titles."""
    passed = sorted(passed_by_peers(run), key=lambda one: one.breaks)
    breaking = sum(one.breaks for one in passed)
    text = [INTRODUCTION.format(versions="\n".join(f"- {one}" for one in run.versions)),
            ROWS_INTRODUCTION.format(totals=row_totals(rows, run.verdicts)),
            *row_tables(rows, remarks, functions, run.verdicts),
            *refusals(rows, run.verdicts),
            TOOLS_INTRODUCTION.format(module=tools.MODULE, version=tools.VERSION,
                                      passed=len(passed) - breaking or "none",
                                      breaking=breaking or "none")]
    text += [f"- {one}" for one in passed]
    for place, title in run.titles.items():
        text += tools_table(place, title, run.tools[place], run.causes)
    DOCUMENT.write_text("\n".join(text) + "\n")
