"""The man pages say what --help says, and man finds nothing to complain about."""

import functools
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

from appliance import ATTEST, DEVICE, QPCSEAL, run

ENV = {"PATH": os.environ["PATH"]}


@functools.cache
def help_of(program, *path):
    return run(program, *path, "--help", env=ENV).stdout


def commands_of(text):
    """The names below `Subcommands:` in a help text."""
    after = text.split("Subcommands:\n")
    if len(after) < 2:
        return []
    names = []
    for line in after[1].splitlines():
        if not line.startswith("  "):
            break
        if found := re.match(r"  ([a-z][\w-]*)\s", line + " "):
            names.append(found[1])
    return names


def tree(program, path=()):
    """Every command with its help text."""
    text = help_of(program, *path)
    yield path, text
    for name in commands_of(text):
        yield from tree(program, (*path, name))


class Manual(unittest.TestCase):
    def test_every_command_and_flag_is_in_the_page(self):
        for program in (QPCSEAL, ATTEST, DEVICE):
            name = os.path.basename(program)
            page = run(program, "--man", env=ENV).stdout.replace("\\-", "-")
            found = list(tree(program))
            for path, text in found:
                if path and not commands_of(text):
                    self.assertIn(f".SS {name} {' '.join(path)}\n", page)
                for flag in set(re.findall(r"(?<!\w)--[a-z][\w-]*", text.split("Examples:")[0])):
                    self.assertIn(flag, page, f"{name} {' '.join(path)}")
            if program != ATTEST:
                self.assertGreater(len(found), 8, f"the help of {name} was not understood")

    def test_every_command_tells_its_exit_codes(self):
        for path, text in tree(QPCSEAL):
            self.assertIn("Exit codes: 0 done", text, " ".join(path))

    def test_every_command_has_an_example_that_it_takes(self):
        for path, text in tree(QPCSEAL):
            if commands_of(text):
                continue
            name = " ".join(path)
            self.assertIn("Examples:\n  qpcseal", text, name)
            for example in re.findall(r"(?m)^  (qpcseal .*)$", text.split("Examples:\n")[1]):
                words = shlex.split(example.split(" > ")[0].split(" < ")[0])[1:]
                self.assertEqual(tuple(words[:len(path)]), path)
                for word in words:
                    if word.startswith("--"):
                        self.assertIn(word, text.split("Examples:")[0], example)

    def test_every_command_names_the_home(self):
        for path, text in tree(QPCSEAL):
            self.assertIn("QPCSEAL_HOME", text, " ".join(path))

    def test_a_group_of_commands_has_a_page(self):
        page = run(QPCSEAL, "mek", "--man", env=ENV).stdout.replace("\\-", "-")
        self.assertTrue(page.startswith(".TH QPCSEAL-MEK 1 "))
        self.assertIn(".SS qpcseal mek list\n", page)
        self.assertNotIn(".SS qpcseal audit", page)
        self.assertIn("qpcseal(1)", page)
        page = run(QPCSEAL, "attest", "--man", env=ENV).stdout.replace("\\-", "-")
        self.assertTrue(page.startswith(".TH QPCSEAL-ATTEST-COMMANDS 1 "))  # qpcseal-attest(1) is a program's

    def test_no_option_without_a_description(self):
        for program in (QPCSEAL, ATTEST, DEVICE):
            for path, text in tree(program):
                lines = text.splitlines()
                for here, after in zip(lines, [*lines[1:], ""]):
                    bare = re.fullmatch(r"  -\S+( [A-Z]+)?( in \[.*\]|:\S+)?( \{.*\})?( \.\.\.)?( \(required\))?( \.\.\.)?", here)
                    if bare and not after.startswith("     "):
                        self.fail(f"{program} {' '.join(path)}: {here}")

    def lint(self, *command):
        with tempfile.TemporaryDirectory() as folder:
            for program in (QPCSEAL, ATTEST, DEVICE):
                page = os.path.join(folder, os.path.basename(program) + ".1")
                for group in ((), *((("mek",), ("audit",), ("ceremony",)) if program == QPCSEAL else ())):
                    with open(page, "w", encoding="utf-8") as file:
                        file.write(run(program, *group, "--man", env=ENV).stdout)
                    done = subprocess.run([*command, page], capture_output=True, text=True, check=False)
                    self.assertEqual((done.returncode, done.stderr), (0, ""), (page, group))

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_groff_finds_nothing(self):
        self.lint("groff", "-man", "-ww", "-z", "-Tutf8")

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_mandoc_finds_nothing(self):
        self.lint("mandoc", "-T", "lint", "-W", "warning")


if __name__ == "__main__":
    unittest.main()
