"""The rows of checklist.toml, the tests that name them, and what a run of those tests says."""

import json
import pathlib
import subprocess
import tempfile
import tomllib
import xml.etree.ElementTree
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
INTEGRATION = HERE.parent
PYTEST = ["/usr/bin/python3", "-m", "pytest"]


@dataclass
class Row:
    number: int
    level: str
    page: str
    anchor: str
    text: str
    section: str

    @property
    def spec(self):
        return self.anchor if "#" in self.anchor else f"{self.page}#{self.anchor}"


@dataclass
class Verdict:
    """What the tests of one row say of one runtime."""
    passed: list = field(default_factory=list)
    failed: dict = field(default_factory=dict)  # name of the test: first line of why
    skipped: dict = field(default_factory=dict)

    @property
    def word(self):
        if self.failed:
            return "no"
        return "yes" if self.passed else "skipped" if self.skipped else "no test"


def load():
    """(rows in order, remarks by row number)"""
    data = tomllib.loads((HERE / "checklist.toml").read_text())
    rows = [Row(number, level, section["page"], anchor, text, section["title"])
            for section in data["section"] for number, level, anchor, text in section["rows"]]
    return rows, {int(number): text for number, text in data["remarks"].items()}


def rows_of_tests():
    """{test as pytest names it: its rows}, without running any."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        done = subprocess.run([*PYTEST, "--collect-only", "-q", "--rows-to", file.name, "."],
                              cwd=INTEGRATION, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"pytest cannot collect the tests:\n{done.stdout}{done.stderr}")
        return json.load(file)


def name_of(test):
    """oci/test_oci_mounts.py::TestX::test_flag[ro] → test_oci_mounts.test_flag[ro]"""
    path, _, rest = test.partition("::")
    function, bracket, parameters = rest.partition("[")
    return f"{pathlib.PurePath(path).stem}.{function.split('::')[-1]}{bracket}{parameters}"


def function_of(test):
    return name_of(test).split("[")[0]


def functions_of_rows(rows_by_test):
    """{row: names of its test functions}"""
    found = {}
    for test, rows in rows_by_test.items():
        for row in rows:
            names = found.setdefault(row, [])
            if function_of(test) not in names:
                names.append(function_of(test))
    return found


def read_junit(report):
    """{(test, parameters included): (rows, "passed" | "failed" | "skipped", reason)}"""
    results = {}
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        file = next(part for part in case.get("classname").split(".") if part.startswith("test_"))
        name = f"{file}.{case.get('name')}"
        rows, outcome, reason = set(), "passed", ""
        for element in case:
            if element.tag == "properties":
                rows = {int(row) for one in element if one.get("name") == "checklist"
                        for row in one.get("value").split()}
            elif element.tag == "skipped":
                outcome, reason = "skipped", element.get("message") or ""
            elif element.tag in ("failure", "error"):
                outcome, reason = "failed", element.get("message") or element.text or ""
        # The failure of a test and that of its teardown are two entries.
        rows |= results.get(name, (set(),))[0]
        if results.get(name, (None, None))[1] != "failed":
            results[name] = (rows, outcome, " ".join(reason.split()))
    return results


def merge(host, vm):
    """Both runs of a runtime as one: what the host had to skip is what the VM shows."""
    merged = dict(host)
    for name, result in vm.items():
        if merged.get(name, (None, "skipped"))[1] == "skipped":
            merged[name] = result
    return merged


def judge(results):
    """{row: Verdict} of one runtime"""
    verdicts = {}
    for name, (rows, outcome, reason) in results.items():
        for row in rows:
            verdict = verdicts.setdefault(row, Verdict())
            if outcome == "passed":
                verdict.passed.append(name)
            else:
                getattr(verdict, outcome)[name] = reason
    return verdicts


def problems(rows, functions, verdicts):
    """Why coracle does not conform, one line each."""
    for row in rows:
        if row.number not in functions:
            yield f"row {row.number} ({row.text}) has no test"
        elif verdicts.get(row.number, Verdict()).word != "yes":
            verdict = verdicts.get(row.number, Verdict())
            why = "; ".join(f"{k}: {v}" for k, v in {**verdict.failed, **verdict.skipped}.items())
            yield f"row {row.number} ({row.text}): {verdict.word}: {why[:300]}"
