"""A key that is exposed is in qpcseal's memory from its unwrapping until it is in the sandbox's pipe, and then gone.

As test_memory.py, with the vendor's stand-in: the search finds the key while it is there, at the one call to the token in
between, so that finding nothing afterwards means something.
"""

import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import tokens  # noqa: E402
from appliance import QPCSEAL  # noqa: E402
from vendor_support import VendorAppliance  # noqa: E402

MEMSCAN = tokens.FORWARD / "memscan"
STOPS = ("C_WrapKey * stop-after", "C_DestroyObject * stop-after", "C_Sign * stop-after", "C_Finalize 1 stop")


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@unittest.skipIf(os.geteuid() != 0, "reading another process's memory needs root here")
class VendorMemory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = VendorAppliance(token=tokens.Forwarded)
        cls.site.qpcseal("mek", "generate", "stock-a")
        cls.model = cls.site.root / "model.qpc"
        cls.model.write_bytes(b"a compiled model" * 1000)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def scan(self, pid, line):
        strings = self.site.root / "strings"
        strings.write_text(line + "\n")
        done = subprocess.run([MEMSCAN, str(pid), strings], capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.returncode == 1

    def looks(self, report, *command):
        """Whether the key was in memory, at each stop of the command."""
        mek = next(line for line in self.site.token.keys.read_text().splitlines() if line.endswith(" stock-a#1"))
        agreed = self.site.exposure_options(command[0], [report], self.model)
        self.site.token.faults(*STOPS)
        process = subprocess.Popen([QPCSEAL, *command, "--format", "vendor", "--mek", "stock-a", "--lock-timeout", "60",
                                    "--pub-keys", report, *agreed],
                                   env=self.site.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        found = []
        while process.poll() is None:
            if state_of(process.pid) != "T":
                time.sleep(0.002)
                continue
            found.append(self.scan(process.pid, mek))
            process.send_signal(18)  # SIGCONT
        errors = process.stderr.read().decode()
        process.stderr.close()
        self.site.token.faults()
        self.assertEqual(process.returncode, 0, errors)
        return found

    def check_looks(self, found):
        self.assertEqual(sum(found), 1, "the key is in memory at another call than the end of its one-time key")
        self.assertGreaterEqual(len(found) - found.index(True), 3, "no look at memory after the key was there")

    def test_it_is_there_for_a_moment_and_then_gone(self):
        out = self.site.root / "sealed"
        self.check_looks(self.looks(self.site.report("stock-a"), "encrypt-model", "--qpc", self.model, "--output-dir", out))
        self.assertEqual(self.site.opened(out), self.model.read_bytes())
        self.check_looks(self.looks(self.site.report("stock-a"), "encrypt-with-session-keys", "--input-dir", out))
        self.assertEqual(self.site.opened(out), self.model.read_bytes())

    def test_likewise_where_it_is_wrapped_alone(self):
        out = self.site.root / "wrapped"
        self.check_looks(self.looks(self.site.report("stock-a"), "wrap-mek", "--output-dir", out))
        self.assertTrue((out / "MEK.encrypt").exists())


if __name__ == "__main__":
    unittest.main()
