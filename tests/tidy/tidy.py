#!/usr/bin/python3
"""Checks the rules that keep the tree readable. One line per problem: FILE:LINE: what is wrong."""

import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import cxx
import rules

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
CODE = {".h", ".cc"}
CHECKED_TEXT = CODE | {".py", ".sh", ".cmake", ".md", ".txt", ".proto", ".toml", ""}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def tracked_files():
    """The files git knows or would add; without git, everything outside of build folders."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={SOURCE}", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"],
        cwd=SOURCE, capture_output=True, check=False)
    if listing.returncode == 0:
        names = [name.decode() for name in listing.stdout.split(b"\0") if name]
    else:
        names = [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*")
                 if not path.relative_to(SOURCE).parts[0].startswith(("build", ".git"))]
    return sorted(name for name in names if (SOURCE / name).is_file())


def layer_of(name):
    """The layer a file belongs to and whether it is a test of it; (None, _) outside of layers."""
    parts = name.split("/")
    if parts[0] == "include":
        parts = parts[1:]
    layer = parts[1] if len(parts) > 2 and parts[0] in ("src", "tests", "coracle") else None
    return (layer if layer in rules.LAYERS else None), parts[0] == "tests"


def check_layering(name, text):
    layer, is_test = layer_of(name)
    if layer is None:
        return
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        quote, header = match.groups()
        if header.startswith("coracle/"):
            used = header.split("/")[1]
            if used != layer and used not in rules.LAYERS[layer]:
                yield line, f"layer {layer} may not use {used} ({header})"
            continue
        external = next((key for key in rules.EXTERNAL if header.startswith(key)), None)
        if external is not None:
            # A test may look into what its layer is made of, and drives it with GoogleTest.
            allowed = rules.EXTERNAL[external]
            if layer not in allowed and not is_test:
                yield line, f"layer {layer} may not use {header}; allowed in {sorted(allowed)}"
        elif quote == '"' and ".." in header:
            yield line, f"{header}: a private header is included by its name beside its .cc"
        elif quote == "<" and header.endswith(".h"):
            if not header.startswith(rules.SYSTEM_FOLDERS) and header not in rules.SYSTEM_HEADERS:
                yield line, f"{header}: unknown library; add it to tests/tidy/rules.py for review"


def check_calls(name, text):
    layer, is_test = layer_of(name)
    calls = rules.FORBIDDEN_CALLS.get(layer, ())
    if is_test or not calls or name in rules.BEFORE_THREADS:
        return
    for match in re.finditer(rf"(?<![\w.>])(?:{'|'.join(calls)})\s*\(", cxx.blank(text)):
        line = text.count("\n", 0, match.start()) + 1
        yield line, f"layer {layer} may not call {match.group(0)[:-1].strip()}(2) in its threads"


def check_root_paths(name, text):
    """No kernel call takes a string that leads into a root file system."""
    layer, is_test = layer_of(name)
    if layer is None or is_test or not name.endswith(".cc"):
        return
    blanked = cxx.blank(text)
    for match in re.finditer(rf"(?<![\w.>])(?:{'|'.join(rules.PATH_CALLS)})\s*\(", blanked):
        depth, end = 1, match.end()
        while depth and end < len(blanked):
            depth += {"(": 1, ")": -1}.get(blanked[end], 0)
            end += 1
        if re.search(rules.ROOT_PATH, blanked[match.end():end]):
            line = text.count("\n", 0, match.start()) + 1
            yield line, (f"{match.group(0)[:-1].strip()} of a path in a root file system: "
                         "use coracle/sys/path.h")


def step_functions(text):
    """Names of the functions in step tables: what follows the four strings of a row."""
    string = r'"(?:\\.|[^"\\])*"\s*'
    row = re.compile(rf"\{{\s*(?:{string}){{1,}},\s*(?:(?:{string})+,\s*){{3}}&?(\w+)"
                     r"(?:\s*,\s*&?([A-Z]\w+))?")
    return {name for match in row.finditer(text) for name in match.groups() if name}


def check_functions(name, text, steps):
    for function in cxx.functions(text):
        if function.length > rules.MAX_FUNCTION_LINES:
            yield function.line, (f"function {function.name} has {function.length} lines, "
                                  f"at most {rules.MAX_FUNCTION_LINES}")
        elif function.name in steps and function.length > rules.MAX_STEP_LINES:
            yield function.line, (f"step {function.name} has {function.length} lines, "
                                  f"at most {rules.MAX_STEP_LINES}")
        # The kernel's calls keep the kernel's parameters.
        exempt = function.overrides or layer_of(name)[0] == "sys"
        if function.parameters > rules.MAX_PARAMETERS and not exempt:
            yield function.line, (f"function {function.name} has {function.parameters} "
                                  f"parameters, at most {rules.MAX_PARAMETERS}: use a struct")


def check_text(name, text):
    lines = text.splitlines()
    if len(lines) > rules.MAX_FILE_LINES and not name.endswith((".md", ".proto", ".txt")):
        yield 1, f"file has {len(lines)} lines, at most {rules.MAX_FILE_LINES}"
    for number, line in enumerate(lines, 1):
        if len(line) > rules.MAX_COLUMNS and not name.endswith((".md", ".proto")):
            yield number, f"{len(line)} columns, at most {rules.MAX_COLUMNS}"
        if name != "tests/tidy/rules.py" and re.search(rules.FORBIDDEN_WORDS, line):
            yield number, "unfinished work or a path of one machine"


def check_header(name, text):
    lines = text.splitlines()
    if not lines or not lines[0].startswith("// "):
        yield 1, "the first line of a header says what it is for"
    if "#pragma once" not in lines:
        yield 1, "no #pragma once"


def check_first_include(name, text, names):
    """A .cc includes its own header first, so that compiling it shows the header stands alone."""
    stem = pathlib.PurePath(name).stem
    layer, _ = layer_of(name)
    if layer is None or not name.startswith("src/"):
        return
    own = [path for path in (str(pathlib.PurePath(name).with_suffix(".h")),
                             f"include/coracle/{layer}/{stem}.h") if path in names]
    first = INCLUDE.search(text)
    if own and (first is None or pathlib.PurePath(first.group(2)).stem != stem):
        yield 1, f"the first include is {own[0]}, so that the header is seen to be self-contained"


def check_lone_headers(names):
    """Headers without a .cc of their name are compiled alone."""
    sources = {(layer_of(name)[0], pathlib.PurePath(name).stem) for name in names
               if name.startswith("src/") and name.endswith(".cc")}
    lone = [name for name in names if name.endswith(".h") and layer_of(name)[0]
            and (layer_of(name)[0], pathlib.PurePath(name).stem) not in sources]
    for name in lone:
        folder = SOURCE / "src" / layer_of(name)[0]
        result = subprocess.run(
            ["g++", "-std=c++23", "-fsyntax-only", "-x", "c++", "-include", SOURCE / name,
             "-I", SOURCE / "include", "-I", folder, "-I", SOURCE / "tests", "/dev/null"],
            capture_output=True, text=True, check=False)
        # A header of a generated message needs the build folder: its users compile it.
        if result.returncode != 0 and ".pb.h: No such file" not in result.stderr:
            yield name, 1, f"does not compile alone: {result.stderr.strip().splitlines()[0]}"


def check_weakenings(texts):
    """What integration/security/weaken.py takes out of the sources stands in them once."""
    for name, text in texts.items():
        if not name.startswith("integration/security/weakenings/"):
            continue
        for weakening in tomllib.loads(text)["weakening"]:
            for edit in weakening["edits"]:
                if texts[edit["file"]].count(edit["line"]) != 1:
                    line = text.count("\n", 0, text.index(edit["line"])) + 1
                    yield name, line, f"does not stand once in {edit['file']}"


def check_format(names):
    if shutil.which("clang-format") is None:
        yield "tests/tidy/tidy.py", 1, "clang-format is missing: `make deps`"
        return
    code = [name for name in names if pathlib.PurePath(name).suffix in CODE]
    result = subprocess.run(["clang-format", "--dry-run", *code], cwd=SOURCE,
                            capture_output=True, text=True, check=False)
    seen = set()
    for match in re.finditer(r"^([^:\n]+):(\d+):\d+: .*not clang-formatted", result.stderr,
                             re.MULTILINE):
        if match.group(1) not in seen:
            seen.add(match.group(1))
            yield match.group(1), int(match.group(2)), "not as clang-format -i leaves it"


def problems():
    names = tracked_files()
    texts = {}
    for name in names:
        if pathlib.PurePath(name).suffix in CHECKED_TEXT:
            texts[name] = (SOURCE / name).read_text(encoding="utf-8", errors="replace")
    steps = {step for name, text in texts.items() if name.endswith(".cc") and "Step" in text
             for step in step_functions(text)}
    for name, text in texts.items():
        checks = [check_text(name, text)]
        if pathlib.PurePath(name).suffix in CODE:
            checks += [check_layering(name, text), check_calls(name, text),
                       check_root_paths(name, text), check_functions(name, text, steps)]
        if name.endswith(".h"):
            checks.append(check_header(name, text))
        if name.endswith(".cc"):
            checks.append(check_first_include(name, text, set(names)))
        for check in checks:
            for line, what in check:
                yield name, line, what
    yield from check_lone_headers(names)
    yield from check_weakenings(texts)
    yield from check_format(names)


def main():
    found = [f"{name}:{line}: {what}" for name, line, what in problems()]
    print("\n".join(found))
    print(f"tidy: {len(found)} problems")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
