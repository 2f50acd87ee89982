#!/usr/bin/python3
"""spec_anchors.py CORACLE: every section that a step names exists in the specification."""

import os
import pathlib
import subprocess
import sys

LIST = pathlib.Path(__file__).with_name("spec_anchors.txt")


def main():
    known = {line for line in LIST.read_text().splitlines() if not line.startswith("#")}
    tables = subprocess.run([sys.argv[1], "explain", "--markdown"], check=True, text=True,
                            stdout=subprocess.PIPE,
                            env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}).stdout
    rows = [line.split(" | ") for line in tables.splitlines() if line.startswith("| ")]
    steps = [row for row in rows if row[0] != "| step"]
    wrong = [f"{row[0][2:]}: {row[2]}" for row in steps if row[2] != "-" and row[2] not in known]
    if not steps:
        wrong.append("no steps at all")
    print("\n".join(f"no such section: {line}" for line in wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
