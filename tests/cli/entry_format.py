"""What FORMAT.md section 6.1 says of each kind of entry, and whether a log keeps to it."""

import json
import pathlib
import re

FORMAT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "FORMAT.md"
NAME = re.compile(r"(\? )?`([a-z0-9_-]+)`")
# Of a result that is not "ok" or "denied", and of what a later run found out.
OTHERS = {"failed": {"error", "reconciled"}, "unknown": {"error", "reconciled"}, "ok": {"reconciled", "error"}}


def without_inner(text):
    """Without what stands in brackets: the members of members, and remarks."""
    while True:
        shorter = re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]|\([^()]*\)", "", text)
        if shorter == text:
            return text
        text = shorter


def rows():
    """(kind, phase, outcome or None) -> (members, optional members); of ceremonies, None."""
    section = FORMAT.read_text(encoding="utf-8").split("### 6.1", 1)[1].split("### 6.2", 1)[0]
    table, kinds, before = {}, [], ()
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not line.startswith("|") or len(cells) < 2 or cells[0] == "kind":
            continue
        kinds = [name for _, name in NAME.findall(cells[0])] or kinds
        data = without_inner(cells[2]) if len(cells) > 2 else ""
        found = NAME.findall(data)
        members = {name for optional, name in found if not optional}
        optional = {name for optional, name in found if optional}
        if like := re.match(r"as of `([a-z-]+)`$", data):
            members, optional = table[like[1], "result", "ok"]
        elif "the same" in data:
            members, optional = members | before[0], optional | before[1]
        for phase, outcome in re.findall(r"(event|intent|wrapped|result)(?: `(\w+)`)?", cells[1]):
            for kind in kinds:
                table[kind, phase, outcome or None] = None if "section 9" in cells[2] else (members, optional)
        before = members, optional
    return table


ROWS = rows()


def wrong_with(entry):
    """What is wrong with an entry's data; empty, nothing."""
    kind, phase, outcome, data = entry["kind"], entry["phase"], entry.get("outcome"), set(entry["data"])
    if (kind, phase, None) in ROWS and ROWS[kind, phase, None] is None:
        return ""
    if (kind, phase, outcome) not in ROWS:
        known = phase == "result" and (kind, "intent", None) in ROWS and outcome in ("failed", "unknown")
        more = data - OTHERS.get(outcome, set())
        return "" if known and not more else f"{kind} {phase} {outcome}: not in FORMAT.md, or has also {sorted(more)}"
    members, optional = ROWS[kind, phase, outcome]
    if phase in ("event", "intent"):
        optional = optional | {"approval"}
    if "reconciled" in data:
        optional = optional | members
        members = set()
    if (kind, outcome) == ("release", "ok") and not isinstance(entry["data"].get("act"), dict):
        return f"{kind} {phase} {outcome}: its act is no object"
    missing, more = members - data, data - members - optional - OTHERS.get(outcome, set())
    return f"{kind} {phase} {outcome}: lacks {sorted(missing)}, has also {sorted(more)}" if missing or more else ""


def check(log):
    """Each entry of a log that verifies has what the table says."""
    for line in (log / "entries.jsonl").read_text(encoding="utf-8").splitlines():
        wrong = wrong_with(json.loads(line))
        if wrong:
            raise AssertionError(f"{log}: {wrong}\n{line}")
