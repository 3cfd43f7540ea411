"""No plaintext MEK in qpcseal's memory: its token is another process, and its memory is searched at each call.

The forwarding module stops qpcseal (SIGSTOP) at each call that makes, uses or wraps a key, after the token has acted
and before qpcseal goes on, and at the end, when all work is done and only freed memory is left. Each time its whole
memory is searched for the values of all keys that the token gave away to the test, which the token's side recorded.
That the search finds what is there is shown each time by a planted value, and once by the MEK itself, as the
plaintext of a model.
"""

import os
import pathlib
import secrets
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import tokens  # noqa: E402
from appliance import Appliance, QPCSEAL  # noqa: E402

MEMSCAN = tokens.FORWARD / "memscan"
STOPS = ("C_GenerateKey * stop-after", "C_EncryptInit 1 stop-after", "C_EncryptUpdate 2 stop-after",
         "C_Encrypt * stop-after", "C_EncryptFinal * stop-after", "C_DeriveKey * stop-after",
         "C_WrapKey * stop-after", "C_Finalize 1 stop")


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@unittest.skipIf(os.geteuid() != 0, "reading another process's memory needs root here")
class Memory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=1, token=tokens.Forwarded,
                                  policy_edit=lambda text: text.replace('modes = ["token"]',
                                                                        'modes = ["token", "envelope"]'))
        cls.token = cls.appliance.token
        cls.model = cls.appliance.sample(size=3 << 20)
        cls.plant = secrets.token_hex(16)  # as text: it goes in through the environment
        cls.command("mek", "generate", "resnet50", "--lock-timeout", "60")

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    @classmethod
    def known(cls):
        """The values of all keys that the token's side could learn, as memscan reads them."""
        return [line for line in cls.token.keys.read_text().splitlines() if not line.startswith("#")]

    @classmethod
    def scan(cls, pid, lines):
        strings = cls.appliance.root / "strings"
        strings.write_text("\n".join(lines) + "\n")
        done = subprocess.run([MEMSCAN, str(pid), strings], capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout.splitlines()

    @classmethod
    def command(cls, *arguments):
        """Runs qpcseal with all stops; the findings at each of them."""
        cls.token.faults(*STOPS)
        process = subprocess.Popen([QPCSEAL, *map(str, arguments)], env=dict(cls.appliance.env, PLANT=cls.plant),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        scans = []
        while process.poll() is None:
            if state_of(process.pid) != "T":
                time.sleep(0.002)
                continue
            scans.append(cls.scan(process.pid, [*cls.known(), cls.plant.encode().hex() + " planted"]))
            process.send_signal(18)  # SIGCONT
        errors = process.stderr.read().decode()
        process.stderr.close()
        cls.token.faults()
        assert process.returncode == 0, errors
        return scans

    def check(self, what, scans):
        found = [line for scan in scans for line in scan[:-1]]
        keys = [line for line in found if not line.startswith("planted")]
        self.assertEqual(keys, [], "a key of the token's in qpcseal's memory")
        self.assertGreaterEqual(len(scans), 2)
        for scan in scans:
            self.assertTrue(scan[0].startswith("planted"), "the planted value is not found")
        read = sum(int(scan[-1].split()[3]) for scan in scans)
        print(f"\n{what}: {len(scans)} scans of {read >> 20} MiB together for {len(self.known())} keys, none found; "
              f"planted value found {len(found)} times", flush=True)

    def test_generate(self):
        before = len(self.known())
        scans = self.command("mek", "generate", "second", "--lock-timeout", "60")
        self.assertGreater(len(self.known()), before)
        self.assertIn("second#1", self.known()[-1])
        self.check("mek generate", scans)

    def seal(self, name, *more):
        out = self.appliance.root / name
        return out, self.command("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", out,
                                 *more)

    def test_seal(self):
        for mode in ("token", "envelope"):
            _, scans = self.seal(mode, "--mode", mode)
            self.check(f"encrypt-model, mode {mode}", scans)

    def test_wrap(self):
        report = self.appliance.attest("resnet50")
        out, scans = self.seal("single", "--pub-keys", report)
        self.check("encrypt-model --pub-keys", scans)
        self.appliance.load(out / "programqpc.bin")

    def test_bind(self):
        out, _ = self.seal("sealed")
        report = self.appliance.attest("resnet50", name="bind")
        scans = self.command("encrypt-with-session-keys", "--input-dir", out, "--mek", "resnet50", "--pub-keys", report)
        self.check("encrypt-with-session-keys", scans)
        self.appliance.load(out / "programqpc.bin")

    def test_the_search_finds_the_mek_where_it_is(self):
        """A model that consists of the MEK: its plaintext has to be in memory while it is sealed."""
        line = next(line for line in self.known() if line.endswith(" resnet50#1"))
        mek = bytes.fromhex(line.split()[0])
        model = self.appliance.root / "mek.qpc"
        plain = bytearray(self.model.read_bytes())
        start = len(plain) // 3
        plain[start:start + (1 << 20)] = mek * (1 << 16)
        model.write_bytes(plain)
        scans = self.command("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir",
                             self.appliance.root / "control")
        found = sum(line.startswith("resnet50 at 0x") for scan in scans for line in scan)  # a label ends at its "#"
        self.assertGreater(found, 1000)


if __name__ == "__main__":
    unittest.main()
