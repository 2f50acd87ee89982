"""causes.toml: why a point of the validation programs fails, for whom and where."""

import pathlib
import tomllib
from dataclasses import dataclass

import tools

HERE = pathlib.Path(__file__).resolve().parent
EVERYBODY = ("coracle", "runc", "crun")
ATTEMPTS = 3  # of a program that fails without a known cause: some race with their container


@dataclass
class Cause:
    programs: list
    why: str
    runtimes: tuple
    where: tuple
    point: str  # words of the failing point, or of the program's end; empty: all of them
    row: int  # of the checklist, which whoever passes breaks; 0: of none

    def holds(self, place, runtime, program, failure):
        return (program in self.programs and runtime in self.runtimes and place in self.where
                and self.point in failure)


def load():
    data = tomllib.loads((HERE / "causes.toml").read_text())
    return [Cause(one["programs"], " ".join(one["why"].split()),
                  tuple(one.get("runtimes", EVERYBODY)), tuple(one.get("where", ("host", "vm"))),
                  one.get("point", ""), one.get("row", 0)) for one in data["cause"]]


def failures(outcome):
    """What has to be explained: each failing point, or an end without one."""
    return outcome.failures or ([outcome.end] if outcome.end else [])


def cause_of(causes, place, runtime, program, failure):
    return next((cause for cause in causes if cause.holds(place, runtime, program, failure)), None)


def explain(causes, place, runtime, program, outcome):
    """(the causes that hold, the failures for which there is none)"""
    found, unexplained = [], []
    for failure in failures(outcome):
        cause = cause_of(causes, place, runtime, program, failure)
        if cause is None:
            unexplained.append(failure)
        elif cause.why not in found:
            found.append(cause.why)
    return found, unexplained


def run(causes, who, program, timeout_s):
    """`who`: place, runtime, and the script that the programs call."""
    place, runtime, wrapper = who
    for _ in range(ATTEMPTS):
        outcome = tools.run(program, wrapper, timeout_s)
        if not explain(causes, place, runtime, program.name, outcome)[1]:
            break
    return outcome
