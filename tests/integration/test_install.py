"""`cmake --install` to a folder gives three programs that run from there, and nothing else."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
from appliance import BUILD  # noqa: E402

PROGRAMS = {"qpcseal", "qpcseal-attest", "qpcseal-device"}


class Install(unittest.TestCase):
    def test_three_programs(self):
        with tempfile.TemporaryDirectory(prefix="qpcseal-test-") as folder:
            subprocess.run(["cmake", "--install", BUILD, "--prefix", folder], check=True, capture_output=True)
            programs = pathlib.Path(folder) / "bin"
            self.assertLessEqual(PROGRAMS, {path.name for path in programs.iterdir()})
            env = {"PATH": str(programs) + ":" + os.environ["PATH"], "HOME": folder}

            def run(*command):
                return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)

            for program in sorted(PROGRAMS):
                said = run(program, "--version")
                self.assertEqual((said.returncode, said.stderr), (0, ""))
                self.assertRegex(said.stdout, rf"^{program} \d+\.\d+\.\d+ \(commit ([0-9a-f]{{12}}(-dirty)?|unknown)\)\n$")
                self.assertEqual(run(program, "--help").returncode, 0)
                self.assertEqual(run(program, "--nonsense").returncode, 2)
            self.assertEqual(run("qpcseal-device", "sample", "--out", "model.qpc").returncode, 0)
            said = run("qpcseal", "inspect", "model.qpc")
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertIn("network.elf", said.stdout)


if __name__ == "__main__":
    unittest.main()
