#!/usr/bin/python3
"""Shows that the tests of this suite can fail: takes each defence that weakenings/ names out of a
copy of the sources, builds that, and demands that the named tests fail.

    sudo integration/security/weaken.py [WORD...]    only those whose `of` or `weak` has a WORD

Each [[weakening]] is a deliberate hole, `beside` another one where that alone is still closed:
`line` stands once in `file`, and `instead` in its place.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

SUITE = pathlib.Path(__file__).resolve().parent
SOURCE = SUITE.parent.parent
COPY = SOURCE / "build/weakened"
BUILD = COPY / "build/dev"


def run(*command, **options):
    return subprocess.run(command, check=False, capture_output=True, text=True, **options)


def copy_sources():
    """What differs is copied, so that the next build is short."""
    listing = run("git", "-c", f"safe.directory={SOURCE}", "ls-files", "-z", cwd=SOURCE)
    for name in filter(None, listing.stdout.split("\0")):
        source, target = SOURCE / name, COPY / name
        if not source.is_file():
            continue
        if not target.exists() or source.read_bytes() != target.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def build():
    return run("ninja", "-C", BUILD, "coracle", "probe")


def weakened(edits):
    """The texts of the files without the defence; a line that is no longer there is an error."""
    texts = {}
    for edit in edits:
        name, line = edit["file"], edit["line"]
        text = texts.get(name) or (COPY / name).read_text()
        if text.count(line) != 1:
            sys.exit(f"{name}: not there once, the table must follow the sources:\n{line}")
        texts[name] = text.replace(line, edit["instead"])
    return texts


def not_failed(tests):
    """(tests that passed in all variants, those variants that failed)"""
    files = sorted({test.split("::")[0] for test in tests})
    names = " or ".join(test.split("::")[1] for test in tests)
    done = run("/usr/bin/python3", "-m", "pytest", "-q", "-rf", "--tb=line", "-p",
               "no:cacheprovider", *[SUITE / file for file in files], "-k", names,
               env=os.environ | {"BUILD_DIR": str(BUILD), "RACE_SECONDS": "60"})
    if done.returncode not in (0, 1):
        sys.exit(done.stdout + done.stderr)
    if " ERROR at setup of " in done.stdout:
        sys.exit(f"a defence less, and nothing works at all:\n{done.stdout[-4000:]}")
    failed = re.findall(r"^FAILED \S*?(\w+\.py::\S+)", done.stdout, re.MULTILINE)
    return [test for test in tests
            if not any(one.split("[")[0] == test for one in failed)], failed


def read_table():
    """All of them, with the edits of the one that each stands beside before its own."""
    table = [each for file in sorted((SUITE / "weakenings").glob("*.toml"))
             for each in tomllib.loads(file.read_text())["weakening"]]
    first = {each["weak"]: each["edits"] for each in table}
    return [each | {"edits": first.get(each.get("beside"), []) + each["edits"]} for each in table]


def show(weakening):
    """Whether all its tests fail; the copy is afterwards as it was."""
    texts = weakened(weakening["edits"])
    before = {name: (COPY / name).read_text() for name in texts}
    for name, text in texts.items():
        (COPY / name).write_text(text)
    built = build()
    missed, failed = not_failed(weakening["tests"]) if built.returncode == 0 else ([], [])
    for name, text in before.items():
        (COPY / name).write_text(text)
    if built.returncode != 0:
        sys.exit(f"{weakening['weak']}: does not build\n{built.stdout[-4000:]}")
    print(f"{'NOT SEEN' if missed else 'seen'}: {weakening['of']}: {weakening['weak']}")
    for test in missed:
        print(f"    {test} passed")
    print(f"    failed: {' '.join(one.split('::')[1] for one in failed)}", flush=True)
    return not missed


def main():
    words = sys.argv[1:]
    chosen = [each for each in read_table()
              if not words or any(word in each["of"] + each["weak"] for word in words)]
    copy_sources()
    for each in chosen:
        weakened(each["edits"])
    # Static as it is shipped, or it could not be executed in a container; -w, since what a defence
    # leaves behind may be unused.
    configured = run("cmake", "--preset", "dev", "-DCORACLE_STATIC=ON", "-DCMAKE_CXX_FLAGS=-w",
                     cwd=COPY)
    if configured.returncode != 0 or build().returncode != 0:
        sys.exit(f"{COPY} does not build\n{configured.stderr}")
    seen = [show(each) for each in chosen]
    print(f"{sum(seen)} of {len(seen)} seen to fail")
    return 0 if all(seen) else 1


if __name__ == "__main__":
    sys.exit(main())
