"""Puts a switch before each refusal of a tree, so that one build has all mutants: the refusal with switch n on does not refuse.

A refusal is an `if` whose body begins with a throw, or with a function that refuses or adds a finding; or a condition that
require() is given. It is found by the text: this code base writes them in one way.
"""

import re

HEADER = "mutant.h"  # in lib/base of the copy
INCLUDE = f'#include "base/{HEADER}"\n'
IF = re.compile(r"(?<!\w)if \(")
REQUIRE = re.compile(r"(?<![\w.>:])require\(")
REFUSES = re.compile(
    r"\s*(\{\s*)?(//[^\n]*\n\s*)?(throw\b|(return )?(refuse|deny|fail|reject|contradict|damaged|malformed|stop)\w*\()")
FINDING = re.compile(r'\s*(\{\s*)?(//[^\n]*\n\s*)?[\w.>()-]*(push_back|emplace_back|add|finding|report)\w*\([^;]*"[A-Z]{3,}-[A-Z-]+')
DECLARES = re.compile(r"\s*(const )?(auto|[\w:]+[\w<>:, ]*[&*]?) ?[&*]?\w+ ?(=|\{)")


def skip(text, at):
    """The end of the literal or comment that begins at `at`, or `at` itself."""
    c = text[at]
    if c == '"':
        at += 1
        while text[at] != '"':
            at += 2 if text[at] == "\\" else 1
    elif c == "'" and not (text[at - 1].isalnum() and text[at + 1].isalnum()):
        at += 1
        while text[at] != "'":
            at += 2 if text[at] == "\\" else 1
    elif text.startswith("//", at):
        at = text.index("\n", at)
    return at


def end_of(text, at):
    """Where the bracket that opens at `at` closes."""
    depth = 0
    while True:
        at = skip(text, at)
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}":
            depth -= 1
            if depth == 0:
                return at
        at += 1


def first_top(text, wanted, last=False):
    """Where `wanted` stands outside of all brackets: the first, or the last one; -1."""
    depth, at, found = 0, 0, -1
    while at < len(text):
        at = skip(text, at)
        if at >= len(text):
            break
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}":
            depth -= 1
        elif text[at] == wanted and depth == 0:
            found = at
            if not last:
                return found
        at += 1
    return found


def in_comment(text, at):
    return "//" in text[text.rfind("\n", 0, at) + 1:at]


def ifs(text):
    for match in IF.finditer(text):
        if in_comment(text, match.start()):
            continue
        opens = match.end() - 1
        closes = end_of(text, opens)
        body = text[closes + 1:closes + 400]
        if not REFUSES.match(body) and not FINDING.match(body):
            continue
        if "ErrorKind::Internal" in body.split(";")[0]:  # what cannot happen
            continue
        start = opens + 2 + first_top(text[opens + 1:closes], ";", last=True)
        if DECLARES.match(text[start:closes]) and "==" not in text[start:closes]:
            continue
        yield start, closes, "!::qpcseal::mutant({}) && ("


def requires(text):
    for match in REQUIRE.finditer(text):
        if in_comment(text, match.start()):
            continue
        inside = text[match.end():end_of(text, match.end() - 1)]
        comma = first_top(inside, ",")
        if comma >= 0 and not re.match(r"\s*(bool|const)\b", inside):
            yield match.end(), match.end() + comma, "::qpcseal::mutant({}) || ("


def instrument(root, folders):
    """Changes the sources below root/FOLDER; returns a list of {"n", "file", "line", "what"}."""
    table = []
    for path in sorted(path for folder in folders for path in (root / folder).rglob("*.cpp")):
        text = path.read_text(encoding="utf-8")
        if "R\"" in text:  # quotes are no ends of literals there
            text_of = re.sub(r'R"(\w*)\(.*?\)\1"', lambda m: '"' + "x" * (len(m.group()) - 2) + '"', text, flags=re.DOTALL)
        else:
            text_of = text
        inserts = []
        for start, end, switch in sorted([*ifs(text_of), *requires(text_of)]):
            number = len(table) + 1
            table.append({"n": number, "file": path.relative_to(root).as_posix(), "line": text.count("\n", 0, start) + 1,
                          "what": " ".join(text[start:end].split())[:120]})
            inserts += [(start, 1, switch.format(number)), (end, 0, ")")]
        for at, _, what in sorted(inserts, reverse=True):
            text = text[:at] + what + text[at:]
        if inserts:
            first = text.index("#include")
            path.write_text(text[:first] + INCLUDE + text[first:], encoding="utf-8")
    return table
