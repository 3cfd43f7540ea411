"""Completion: what the shells' scripts are told, and the scripts in the shells that are here."""

import os
import pathlib
import shutil
import tempfile
import unittest

from appliance import ATTEST, BUILD, DEVICE, QPCSEAL, run
from test_audit import NOWHERE
from test_rewrap import Case


class Words(Case):
    cards = 1

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.appliance.qpcseal("mek", "generate", "bert")
        cls.appliance.qpcseal("mek", "generate", "gone")
        cls.appliance.qpcseal("mek", "destroy", "gone")

    def complete(self, *words, program=QPCSEAL, env=None):
        return run(program, "__complete", *words, env=env or self.appliance.env).stdout.splitlines()

    def test_commands(self):
        self.assertEqual(self.complete("mek", "re"), ["restore", "resume"])
        self.assertEqual(self.complete("encrypt-m"), ["encrypt-model"])
        self.assertIn("audit", self.complete(""))
        self.assertEqual(self.complete("--clock", "2026-11-28", "mek", "li"), ["list"])
        self.assertEqual(self.complete("lo", program=DEVICE), ["load"])

    def test_options(self):
        self.assertEqual(self.complete("wrap-mek", "--pu"), ["--pub-keys"])
        self.assertEqual(self.complete("--pri", program=ATTEST), ["--print_json"])
        self.assertNotIn("--man", self.complete("mek", "list", "--"))

    def test_names_of_keys(self):
        self.assertEqual(self.complete("encrypt-model", "--mek", ""), ["bert", "bert#1", "resnet50", "resnet50#1"])
        self.assertEqual(self.complete("mek", "show", "be"), ["bert", "bert#1"])
        self.assertEqual(self.complete("mek", "show", "be", env=NOWHERE), [":files"])

    def test_other_values_and_files(self):
        self.assertIn("mek-generate", self.complete("request", "new", "mek-g"))
        self.assertEqual(self.complete("audit", "show", "--kind", "rel"), ["release"])
        self.assertEqual(self.complete("completion", ""), ["bash", "fish", "zsh"])
        self.assertEqual(self.complete("inspect", "mod"), [":files"])
        self.assertEqual(self.complete("encrypt-model", "--qpc", ""), [":files"])


class Scripts(unittest.TestCase):
    """Run where the shell is."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "model.qpc").touch()
        self.env = dict(NOWHERE, PATH=f"{BUILD / 'bin'}:{os.environ['PATH']}")

    def script(self, shell):
        return run(QPCSEAL, "completion", shell, env=NOWHERE).stdout

    def test_bash(self):
        text = self.script("bash") + """
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _qpcseal 2>/dev/null; printf '%s\\n' "${COMPREPLY[@]}"; }
ask qpcseal mek re; ask qpcseal inspect mod; complete -p qpcseal-attest
"""
        done = run("bash", "--norc", "-c", text, env=self.env, cwd=self.folder)
        self.assertEqual(done.stdout.splitlines(), ["restore", "resume", "model.qpc", "complete -F _qpcseal qpcseal-attest"])

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        run("zsh", "-n", env=self.env, stdin=self.script("zsh"))

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self):
        run("fish", "-n", env=self.env, stdin=self.script("fish"))

    def test_an_unknown_shell(self):
        said = run(QPCSEAL, "completion", "tcsh", env=NOWHERE, expect=2).stderr
        self.assertIn("hint: bash, zsh or fish", said)


if __name__ == "__main__":
    unittest.main()
