"""The examples in docs/examples are accepted by the programs they are for."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from appliance import BUILD, QPCSEAL, run

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

    def test_quickstart_keeps_what_its_last_words_need(self):
        """With --keep: the server is stopped, and every line that is printed works, in a folder with a blank too."""
        with tempfile.TemporaryDirectory(prefix="quick start ") as folder:
            env = {"PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}", "HOME": folder, "TMPDIR": folder}
            said = run(EXAMPLES / "quickstart", "--keep", env=env).stdout
            words = said[said.index("Kept in "):]
            self.assertIn("The cards' server is stopped.", words)
            work, = pathlib.Path(folder).glob("qpcseal-quickstart.*")
            self.assertEqual(self.processes_in(work), [])
            script = "set -m\n" + "".join(line[2:] + "\n" for line in words.splitlines() if line.startswith("  "))
            done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=120, check=False)
            self.assertIn("MEK.nonce is none that this card answered since its boot", done.stderr)
            self.assertIn('card 0 loaded "sample"', done.stdout.splitlines()[-1], done.stderr)
            for _ in range(50):  # until the server has ended
                if self.processes_in(work):
                    time.sleep(0.1)
            self.assertEqual(self.processes_in(work), [])

    def test_quickstart_in_a_bad_place(self):
        with tempfile.TemporaryDirectory() as folder:
            env = {"PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}", "HOME": folder, "TMPDIR": folder + "/none"}
            said = run(EXAMPLES / "quickstart", "--keep", env=env, expect=3).stderr
            self.assertIn(f"no folder can be made in {folder}/none", said)
            bad = pathlib.Path(folder) / "bad"
            bad.mkdir()
            bad.chmod(0o777)  # a home below it would be anybody's
            done = subprocess.run([str(EXAMPLES / "quickstart"), "--keep"], env=dict(env, TMPDIR=str(bad)), capture_output=True,
                                  text=True, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"it did not come to its end; what there is of it is kept in {bad}/qpcseal-quickstart.", done.stderr)
            self.assertEqual(self.processes_in(bad), [])

    @staticmethod
    def processes_in(folder):
        out = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                where = os.readlink(process / "cwd")
            except OSError:
                continue
            if where.startswith(str(folder)):
                out.append((process / "cmdline").read_bytes())
        return out


if __name__ == "__main__":
    unittest.main()
