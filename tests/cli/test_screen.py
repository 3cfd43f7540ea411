"""Nothing from outside reaches a terminal as it is: no control characters, no characters that reorder or hide others."""

import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import tempfile
import termios
import unittest

from appliance import Appliance, ATTEST, DEVICE, QPCSEAL

NASTY = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202eevil\u2066\u200f\u2028"
LETTERS = "Prüfstelle-ключ-試験"
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
UTF8 = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


class Screen(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-test-"))
        self.addCleanup(shutil.rmtree, self.root)

    def say(self, *command, env=UTF8):
        done = subprocess.run([str(part) for part in command], env=env, capture_output=True, timeout=60, check=False)
        said = (done.stdout + done.stderr).decode("utf-8")  # strict: what is no UTF-8 is shown as \\xNN
        self.assertIsNone(UNSEEN.search(said), said)
        self.assertNotEqual(done.returncode, 0, said)
        return said

    def test_names_of_files_and_words_of_the_command_line(self):
        request = self.root / "request"
        request.write_bytes(b"x")
        for program in (QPCSEAL, ATTEST, DEVICE):
            self.say(program, NASTY)
            self.say(program, "--" + NASTY)
        for name in (NASTY, "bad-\udcff-\udcc2"):
            self.say(QPCSEAL, "inspect", self.root / name)
            self.say(QPCSEAL, "inspect", "--json", self.root / name)
            self.say(ATTEST, "-i", self.root / name, "-o", self.root / "x")
            self.say(DEVICE, "attest", "--dir", self.root / name, "-d", 0, "-i", request, "-o", self.root / "x")

    def test_letters_of_every_language_where_the_terminal_reads_utf8(self):
        for program, options in ((QPCSEAL, ["inspect"]), (ATTEST, ["-o", self.root / "x", "-i"])):
            self.assertIn(LETTERS, self.say(program, *options, self.root / LETTERS))
            said = self.say(program, *options, self.root / LETTERS, env=dict(UTF8, LC_ALL="C"))
            self.assertTrue(said.isascii(), said)
            self.assertIn("Pr\\xc3\\xbcfstelle", said)

    def test_batch_files_of_the_courier(self):
        (self.root / "a.request").write_bytes(b"x")
        for line in (f"{NASTY} 1 0 a.request r".replace("\u2028", ""), "h 1 0 ../\x1b[2J r", "h 1 0 \u009b2J r",
                     "h \x1b[1m 0 a.request r", "h 1 \x1b[1m a.request r"):
            batch = self.root / "batch"
            batch.write_text(line + "\n", encoding="utf-8")
            self.say(ATTEST, "--timeout", 1, "--batch", batch)

    def test_help_does_not_echo_the_name_of_the_program(self):
        link = self.root / ("\x1b[2J" + "qpcseal")
        for program in (QPCSEAL, ATTEST, DEVICE):
            link.symlink_to(program)
            done = subprocess.run([str(link), "--help"], env=UTF8, capture_output=True, text=True, check=True)
            self.assertIsNone(UNSEEN.search(done.stdout), done.stdout)
            link.unlink()

    def test_what_a_policy_says(self):
        appliance = Appliance(cards=1, init=False)
        self.addCleanup(appliance.close)
        text = appliance.policy.read_text()
        for character in ("\u0085", "\u009b", "\u202e", "\u2066", "\u200f", "\u061c", "\u2028"):
            appliance.policy.write_text(re.sub(r'\nname = "(\w+)"', f'\nname = "\\1{character}"', text, count=1))
            self.assertIn("not seen", appliance.init(expect=4).stderr)

    def test_json_is_ascii(self):
        appliance = Appliance(cards=1)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        out = self.root / ("sealed-\u202e-\x9b-ü")
        done = subprocess.run([QPCSEAL, "attest", "request", "--mek", "m", "-o", str(out), "--json"],
                              env=dict(appliance.env, LC_ALL="C.UTF-8"), capture_output=True, check=True)
        self.assertTrue(done.stdout.isascii(), done.stdout)
        self.assertIn(str(out), json.dumps(json.loads(done.stdout), ensure_ascii=False))


class Width(unittest.TestCase):
    """Text for people is broken between words where the terminal ends; files, pipes and JSON are not."""

    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=1)

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def shown(self, columns, *command):
        pid, terminal = pty.fork()
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execve(QPCSEAL, [QPCSEAL, *command], self.appliance.env)
        screen = b""
        try:
            while chunk := os.read(terminal, 4096):
                screen += chunk
        except OSError:
            pass  # the terminal is gone with the program
        os.waitpid(pid, 0)
        return screen.decode().replace("\r\n", "\n")

    def test_lines_end_between_words(self):
        for command in (["status"], ["mek", "--help"], ["audit", "checkpoint"], ["mek", "show", "no such key"]):
            for columns in (40, 80):
                with self.subTest(command=command, columns=columns):
                    for line in self.shown(columns, *command).splitlines():
                        self.assertTrue(len(line) <= columns or " " not in line.strip(), line)

    def test_no_word_is_lost(self):
        piped = subprocess.run([QPCSEAL, "mek", "--help"], env=self.appliance.env, capture_output=True, text=True, check=True)
        self.assertGreater(max(map(len, piped.stdout.splitlines())), 60)
        self.assertEqual(self.shown(40, "mek", "--help").split(), piped.stdout.split())

    def test_words_of_a_checkpoint_stand_in_columns(self):
        for columns, rows in ((40, 16), (80, 8), (130, 4)):
            lines = [line for line in self.shown(columns, "audit", "checkpoint").splitlines() if re.match(r"  \w+ ", line)]
            self.assertEqual(len(lines), rows)
            starts = {tuple(found.start() for found in re.finditer(r"\S+", line)) for line in lines}
            self.assertEqual(len(starts), 1, lines)

    def test_rows_of_tables_are_not_broken_in_the_middle(self):
        name = "a-key-whose-name-is-long-as-names-are"
        self.appliance.qpcseal("mek", "generate", name)
        piped = self.appliance.qpcseal("mek", "list").stdout.splitlines()
        self.assertEqual(len(piped), 2, piped)
        for columns in (60, 80):
            shown = self.shown(columns, "mek", "list").splitlines()
            head, values = piped[0].split(), re.split("  +", piped[1])
            rows = dict(line.split("  ", 1) for line in shown if line.split("  ")[0] in head)
            self.assertEqual({key: value.strip() for key, value in rows.items()}, dict(zip(head, values, strict=True)))
            self.assertLessEqual(max(map(len, shown)), columns)

    def test_json_keeps_its_lines(self):
        text = self.shown(40, "status", "--json")
        self.assertTrue(json.loads(text[text.index("{"):])["healthy"])


if __name__ == "__main__":
    unittest.main()
