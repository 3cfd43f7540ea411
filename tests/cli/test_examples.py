"""The examples in docs/examples are accepted by the programs they are for."""

import pathlib
import shutil
import subprocess
import unittest

from appliance import QPCSEAL, run

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples"


class Examples(unittest.TestCase):
    def test_policy(self):
        said = run(QPCSEAL, "policy", "check", EXAMPLES / "policy.toml").stdout
        self.assertNotIn("warning", said.lower())

    @unittest.skipUnless(shutil.which("visudo"), "sudo is not installed")
    def test_sudoers(self):
        done = subprocess.run(["visudo", "-cf", str(EXAMPLES / "sudoers")], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_quickstart_refuses_what_it_does_not_know(self):
        done = subprocess.run([str(EXAMPLES / "quickstart"), "--nonsense"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (2, "usage: quickstart [--keep] [FILE.qpc]\n"))


if __name__ == "__main__":
    unittest.main()
