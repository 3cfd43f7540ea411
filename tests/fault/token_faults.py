"""A token that fails, goes away or lies at the calls of a command, through the forwarding module.

For each PKCS #11 function that a command uses, at its first and its last call: the call fails (the token did not act,
or did and says that it failed), the token vanishes (before, or after it acted), the buffer is said to be too short,
the length in the answer is a lie, the handle is none. Whatever happens: the exit code is 6 (or 0, where the call is
a trial or a cleanup that may fail), one line says which call failed and how, no output is there, no temporary file
is left, the log is whole, and the next run with a sound token works and knows every key in it.
"""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import points  # noqa: E402
import tokens  # noqa: E402
from appliance import Appliance, QPCSEAL  # noqa: E402

LENGTHS = {"C_GetSlotList", "C_GetAttributeValue", "C_FindObjects", "C_Encrypt", "C_EncryptUpdate", "C_EncryptFinal",
           "C_Sign", "C_WrapKey"}
HANDLES = {"C_OpenSession", "C_GenerateKey", "C_GenerateKeyPair", "C_CreateObject", "C_DeriveKey"}


def rules_for(name, count):
    """(rule, whether the token is gone afterwards)."""
    out = [f"{name} 1 return 0x30", f"{name} {count} return 0x6", f"{name} 1 return-after 0x30",
           f"{name} {count} vanish", f"{name} 1 vanish-after"]
    if name in LENGTHS:
        out += [f"{name} 1 short", f"{name} {count} short", f"{name} 1 lie", f"{name} {count} lie"]
    if name in HANDLES:
        out += [f"{name} 1 handle", f"{name} {count} handle"]
    return list(dict.fromkeys(out))


class TokenFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=1, token=tokens.Forwarded)
        cls.token = cls.appliance.token
        cls.appliance.qpcseal("mek", "generate", "first")
        cls.model = cls.appliance.sample(size=70000)
        cls.sealed = cls.appliance.root / "sealed"
        cls.appliance.qpcseal("encrypt-model", "--qpc", cls.model, "--mek", "first", "--output-dir", cls.sealed)
        cls.report = cls.appliance.attest("first")
        cls.vkey = cls.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        cls.home = cls.appliance.root / "home"
        cls.outputs = cls.appliance.root / "outputs"
        cls.pristine = cls.appliance.root / "pristine"
        cls.stop_server()
        for name in ("home", "token/tokens", "sealed"):
            shutil.copytree(cls.appliance.root / name, cls.pristine / name)

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    @classmethod
    def stop_server(cls):
        cls.token.close()

    def reset(self, *rules):
        self.token.close()
        for name in ("home", "token/tokens", "sealed"):
            shutil.rmtree(self.appliance.root / name, ignore_errors=True)
            if (self.pristine / name).exists():
                shutil.copytree(self.pristine / name, self.appliance.root / name)
        shutil.rmtree(self.outputs, ignore_errors=True)
        self.outputs.mkdir()
        self.token.faults(*rules)
        self.token.trace()
        self.token.start()

    def run_it(self, command):
        return subprocess.run([QPCSEAL, *map(str, command)], env=self.appliance.env, capture_output=True, text=True,
                              timeout=120, check=False)

    def files(self):
        """Everything that a command could have left: outputs, and the container that is bound in place."""
        return {str(path.relative_to(self.appliance.root)): path.read_bytes()
                for folder in (self.outputs, self.sealed) for path in sorted(folder.rglob("*")) if path.is_file()}

    def check_message(self, done, where):
        lines = done.stderr.splitlines()
        errors = [line for line in lines if line.startswith("qpcseal: error: ")]
        self.assertEqual(len(errors), 1, f"{where}: {done.stderr}")
        self.assertTrue(lines[0].startswith("qpcseal: error: "), f"{where}: {done.stderr}")
        self.assertTrue(all(line.startswith("hint: ") for line in lines[1:]), f"{where}: {done.stderr}")
        self.assertRegex(errors[0], r"C_\w+|token ", f"{where}: which call?")

    def check_log(self, where):
        said = self.run_it(("audit", "verify", "--key", self.vkey))
        self.assertEqual(said.returncode, 0, f"{where}: {said.stderr}")

    def check_recovery(self, where):
        self.token.faults()
        self.token.close()
        self.token.start()
        listed = self.run_it(("mek", "list", "--json"))
        self.assertEqual(listed.returncode, 0, f"{where}: the next run does not recover: {listed.stderr}")
        self.assertNotIn("not in the log", listed.stdout, where)
        self.assertNotIn('"missing"', listed.stdout, where)
        self.check_log(where + ", after recovery")

    def check_left(self, before, bound, where):
        """Nothing new. A container that is bound in place may be bound: then the log says that it was begun, and the
        card loads it."""
        left = self.files()
        self.assertEqual(set(left), set(before), f"{where}: an output, or a temporary file")
        if bound is None or left == before:
            self.assertTrue(left == before, f"{where}: a file has changed")
            return False
        entries = [json.loads(line) for line in (self.home / "log" / "entries.jsonl").read_text().splitlines()]
        self.assertTrue(any(one["kind"] == "release" and one["phase"] == "intent" for one in entries), where)
        self.appliance.load(bound)
        return True

    def sweep(self, name, command, bound=None):
        self.reset()
        before = self.files()
        done = self.run_it(command)
        self.assertEqual(done.returncode, 0, done.stderr)
        after = set(self.files())
        codes, tolerated, ahead = collections.Counter(), collections.Counter(), 0
        rules = [rule for call, count in collections.Counter(call for call, _ in self.token.trace()).items()
                 for rule in rules_for(call, count)]
        chosen = points.spread(rules, ("",))
        for rule, _ in chosen:
            where = f"{name}: {rule}"
            with self.subTest(where):
                self.reset(rule)
                done = self.run_it(command)
                codes[done.returncode] += 1
                self.assertIn(done.returncode, (0, 6, 9), f"{where}: {done.stderr}")
                if done.returncode in (0, 9):  # 9: all is done and logged but the anchor's renewal, or a cleanup
                    tolerated[rule.split()[0]] += 1
                    self.assertEqual(set(self.files()), after, where)
                else:
                    self.check_message(done, where)
                    ahead += self.check_left(before, bound, where)
                self.check_log(where)
                self.check_recovery(where)
        print(f"\n{name}: {len(chosen)} of {len(rules)} points, exit codes {dict(codes)}, tolerated {dict(tolerated)}"
              + (f", bound before the log had the result {ahead}" if bound else ""), flush=True)

    def test_mek_generate(self):
        self.sweep("mek generate", ("mek", "generate", "second"))

    def test_attest_request(self):
        self.sweep("attest request", ("attest", "request", "--mek", "first", "-o", self.outputs / "request"))

    def test_encrypt_model(self):
        self.sweep("encrypt-model", ("encrypt-model", "--qpc", self.model, "--mek", "first", "--output-dir",
                                     self.outputs, "--threads", "1"))

    def test_encrypt_with_session_keys(self):
        self.sweep("encrypt-with-session-keys", ("encrypt-with-session-keys", "--input-dir", self.sealed, "--mek",
                                                 "first", "--pub-keys", self.report),
                   bound=next(self.sealed.glob("*.bin")))


if __name__ == "__main__":
    unittest.main()
