"""Commands in documents and messages: each subcommand and each option that one names is a program's."""

import functools
import os
import pathlib
import re
import shlex
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("QPCSEAL_BUILD", ROOT / "build/dev")) / "bin"
PROGRAMS = ("qpcseal", "qpcseal-attest", "qpcseal-device")
FENCE = re.compile(r"^ *```\w*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
OPTION = re.compile(r"^--?[a-z][a-z_-]*")
END = ("|", ">", "<", "&&", "||", ";", "#")


@functools.cache
def usage(program, path):
    """The subcommands and options of a command, by its help."""
    done = subprocess.run([BIN / program, *path, "--help"], capture_output=True, text=True)
    commands = re.search(r"^Subcommands:\n(.*?)^$", done.stdout, re.MULTILINE | re.DOTALL)
    names = re.findall(r"^  ([a-z-]+)  ", commands[1], re.MULTILINE) if commands else []
    options = re.findall(r"^  (?:(-\w),)?(--[\w-]+)", done.stdout, re.MULTILINE)
    return set(names), {name for pair in options for name in pair if name}


def words_of(text):
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def fault_of(words):
    """What is wrong with a command, or None. Names in capitals and `...` end it."""
    program, rest = (words[0], words[1:]) if words[0] in PROGRAMS else ("qpcseal", words)
    path = ()
    while rest and usage(program, path)[0] and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        if rest[0] not in usage(program, path)[0]:
            return f"{program} {' '.join(path)} has no command {rest[0]}"
        path, rest = (*path, rest[0]), rest[1:]
    for word in rest:
        if word in END or word.startswith(("(", "2>")):
            break
        option = OPTION.match(word.strip("[]"))
        if option and option[0] not in usage(program, path)[1] | {"--help", "-h", "--version"}:
            return f"{program} {' '.join(path)} has no option {option[0]}"
    return None


def commands(text, spans=True):
    """Each command of a document as words: in blocks of code, and in spans."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").split("\n"):
            for part in re.split(r"&&|\|\|?|\$\(", line.strip().removeprefix("$ ")):
                words = words_of(part)
                if words and words[0] in PROGRAMS:
                    yield words
    top = usage("qpcseal", ())[0]
    for span in SPAN.findall(FENCE.sub("", text)) if spans else []:
        words = words_of(span.replace("\n", " "))
        if len(words) > 1 and (words[0] in PROGRAMS or words[0] in top) and "|" not in words:
            yield words


class Commands(unittest.TestCase):
    def test_each_command_and_option_that_a_document_names_is_there(self):
        seen, faults = 0, []
        for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]):
            # Spans of FORMAT.md are names of lines and members.
            for words in commands(path.read_text(encoding="utf-8"), spans=path.name != "FORMAT.md"):
                seen += 1
                fault = fault_of(words)
                if fault:
                    faults.append(f"{path.name}: {' '.join(words)}: {fault}")
        self.assertGreater(seen, 150)
        self.assertEqual(faults, [])

    def test_each_command_that_a_message_names_is_there(self):
        seen, faults = 0, []
        for folder in ("appliance", "attest", "courier", "device", "lib", "pkcs11", "policy"):
            for path in sorted((ROOT / folder).rglob("*.cpp")):
                text = re.sub(r'"\s*\n\s*"', "", path.read_text(encoding="utf-8"))
                for command in re.findall(r"['`](qpcseal[^'`\"]*)['`]", text):
                    seen += 1
                    fault = fault_of(words_of(command))
                    if fault:
                        faults.append(f"{path.relative_to(ROOT)}: {fault}")
        self.assertGreater(seen, 50)
        self.assertEqual(faults, [])


if __name__ == "__main__":
    unittest.main()
