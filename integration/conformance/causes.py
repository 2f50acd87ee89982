"""causes.toml: why a point of the validation programs fails, for whom and where."""

import pathlib
import tomllib
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
EVERYBODY = ("coracle", "runc", "crun")


@dataclass
class Cause:
    programs: list
    why: str
    runtimes: tuple
    where: tuple
    point: str  # words of the failing point, or of the program's end; empty: all of them

    def holds(self, place, runtime, program, failure):
        return (program in self.programs and runtime in self.runtimes and place in self.where
                and self.point in failure)


def load():
    data = tomllib.loads((HERE / "causes.toml").read_text())
    return [Cause(one["programs"], " ".join(one["why"].split()),
                  tuple(one.get("runtimes", EVERYBODY)), tuple(one.get("where", ("host", "vm"))),
                  one.get("point", "")) for one in data["cause"]]


def failures(outcome):
    """What has to be explained: each failing point, or an end without one."""
    return outcome.failures or ([outcome.end] if outcome.end else [])


def explain(causes, place, runtime, program, outcome):
    """(the causes that hold, the failures for which there is none)"""
    found, unexplained = [], []
    for failure in failures(outcome):
        why = next((cause.why for cause in causes
                    if cause.holds(place, runtime, program, failure)), None)
        if why is None:
            unexplained.append(failure)
        elif why not in found:
            found.append(why)
    return found, unexplained
