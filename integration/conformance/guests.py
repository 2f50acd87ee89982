"""The VMs of `run`: each gets a plan, which `guest` carries out inside, and leaves its results."""

import json
import shutil
import subprocess
import time

import checklist
import tools

VM = checklist.INTEGRATION / "vm" / "run"
TIMEOUT_S = 2700  # of a VM
BUDGET_S = 2400  # after it no further validation program is begun
MEMORY_MIB = 2048  # two run at once


class Guest:
    """One VM, its part of a run, and its results."""

    def __init__(self, where, name, options=()):
        """`where`: build folder, folder of the run, runtimes."""
        build, folder, self.runtimes = where
        self.name, self.options, self.results = name, options, folder / f"vm-{name}"
        self.plan = {"build": str(build), "integration": str(checklist.INTEGRATION),
                     "runtimes": self.runtimes, "folder": str(folder / "programs"),
                     "budget_s": BUDGET_S, "tests": [], "programs": []}

    def run(self):
        begin = time.monotonic()
        shutil.rmtree(self.results, ignore_errors=True)
        self.results.mkdir()
        plan = self.results / "plan.json"
        plan.write_text(json.dumps(self.plan))
        with open(self.results / "log", "wb") as log:
            code = subprocess.run(
                [VM, "--timeout", str(TIMEOUT_S), "--memory", str(MEMORY_MIB), *self.options,
                 "--write", self.results, "--", checklist.HERE / "guest", plan],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                check=False).returncode
        print(f"== the VM for {self.name} took {time.monotonic() - begin:.0f} s", flush=True)
        if code:
            tail = (self.results / "log").read_text(errors="replace")[-2000:]
            print(f"conformance: it ends with {code}:\n{tail}", flush=True)

    def tests(self, label):
        report = self.results / f"{label}.xml"
        return checklist.read_junit(report) if report.exists() else {}

    def outcomes(self):
        """{label: {program: Outcome}}"""
        file = self.results / "programs.json"
        written = json.loads(file.read_text()) if file.exists() else {}
        return {label: {name: tools.Outcome([tuple(point) for point in one["points"]], one["end"])
                        for name, one in written.get(label, {}).items()}
                for label in self.runtimes}
