"""Just enough C++ reading for tidy.py: where functions begin and end, without a compiler."""

import re
from typing import NamedTuple


class Function(NamedTuple):
    name: str
    line: int
    length: int
    parameters: int
    overrides: bool  # its parameters are the base class's decision


_RAW_STRING = re.compile(r'R"([^\s()\\]{0,16})\(.*?\)\1"', re.DOTALL)
_BLANKED = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", re.DOTALL)
_NOT_A_FUNCTION = re.compile(
    r"^(?:(?:inline|static|extern|constexpr|export|typedef)\s+)*"
    r"(?:namespace|class|struct|enum|union)\b(?![^{]*\)\s*(?:const|noexcept|->|:|$))")
_NAME = re.compile(r"([~\w:]+|operator\s*[^\s(]+)\s*\($")


def blank(text):
    """The text with comments, strings, characters and preprocessor lines replaced by spaces."""

    def spaces(match):
        return re.sub(r"[^\n]", " ", match.group(0))

    text = _BLANKED.sub(spaces, _RAW_STRING.sub(spaces, text))
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", spaces, text, flags=re.MULTILINE)


def _parameters(signature, open_at):
    """Number of top-level parameters of the list that opens at `open_at`."""
    depth, commas, seen = 0, 0, False
    for character in signature[open_at + 1:]:
        if character in "([{<":
            depth += 1
        elif character in ")]}>":
            if character == ")" and depth == 0:
                break
            depth -= 1
        elif character == "," and depth == 0:
            commas += 1
        seen = seen or not character.isspace()
    return commas + 1 if seen else 0


def _parameter_list(signature):
    """Offset of the parameter list's parenthesis, or None when this is not a function's head."""
    for match in re.finditer(r"\(", signature):
        name = _NAME.search(signature[:match.end()])
        if name and name.group(1) not in ("decltype", "noexcept", "alignas", "requires"):
            return match.start()
    return None


def functions(text):
    """Every function definition outside of other functions (lambdas count to their function)."""
    text = blank(text)
    found, stack, begin, resume = [], [], 0, None
    for at, character in enumerate(text):
        if character == ";" or (character == ":" and re.search(r"\b(public|private|protected)\s*$",
                                                               text[begin:at])):
            if "function" not in stack:
                begin, resume = at + 1, None
        elif character == "{":
            head = text[begin:at].strip()
            if "function" in stack:
                stack.append("inside")
            elif resume is not None and (not head or head[0] in ",:"):
                stack.append("function")  # the body, or a member, after a member's {initialiser}
                begin = resume
            elif (_NOT_A_FUNCTION.match(head) or not head or head.endswith("=")
                  or _parameter_list(head) is None):
                stack.append("scope")
                begin, resume = at + 1, None
            else:
                stack.append("function")
            if stack[-1] == "function" and stack.count("function") == 1:
                resume = begin
        elif character == "}" and stack:
            kind = stack.pop()
            if kind == "function":
                head = text[resume:at]
                start = resume + len(head) - len(head.lstrip())
                open_at = _parameter_list(text[start:at])
                first = text.count("\n", 0, start) + 1
                last = text.count("\n", 0, at) + 1
                name = _NAME.search(text[start:start + open_at + 1]).group(1)
                if found and found[-1].line == first:
                    found.pop()  # what looked like a body was a member's initialiser
                overrides = re.search(r"\)[^{;]*\boverride\b", text[start:at]) is not None
                found.append(Function(name, first, last - first + 1,
                                      _parameters(text[start:at], open_at), overrides))
            if "function" not in stack:
                begin = at + 1
    return found
