#!/usr/bin/python3
"""Runs every test of one build folder: unit tests, integration on this host, the part that needs
every cgroup v2 controller, or systemd, in a VM. Ends with a list of each skipped test and why, and
of failures.
"""

import argparse
import functools
import os
import pathlib
import signal
import subprocess
import sys
import xml.etree.ElementTree

SOURCE = pathlib.Path(__file__).resolve().parent.parent
PYTEST = ["/usr/bin/python3", "-m", "pytest"]
# What only a machine with all cgroup v2 controllers can show; skipped on a host without them.
VM_SUITES = ["integration/oci/test_cgroup.py", "integration/oci/test_rootless_cgroup.py",
             "integration/podman", "integration/cri/test_oom.py"]
# What only a real systemd as PID 1 can show, or a kernel with SELinux.
SYSTEMD_SUITES = ["integration/oci/test_systemd_cgroup.py"]
SELINUX_SUITES = ["integration/oci/test_oci_selinux.py"]
VM_UNIT_TESTS = {"runtime_test": "*Cgroup*"}

IN_VM = ("vm", "systemd", "selinux")


class Part:
    """One run of one test program family, with its results on disk."""

    def __init__(self, name, results):
        self.name, self.results = name, results
        self.left = results / f"{name}.left"
        self.exit_code = None
        self.closing_line = "did not run"

    def run(self, command, timeout_s, environment):
        """Streams the output to the terminal and a log; a part that hangs is killed. A process
        that a part leaves on this host is a failure."""
        log = self.results / f"{self.name}.log"
        print(f"\n== {self.name}: {' '.join(map(str, command))}", flush=True)
        if self.name not in IN_VM:
            command = [sys.executable, SOURCE / "integration/lib/nothing_left.py", self.left,
                       *command]
        with open(log, "wb") as sink:
            process = subprocess.Popen(command, cwd=SOURCE, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, env=os.environ | environment,
                                       start_new_session=True)
            signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
            signal.alarm(timeout_s)
            for line in process.stdout:
                sink.write(line)
                sys.stdout.buffer.write(line)
                sys.stdout.flush()
            self.exit_code = process.wait()
            signal.alarm(0)
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        self.closing_line = lines[-1] if lines else "no output"
        if self.exit_code == -signal.SIGKILL:
            self.closing_line = f"killed: ran longer than {timeout_s} s, or out of memory"


def skipped_and_failed(report):
    """(test, reason) of every skip and every failure in one JUnit or GoogleTest XML file."""
    skipped, failed = {}, {}
    try:
        root = xml.etree.ElementTree.parse(report).getroot()
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        return {}, {str(report): f"no readable report: {error}"}
    for case in root.iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        for element in case:
            reason = " ".join((element.get("message") or element.text or "").split())
            if element.tag == "skipped":
                skipped[name] = reason
            elif element.tag in ("failure", "error"):
                failed[name] = reason[:300]
    return skipped, failed


def sanitizer_reports(build):
    """One file for each process that had something to report: what a daemon says on standard error
    nobody reads (cmake/sanitizer_options.cc.in)."""
    return (build / "sanitizer-reports").glob("report.*")


def run_unit(build, results):
    part = Part("unit", results)
    part.run(["ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error"], 1800,
             {"GTEST_OUTPUT": f"xml:{results}/gtest/"})
    for line in (results / "unit.log").read_text(errors="replace").splitlines():
        if "tests passed" in line:
            part.closing_line = line
    return part, sorted((results / "gtest").glob("*.xml"))


def run_host(build, results, suites=("integration",)):
    part = Part("host", results)
    report = results / "host.xml"
    part.run([*PYTEST, *suites, f"--junitxml={report}"], 3000, {"BUILD_DIR": str(build)})
    return part, [report]


def run_vm(build, results):
    part = Part("vm", results)
    commands = [f"{build}/bin/{program} --gtest_filter='{tests}' --gtest_brief=1"
                for program, tests in VM_UNIT_TESTS.items()]
    suites = [suite for suite in VM_SUITES if (SOURCE / suite).exists()]
    commands.append(f"exec {' '.join(PYTEST)} {' '.join(suites)} --junitxml={results}/vm.xml")
    part.run(["integration/vm/run", "--timeout", "2400", "--write", results, "--disk", "2", "--env",
              f"BUILD_DIR={build}", "--env", f"GTEST_OUTPUT=xml:{results}/vm-gtest/", "--", "sh",
              "-c", " || exit; ".join(commands)], 2700, {})
    return part, [results / "vm.xml", *sorted((results / "vm-gtest").glob("*.xml"))]


def run_other_vm(name, options, suites, build, results):
    part = Part(name, results)
    command = [*PYTEST, *suites, f"--junitxml={results}/{name}.xml"]
    part.run(["integration/vm/run", *options, "--timeout", "1800", "--write", results, "--env",
              f"BUILD_DIR={build}", "--", *command], 2100, {})
    return part, [results / f"{name}.xml"]


def print_summary(parts, results):
    """The list of skips and failures, then one closing line per part. False: something failed."""
    ran_in_vm, skips, failures = set(), [], []
    for part, reports in parts:
        for report in reports:
            skipped, failed = skipped_and_failed(report)
            skips += [(part.name, test, reason) for test, reason in skipped.items()]
            failures += [(part.name, test, reason) for test, reason in failed.items()]
            if part.name in IN_VM and report.exists():
                root = xml.etree.ElementTree.parse(report).getroot()
                names = {f"{c.get('classname')}.{c.get('name')}" for c in root.iter("testcase")}
                ran_in_vm |= names - set(skipped)
        if part.left.exists():
            failures += [(part.name, line, "this process was left behind")
                         for line in part.left.read_text().splitlines()]
    reports = sorted(sanitizer_reports(results.parent))
    failures += [("sanitizer", report.name, report.read_text(errors="replace")[:3000])
                 for report in reports[:20]]
    print("\n== summary")
    for part, test, reason in skips:
        elsewhere = " [ran in the VM]" if part not in IN_VM and test in ran_in_vm else ""
        print(f"skipped ({part}) {test}: {reason or 'no reason given'}{elsewhere}")
    for part, test, reason in failures:
        print(f"FAILED ({part}) {test}: {reason}")
    lines = [f"{part.name}: exit {part.exit_code}: {part.closing_line}" for part, _ in parts]
    if (results.parent / "sanitizer-reports").exists():
        lines.append(f"sanitizer: {len(reports)} processes had something to report")
    (results / "closing-lines").write_text("".join(line + "\n" for line in lines))
    print("\n".join(lines), flush=True)
    return not failures and all(part.exit_code == 0 for part, _ in parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parts = {"unit": run_unit, "host": run_host, "vm": run_vm,
             "systemd": functools.partial(run_other_vm, "systemd", ["--systemd"], SYSTEMD_SUITES),
             "selinux": functools.partial(run_other_vm, "selinux",
                                          ["--append", "security=selinux"], SELINUX_SUITES)}
    parser.add_argument("--without", action="append", default=[], choices=parts)
    parser.add_argument("--suites", nargs="+", default=["integration"],
                        help="of those on this host")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    if os.geteuid() != 0:
        sys.exit("suite.py: containers need root: run `sudo make test`")
    results = build / "test-results"
    subprocess.run(["rm", "-rf", results], check=True)
    (results / "gtest").mkdir(parents=True)
    for old in sanitizer_reports(build):
        old.unlink()
    parts["host"] = functools.partial(run_host, suites=arguments.suites)
    done = [run(build, results) for name, run in parts.items() if name not in arguments.without]
    sys.exit(0 if print_summary(done, results) else 1)


if __name__ == "__main__":
    main()
