"""Officers: their tokens and security keys, the genesis, changes of the policy and of the officers themselves."""

import fcntl
import hashlib
import json
import os
import pathlib
import pty
import re
import struct
import subprocess
import termios
import time
import unicodedata
import unittest

from appliance import Appliance, GuardedAppliance, Officer, QPCSEAL, run, shifted
from authenticator import SecurityKey, USER_VERIFIED

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "24681357"
PLANS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "plans"


class TokenOfficer(Officer):
    """A person with a key on a SoftHSM token of their own."""

    def __init__(self, folder, name, curve="prime256v1"):
        self.name = name
        self.folder = folder / (name + "-token")
        (self.folder / "tokens").mkdir(parents=True)
        conf = self.folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.folder}/tokens\nobjectstore.backend = file\n")
        self.env = {"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(conf), "HOME": str(self.folder)}
        self.pin = self.folder / "pin"
        self.pin.touch(mode=0o600)
        self.pin.write_text(PIN)
        run("softhsm2-util", "--init-token", "--free", "--label", name, "--pin", PIN, "--so-pin", PIN, env=self.env)
        run("pkcs11-tool", "--module", MODULE, "--token-label", name, "--login", "--pin", PIN, "--keypairgen",
            "--key-type", "EC:" + curve, "--label", name, "--id", "01", env=self.env)
        self.public = " ".join(run("ssh-keygen", "-D", MODULE, env=self.env).stdout.split()[:2])
        self.key = self.folder / name
        self.key.with_suffix(".pub").write_text(self.public + "\n")

    def token_options(self, pin=None):
        return ["--module", MODULE, "--token", self.name, "--pin-source", f"file:{pin or self.pin}"]

    def approve(self, file, *more, expect=0, command=("approve",), digest=None):
        out = file.with_name(f"{file.name}.{self.name}.token.sig")
        digest = digest or hashlib.sha256(file.read_bytes()).hexdigest()
        result = run(QPCSEAL, *command, file, *self.token_options(), "--yes-digest", digest, "-o", out, "--force",
                     *more, env=self.env, expect=expect)
        return out if expect == 0 else result


class Tokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = GuardedAppliance(extra_officers=cls.more_officers)

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    @classmethod
    def more_officers(cls, folder):
        cls.dora, cls.emil = TokenOfficer(folder, "dora"), TokenOfficer(folder, "emil", "secp384r1")
        cls.keys = {name: SecurityKey(kind) for name, kind in (("fred", "sk-ssh-ed25519@openssh.com"),
                                                              ("gina", "sk-ecdsa-sha2-nistp256@openssh.com"))}
        lines = [cls.dora.line(), cls.emil.line()]
        for name, key in cls.keys.items():
            lines.append(f'{name} namespaces="approval@qpcseal,policy@qpcseal" {key.public()}\n')

        def sign_with_key(file, name):
            out = file.with_name(f"{file.name}.{name}.sig")
            out.write_text(cls.keys[name].sign(file.read_bytes(), "approval@qpcseal"))
            return out
        cls.sign_with_key = staticmethod(sign_with_key)
        return lines, lambda file: [cls.dora.approve(file), cls.emil.approve(file), sign_with_key(file, "fred"),
                                    sign_with_key(file, "gina")]

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].replace("test_", "")
        self.file = self.appliance.request("mek-generate", "--param", f"name={self.name}", name=self.name)

    def verify_by_ssh_keygen(self, signature, name, file=None, expect=0, sig_namespace="approval"):
        result = subprocess.run(["ssh-keygen", "-Y", "verify", "-f", self.appliance.officers_file, "-I", name, "-n",
                                 sig_namespace + "@qpcseal", "-s", signature], input=(file or self.file).read_bytes(),
                                capture_output=True, check=False)
        self.assertEqual(result.returncode == 0, expect == 0, result.stdout + result.stderr)

    def generate(self, *signatures, expect=0):
        return self.appliance.qpcseal("mek", "generate", self.name, "--request", self.file, "--approval",
                                      *signatures, expect=expect)

    def test_two_tokens_of_two_officers(self):
        signatures = self.dora.approve(self.file), self.emil.approve(self.file)
        for signature, name in zip(signatures, ("dora", "emil")):
            self.verify_by_ssh_keygen(signature, name)
        self.generate(*signatures)

    def test_policy_and_bundle_signed_by_token(self):
        policy = self.appliance.root / "signed.toml"
        policy.write_text(self.appliance.policy.read_text().replace("serial = 1\n", "serial = 2\n"))
        bundle = self.appliance.root / "bundle"
        self.appliance.qpcseal("trust", "bundle", "--serial", 1, "--trust", self.appliance.trust, "-o", bundle)
        for file, command, sig_namespace, bring_in in (
                (policy, ("policy", "sign"), "policy", ("policy", "install")),
                (bundle, ("trust", "sign"), "collateral", ("trust", "import"))):
            second = self.emil.approve(file, command=command)
            signature = self.dora.approve(file, command=command)
            self.verify_by_ssh_keygen(signature, "dora", file, sig_namespace=sig_namespace)
            self.verify_by_ssh_keygen(signature, "dora", file, expect=1)
            approval = self.dora.approve(file, command=command, expect=2, digest="00" * 32)
            self.assertIn("names other bytes", approval.stderr)
            self.appliance.qpcseal(*bring_in, file, "--approval", signature, second)
        self.assertEqual(self.appliance.json("policy", "show")["serial"], 2)
        self.assertEqual(self.appliance.json("trust", "show")["bundle"]["serial"], 1)

    def test_what_is_no_policy_is_not_signed(self):
        for name, command in (("policy", ("policy", "sign")), ("bundle", ("trust", "sign"))):
            file = self.appliance.root / ("no-" + name)
            file.write_text("serial = 2\n")
            self.assertIn("error", self.dora.approve(file, command=command, expect=4).stderr)

    def test_token_through_ssh_agent(self):
        folder = self.dora.folder
        askpass = folder / "askpass"
        askpass.write_text(f"#!/bin/sh\necho {PIN}\n")
        askpass.chmod(0o700)
        env = {**self.dora.env, "SSH_AUTH_SOCK": str(folder / "agent"), "SSH_ASKPASS": str(askpass),
               "SSH_ASKPASS_REQUIRE": "force"}
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", env["SSH_AUTH_SOCK"]], env=env, stdout=subprocess.DEVNULL)
        try:
            for _ in range(50):
                if os.path.exists(env["SSH_AUTH_SOCK"]):
                    break
                time.sleep(0.1)
            run("ssh-add", "-s", MODULE, env=env)
            run("ssh-keygen", "-q", "-Y", "sign", "-f", self.dora.key.with_suffix(".pub"), "-n", "approval@qpcseal",
                self.file, env=env)
        finally:
            agent.terminate()
            agent.wait(timeout=10)
        made = self.file.with_name(self.file.name + ".sig")
        self.generate(made, self.emil.approve(self.file))

    def test_security_keys(self):
        signatures = [self.sign_with_key(self.file, name) for name in ("fred", "gina")]
        for signature, name in zip(signatures, ("fred", "gina")):
            self.verify_by_ssh_keygen(signature, name)
        self.generate(*signatures)

    def test_security_key_whose_owner_was_absent(self):
        absent = self.file.with_name(self.name + ".absent")
        absent.write_text(self.keys["fred"].sign(self.file.read_bytes(), "approval@qpcseal", USER_VERIFIED))
        refused = self.generate(absent, self.dora.approve(self.file), expect=7)
        self.assertIn("POL-SIGNATURE-BAD", refused.stderr)

    def test_wrong_pin_is_tried_once(self):
        wrong = self.dora.folder / "wrong"
        wrong.touch(mode=0o600)
        wrong.write_text("11111111")
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        out = self.file.with_name(self.name + ".none")
        result = run(QPCSEAL, "approve", self.file, *self.dora.token_options(wrong), "--yes-digest", digest, "-o",
                     out, env=self.dora.env, expect=6)
        self.assertIn("login to token 'dora'", result.stderr)
        self.assertFalse(out.exists())

    def test_another_digest_is_not_signed(self):
        result = self.dora.approve(self.file, digest="00" * 32, expect=2)
        self.assertIn("names other bytes", result.stderr)

    def test_rejection_by_token(self):
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        text = f"qpcseal rejection 1\nrequest sha256: {digest}\n".encode()
        no = self.dora.approve(self.file, "--reject", digest=hashlib.sha256(text).hexdigest())
        refused = self.generate(no, self.emil.approve(self.file), self.sign_with_key(self.file, "fred"), expect=7)
        self.assertIn("rejected by dora", refused.stderr)

    def answer(self, text, file=None, *more, command=("approve",), env=None, size=(200, 200), at_more="", until=b"to stop: "):
        """The exit code of `approve` where a person on a terminal answers, and what was on the screen."""
        file = file or self.file
        out = file.with_name(self.name + ".tty.sig")
        out.unlink(missing_ok=True)
        pid, terminal = pty.fork()
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.execve(QPCSEAL, [QPCSEAL, *command, str(file), *map(str, self.dora.token_options()), "-o", str(out),
                                *map(str, more)], env or self.dora.env)
        screen, seen = b"", 0
        while until not in screen:
            screen += os.read(terminal, 4096)
            if b"no signature: " in screen[seen:]:
                seen = len(screen)
                os.write(terminal, at_more.encode() + b"\n")
        os.write(terminal, text.encode() + b"\n")
        try:
            while chunk := os.read(terminal, 4096):
                screen += chunk
        except OSError:
            pass  # the terminal is gone with the program
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen.decode(), out

    def ours(self, screen):
        """The lines that are of no file, without the pager's columns."""
        return "".join(line.lstrip() + "\n" if line.startswith("   ") else "" for line in screen.replace("\r", "").splitlines())

    def of_file(self, screen):
        """A file as its numbered lines and their continuations show it."""
        lines, goes_on = [], False
        for row in screen.replace("\r", "").splitlines():
            if begin := re.match(r" *(\d+) \| ", row):
                self.assertEqual(int(begin[1]), len(lines) + 1)
                lines.append(row[begin.end():])
            elif goes_on and (more := re.match(r" +\+ ", row)):
                lines[-1] += row[more.end():]
            goes_on = bool(begin) or goes_on and bool(more)
        return "".join(line + "\n" for line in lines)

    def test_wraps_are_marked_and_no_text_fakes_a_number(self):
        plan = self.appliance.root / "wrapped.toml"
        fake = "".join(f"{'x' * width} 3 | [[step]]  " for width in range(40))
        plan.write_text((PLANS / "first-key.toml").read_text() + f"# {fake}\n#{'試' * 90} 4 | [[step]]\n#    12 | act\n",
                        encoding="utf-8")
        env = {**self.dora.env, "LC_ALL": "C.UTF-8"}
        for columns in (40, 80):
            screen = self.answer("no", plan, env=env, size=(0, columns), until=b"Sign this?")[1]
            self.assertEqual(self.of_file(re.sub(r"-- more: [^:]*: go\s+on;\s+q:\s+no\s+signature: \r\n", "", screen)), plan.read_text(encoding="utf-8"))
            for line in screen.replace("\r", "").splitlines():
                wide = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)
                self.assertTrue(wide <= columns or "-- more" in line, line)

    def test_a_terminal_without_a_size_has_80_columns(self):
        plan = self.appliance.root / "sizeless.toml"
        plan.write_text((PLANS / "first-key.toml").read_text() + "# " + "x" * 100 + "\n")
        screen = self.answer("no", plan, size=(200, 0))[1].replace("\r", "")
        self.assertRegex(screen, r"(?m)^\d+ \| # x+\n +\+ x+$")

    def long_plan(self):
        """A policy of more lines than a screen has, with letters of another language."""
        file = self.appliance.root / "long.toml"
        file.write_text("# Prüfstelle für Schlüssel\n" + self.appliance.policy.read_text().replace("serial = 1\n", "serial = 2\n") +
                        "".join(f"# line {number}\n" for number in range(80)), encoding="utf-8")
        return file

    def test_a_long_text_is_shown_a_screenful_at_a_time(self):
        env = {**self.dora.env, "LC_ALL": "C.UTF-8"}
        for rows, columns in ((24, 80), (10, 40)):
            code, screen, out = self.answer("Yes", self.long_plan(), command=("policy", "sign"), env=env, size=(rows, columns))
            self.assertEqual(code, 0, screen)
            self.assertTrue(out.exists())
            pages = re.split(r"-- more: \d+ of \d+ lines\. Enter:\s+go\s+on;\s+q:\s+no\s+signature: ", screen.replace("\r", ""))
            self.assertGreater(len(pages), 2)
            for page in pages[:-1]:  # what was typed ends the line of the question
                self.assertLessEqual(sum(max(1, -(-len(line) // columns)) for line in page.lstrip("\n").splitlines()), rows, page)
            numbers = re.findall(r"-- more: (\d+) of (\d+) lines", screen)
            self.assertEqual(len({last for _, last in numbers}), 1)
            self.assertLess(int(numbers[-1][0]), int(numbers[-1][1]))
            self.assertLess(screen.rindex("-- more"), screen.index("Sign this?"))

    def test_letters_of_every_language_are_shown(self):
        env = {**self.dora.env, "LC_ALL": "C.UTF-8"}
        plan = self.appliance.root / "words.request"
        plan.write_text(self.file.read_text())
        screen = self.answer("no", self.long_plan(), command=("policy", "sign"), env=env)[1]
        self.assertNotIn("\\xc3", screen)

    def test_q_is_no_signature(self):
        code, screen, out = self.answer("", self.long_plan(), command=("policy", "sign"), size=(24, 80), at_more="q",
                                        until=b"not signed")
        self.assertEqual(code, 2, screen)
        self.assertNotIn("Sign this?", screen)
        self.assertFalse(out.exists())

    def test_a_text_that_fits_is_shown_at_once(self):
        code, screen, _ = self.answer("Yes", size=(60, 100))
        self.assertEqual(code, 0, screen)
        self.assertNotIn("-- more", screen)

    def test_a_release_shows_each_card(self):
        self.generate(self.dora.approve(self.file), self.emil.approve(self.file))
        good = self.appliance.attest(self.name, name="1.report", request=("--host", "node-7", "--device", "0"))
        bad = self.appliance.root / "2.report"
        bad.write_bytes(good.read_bytes()[:-1] + b"\0")
        ueid = self.appliance.json("attest", "verify", good)["card"]["ueid"]
        request = self.appliance.request("release", "--mek", self.name, "--report", good, bad, name="cards.request")
        files = ("--policy", self.appliance.policy, "--trust", self.appliance.trust)
        here = {**self.dora.env, "QPCSEAL_HOME": self.appliance.env["QPCSEAL_HOME"]}
        for env, more, host, log in ((here, (), "host node-7, device 0, ", True), (self.dora.env, files, "", False)):
            screen = self.answer("no", request, "--report", good, bad, *more, env=env)[1].replace("\r", "")
            self.assertIn(f"1. {host}card {ueid}, class simulated: ALLOWED\n", self.ours(screen))
            self.assertIn(f"2. {bad}: DENIED, it does not verify\nATT-SIGNATURE", self.ours(screen))
            self.assertEqual("The log is not at hand" in screen, not log)
        self.assertIn("NOBODY LOOKED: the policy is not at hand", self.answer("no", request, "--report", good, bad)[1])
        self.assertIn("NOBODY LOOKED: the reports are not at hand", self.answer("no", request, env=here)[1])
        other = self.appliance.root / "other.toml"
        other.write_text(self.appliance.policy.read_text() + "\n")
        said = self.dora.approve(request, "--report", good, bad, "--policy", other, "--trust", self.appliance.trust, expect=5)
        self.assertIn("is not the policy of the request", said.stderr)
        # The name of a file cannot add a line of the program's own.
        lie = self.appliance.root / "reports" / "a\n  2. card 01, class prod: ALLOWED\n  3. b.report"
        lie.parent.mkdir()
        lie.write_bytes(bad.read_bytes())
        request = self.appliance.request("release", "--mek", self.name, "--report", lie, name="lie.request")
        screen = self.answer("no", request, "--report", lie, env=here)[1].replace("\r", "")
        self.assertIn("ALLOWED\\x0a  3. b.report: DENIED", self.ours(screen))
        request = self.appliance.root / "cards.request"
        # A card that the policy in force refuses is shown as such before anybody signs.
        wrap = ("wrap-mek", "--mek", self.name, "--pub-keys", good, "--output-dir", self.appliance.root / "shown",
                *self.appliance.approved("release", "--mek", self.name, "--report", good, name="r"))
        self.appliance.qpcseal(*wrap)
        screen = self.answer("no", request, "--report", good, bad, env=here)[1]
        self.assertRegex(screen, f"card {ueid}: DENIED\\s+POL-CHALLENGE-USED")

    def test_a_policy_shows_what_it_changes(self):
        policy = self.appliance.root / "changed.toml"
        policy.write_text(self.appliance.policy.read_text().replace("serial = 1\n", "serial = 9\n").replace(
            "min_dbgstat = ", "min_dbgstat = 4 # was "))
        sign = ("policy", "sign")
        here = {**self.dora.env, "QPCSEAL_HOME": self.appliance.env["QPCSEAL_HOME"]}
        for env, more in ((here, ()), (self.dora.env, ("--against", self.appliance.policy))):
            screen = self.ours(self.answer("no", policy, *more, command=sign, env=env)[1])
            self.assertRegex(screen, "What changes against the policy with serial [12]:\n")
            self.assertRegex(screen, "class 'simulated': least dbgstat\nwas \\d\nis  4\n")
        self.assertIn("NOT COMPARED: the policy in force is not at hand", self.answer("no", policy, command=sign)[1])

    def test_a_new_key_for_an_officer(self):
        zoe = TokenOfficer(self.appliance.root, "zoe")
        new = ("officer-key", "new", *zoe.token_options(), "--name", "hans")
        line_file = self.appliance.root / "hans.line"
        said = json.loads(run(QPCSEAL, *new, "-o", line_file, "--json", env=zoe.env).stdout)
        self.assertEqual(line_file.read_text(), said["line"])
        public = zoe.folder / "hans.pub"
        public.write_text(" ".join(said["line"].split()[2:]) + "\n")
        shown = run("ssh-keygen", "-l", "-f", public).stdout
        self.assertIn(said["fingerprint"], shown)
        self.assertIn("256", shown.split()[0])
        out = self.file.with_name(self.name + ".hans.sig")
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        run(QPCSEAL, "approve", self.file, *zoe.token_options(), "--key", "hans", "--yes-digest", digest, "-o", out,
            env=zoe.env)
        allowed = zoe.folder / "allowed"
        allowed.write_text(said["line"])
        result = subprocess.run(["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "hans", "-n", "approval@qpcseal", "-s",
                                 out], input=self.file.read_bytes(), capture_output=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        for name, value in (("CKA_EXTRACTABLE", "never extractable"), ("CKA_SENSITIVE", "sensitive")):
            listed = run("pkcs11-tool", "--module", MODULE, "--token-label", "zoe", "--login", "--pin", PIN,
                         "--list-objects", "--type", "privkey", env=zoe.env).stdout
            self.assertIn(value, listed.split("hans", 1)[1].split("Private Key", 1)[0], name)
        again = run(QPCSEAL, *new, env=zoe.env, expect=6)
        self.assertIn("the token has a key 'hans' already", again.stderr)
        run(QPCSEAL, "officer-key", "new", *zoe.token_options(), "--name", "two words", env=zoe.env, expect=4)
        run(QPCSEAL, "officer-key", "new", *zoe.token_options(), "--name", "ida", "--namespaces", "", expect=4,
            env=zoe.env)

    def test_asks_for_an_exact_yes(self):
        for word in ("yes", "Y", "", "Yes!", " Yes"):
            code, screen, out = self.answer(word)
            self.assertEqual((code, out.exists()), (2, False), word)
        for seen in (self.file.read_text().splitlines()[1], hashlib.sha256(self.file.read_bytes()).hexdigest(),
                     "approval@qpcseal"):
            self.assertIn(seen, screen)
        code, screen, out = self.answer("Yes")
        self.assertEqual(code, 0, screen)
        self.verify_by_ssh_keygen(out, "dora")

    def test_asks_for_a_plan_and_shows_its_steps(self):
        plan = self.appliance.root / "plan.toml"
        plan.write_text((PLANS / "first-key.toml").read_text())
        code, screen, out = self.answer("no", plan)
        self.assertEqual((code, out.exists()), (2, False), screen)
        digest = hashlib.sha256(plan.read_bytes()).hexdigest()
        for seen in ("Ceremony '", "step 1 ", digest, "plan@qpcseal"):
            self.assertIn(seen, screen)
        code, screen, out = self.answer("Yes", plan)
        self.assertEqual(code, 0, screen)
        self.verify_by_ssh_keygen(out, "dora", plan, expect=1, sig_namespace="approval")
        found = subprocess.run(["ssh-keygen", "-Y", "check-novalidate", "-n", "plan@qpcseal", "-s", out],
                               input=plan.read_bytes(), capture_output=True, check=False)
        self.assertEqual(found.returncode, 0, found.stderr)

    def test_genesis_reads_the_same_where_it_is_shown_and_signed(self):
        genesis = self.appliance.root / "shown-genesis"
        said = self.appliance.json("genesis", "show", "-o", genesis)
        self.assertEqual(said["sha256"], hashlib.sha256(genesis.read_bytes()).hexdigest())
        self.assertEqual(len(said["words"].split()), 32)  # one a byte
        code, screen, out = self.answer("Yes", genesis)
        self.assertEqual(code, 0, screen)
        self.verify_by_ssh_keygen(out, "dora", genesis)
        shown = self.appliance.qpcseal("genesis", "show").stdout
        for place in (shown, screen.replace("\r", "")):
            self.assertIn(said["sha256"], place)
            self.assertIn(said["words"], " ".join(place.split()))
            for line in genesis.read_text().splitlines():
                self.assertIn(line, place)


class Changes(unittest.TestCase):
    """The genesis, and changes of policy and officers, on an appliance of each test's own."""

    def setUp(self):
        self.appliance = GuardedAppliance(guarded=("mek-generate", "policy-change", "officers-change"))
        self.addCleanup(self.appliance.close)
        self.anna, self.bela, self.carl = self.appliance.officers
        self.home = self.appliance.root / "home"

    def next_policy(self, serial, edit=lambda text: text, name="next.toml"):
        file = self.appliance.root / name
        lines = self.appliance.policy.read_text().splitlines(keepends=True)
        text = "".join(f"serial = {serial}\n" if line.startswith("serial = ") else line for line in lines)
        file.write_text(edit(text))
        return file

    def install(self, file, *officers, expect=0, sig_namespace="policy"):
        signatures = [officer.sign(file, sig_namespace) for officer in officers]
        return self.appliance.qpcseal("policy", "install", file, *(["--approval", *signatures] if signatures else []),
                                      expect=expect)

    def test_policy_by_quorum_and_rising_serial(self):
        file = self.next_policy(7)
        for officers, word in (((), "2 officers"), ((self.anna,), "what counts is 1")):
            self.assertIn(word, self.install(file, *officers, expect=7).stderr)
        self.assertIn("POL-SIGNATURE-BAD",
                      self.install(file, self.anna, self.bela, expect=7, sig_namespace="approval").stderr)
        self.install(file, self.anna, self.carl)
        said = self.appliance.json("policy", "show")
        self.assertEqual((said["serial"], said["sha256"]), (7, hashlib.sha256(file.read_bytes()).hexdigest()))
        self.assertIn("above 7", self.install(file, self.anna, self.carl, expect=5).stderr)
        older = self.next_policy(6, name="older.toml")
        self.assertIn("above 7", self.install(older, self.anna, self.carl, expect=5).stderr)
        changed = self.next_policy(8, name="changed.toml")
        signatures = [officer.sign(changed, "policy") for officer in (self.anna, self.bela)]
        changed.write_text(changed.read_text() + "# and more\n")
        refused = self.appliance.qpcseal("policy", "install", changed, "--approval", *signatures, expect=7)
        self.assertIn("POL-SIGNATURE-BAD", refused.stderr)

    def test_expired_policy(self):
        def expired(text):
            return "".join('expires = "2026-01-01T00:00:00Z"\n' if line.startswith("expires = ") else line
                           for line in text.splitlines(keepends=True))
        self.assertIn("expired", self.install(self.next_policy(7, expired), self.anna, self.bela, expect=5).stderr)

    def test_a_policy_that_was_signed_for_another_appliance(self):
        """The same officers, their signatures, a rising serial: and the other appliance's name."""
        for named, words in (("other", "is for the appliance 'other'"), ("any", "names no appliance")):
            file = self.next_policy(7, lambda text: text.replace('appliance = "test"', f'appliance = "{named}"'))
            self.assertIn(named, self.appliance.qpcseal("policy", "check", file).stdout)
            said = self.install(file, self.anna, self.bela, expect=5).stderr
            self.assertIn("POL-APPLIANCE", said)
            self.assertIn(words, said)
            self.assertIn('appliance = "test"', said)
        self.assertEqual(self.appliance.json("policy", "show")["serial"], 1)
        self.install(self.next_policy(7), self.anna, self.bela)
        said = self.appliance.json("policy", "show")
        self.assertEqual((said["serial"], said["appliance"]), (7, "test"))
        self.assertIn("for the appliance 'test' alone", said["text"])

    def test_a_policy_that_nobody_could_follow(self):
        def greedy(text):
            return text.replace("\nmek-generate = 2\n", "\nmek-generate = 4\n")
        self.assertIn("lists 3", self.install(self.next_policy(7, greedy), self.anna, self.bela, expect=2).stderr)

    def test_policy_file_changed_in_place(self):
        policy = self.home / "policy.toml"
        policy.write_text(policy.read_text() + "\n")
        self.assertIn("not the policy in the log", self.appliance.qpcseal("mek", "list", expect=5).stderr)

    def test_policy_diff_replays_reports(self):
        self.appliance.qpcseal("mek", "generate", "m", *self.appliance.approved("mek-generate", "--param", "name=m"))
        report = self.appliance.attest("m")
        self.appliance.qpcseal("encrypt-model", "--qpc", self.appliance.sample(), "--mek", "m", "--output-dir",
                               self.appliance.root / "out", "--pub-keys", report)

        def strict(text):
            return text.replace("min_dbgstat = ", "min_dbgstat = 4 # was ")
        file = self.next_policy(7, strict)
        said = self.appliance.json("policy", "diff", self.appliance.policy, file)
        rules = {change["rule"]: (change["before"], change["after"]) for change in said["changes"]}
        self.assertEqual(rules["class 'simulated': least dbgstat"][1], "4")
        self.assertIn("serial", rules)
        verdict = said["verdicts"][0]
        self.assertEqual((said["verdicts_changed"], verdict["before"], verdict["after"]), (1, True, False))
        self.assertIn("POL-DBGSTAT", [finding["id"] for finding in verdict["findings_after"]])
        text = self.appliance.qpcseal("policy", "diff", self.appliance.policy, file).stdout
        self.assertIn("was ALLOWED, would be DENIED", text)
        same = self.appliance.qpcseal("policy", "diff", file, file).stdout
        self.assertIn("mean the same", same)

        # The answer is about the card: a report that is given again by mistake, or comes too late, changes nothing.
        wrap = ("wrap-mek", "--mek", "m", "--output-dir", self.appliance.root / "wrapped", "--pub-keys")
        self.assertIn("POL-CHALLENGE-USED", self.appliance.qpcseal(*wrap, report, expect=5).stderr)
        late = self.appliance.attest("m", device=1, name="late.dat")
        said = run(QPCSEAL, *wrap, late, env=shifted(self.appliance.env, 3 * 86400), expect=5)
        self.assertIn("POL-CHALLENGE-EXPIRED", said.stderr)
        said = self.appliance.json("policy", "diff", self.appliance.policy, file)
        self.assertEqual([(verdict["before"], verdict["after"]) for verdict in said["verdicts"]], [(True, False)] * 2)
        reasons = {finding["id"] for verdict in said["verdicts"] for finding in verdict["findings_after"]}
        self.assertEqual((said["verdicts_changed"], reasons), (2, {"POL-DBGSTAT"}))

    def officers_request(self, file, *signers, name="officers-request"):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        request = self.appliance.request("officers-change", "--param", f"officers_sha256={digest}", name=name)
        return request, [officer.sign(request, "officers") for officer in signers]

    def test_officers_change_by_a_quorum_of_the_old_file(self):
        dora = Officer(self.appliance.root, "dora", "-t", "ed25519")
        file = self.appliance.root / "officers.next"
        file.write_text(self.anna.line() + self.bela.line() + dora.line())
        request, signatures = self.officers_request(file, self.anna, dora)
        refused = self.appliance.qpcseal("officers", "install", file, "--request", request, "--approval",
                                         *signatures, expect=7)
        self.assertIn("POL-SIGNATURE-UNKNOWN", refused.stderr)
        request, signatures = self.officers_request(file, self.anna, self.carl)
        self.appliance.qpcseal("officers", "install", file, "--request", request, "--approval", *signatures)
        names = [officer["name"] for officer in self.appliance.json("officers", "show")["officers"]]
        self.assertEqual(names, ["anna", "bela", "dora"])
        # A revoked officer signs no more, nor does anything that was asked under the old file.
        request = self.appliance.request("mek-generate", "--param", "name=a")
        refused = self.appliance.qpcseal("mek", "generate", "a", "--request", request, "--approval",
                                         self.anna.sign(request), self.carl.sign(request), expect=7)
        self.assertIn("POL-SIGNATURE-UNKNOWN", refused.stderr)
        self.appliance.qpcseal("mek", "generate", "a", "--request", request, "--approval", self.anna.sign(request),
                               dora.sign(request))

    def test_officers_file_that_leaves_too_few(self):
        file = self.appliance.root / "officers.next"
        file.write_text(self.anna.line())
        request, signatures = self.officers_request(file, self.anna, self.bela)
        refused = self.appliance.qpcseal("officers", "install", file, "--request", request, "--approval",
                                         *signatures, expect=2)
        self.assertIn("lists 1", refused.stderr)

    def test_officers_file_whose_people_may_not_sign(self):
        """Listed they are; the next change, of the policy or of themselves, would find nobody."""
        file = self.appliance.root / "officers.next"
        past, future = ',valid-before="20260101Z"', ',valid-after="20990101Z"'

        def without(name):
            return [officer.line().replace(f"{name}@qpcseal,", "") for officer in (self.anna, self.bela)]

        for lines, words in (
                ([self.anna.line(past), self.bela.line(past), self.carl.line(past)], "lists 0 who may sign"),
                ([self.anna.line(), self.bela.line(past), self.carl.line(future)], "lists 1 who may sign"),
                ([*without("officers"), self.carl.line()], "lists 1 who may sign in officers@qpcseal now"),
                ([*without("policy"), self.carl.line()], "lists 1 who may sign in policy@qpcseal now"),
                ([*without("approval"), self.carl.line()], "lists 1 who may sign in approval@qpcseal now")):
            file.write_text("".join(lines))
            request, signatures = self.officers_request(file, self.anna, self.bela)
            with self.subTest(words):
                refused = self.appliance.qpcseal("officers", "install", file, "--request", request, "--approval",
                                                 *signatures, expect=2)
                self.assertIn(words, refused.stderr)
        file.write_text(self.anna.line(past) + self.bela.line() + self.carl.line())
        self.appliance.change_officers(file)

    def test_no_policy_lets_few_decide_what_counts(self):
        """Fewer than any act needs could appoint others, or lower what is needed, and do all of it."""
        for serial, operation, count in ((2, "officers", 0), (3, "officers", 1), (4, "policy", 0), (5, "policy", 1)):
            line = f"\n{operation}-change = "
            file = self.next_policy(serial, lambda text, line=line, count=count: text.replace(
                f"{line}2\n", f"{line}{count}\n"))
            refused = self.install(file, self.anna, self.bela, expect=5)
            self.assertIn(f"'{operation}-change' needs {count} officers", refused.stderr)
            self.assertIn("another operation 2", refused.stderr)
            warned = self.appliance.qpcseal("policy", "check", file).stdout
            self.assertIn("for demonstrations only", warned)
        self.assertNotIn("for demonstrations only", self.appliance.qpcseal("policy", "check",
                                                                          self.appliance.policy).stdout)
        alone = self.appliance.root / "alone"
        alone.write_text(self.anna.line())
        request, signatures = self.officers_request(alone, self.anna, self.bela)
        self.appliance.qpcseal("officers", "install", alone, "--request", request, "--approval", *signatures, expect=2)
        self.assertEqual(len(self.appliance.json("officers", "show")["officers"]), 3)

    def test_few_may_not_bring_in_measurements(self):
        def referring(text):
            return re.sub(r"(?m)^digests = .*$", 'references = ["fw"]', text).replace("\ntrust-import = 0\n",
                                                                                    "\ntrust-import = 1\n")
        file = self.next_policy(2, referring)
        self.assertIn("references = ", file.read_text())
        self.assertIn("'trust-import' needs 1 officers", self.install(file, self.anna, self.bela, expect=5).stderr)

    def test_the_next_policy_needs_as_many_as_any_of_its_operations(self):
        def stricter(text):
            return re.sub(r"(?m)^([a-z]+-[a-z]+) = 2$", r"\1 = 3", text)
        file = self.next_policy(2, stricter)
        self.assertIn("signed by 3 officers", self.install(file, self.anna, self.bela, expect=7).stderr)
        self.install(file, self.anna, self.bela, self.carl)

    def test_the_next_policy_needs_as_many_as_the_one_in_force(self):
        file = self.next_policy(2, lambda text: re.sub(r"(?m)^([a-z]+-[a-z]+) = 2$", r"\1 = 1", text))
        self.assertIn("signed by 2 officers", self.install(file, self.anna, expect=7).stderr)
        self.install(file, self.anna, self.bela)

    def test_one_person_is_spelled_in_one_way(self):
        file = self.appliance.root / "officers.next"
        other = Officer(self.appliance.root, "Anna", "-t", "ed25519")
        file.write_text(self.anna.line() + self.bela.line() + other.line())
        request, signatures = self.officers_request(file, self.anna, self.bela)
        refused = self.appliance.qpcseal("officers", "install", file, "--request", request, "--approval", *signatures,
                                         expect=4)
        self.assertIn("'Anna' is 'anna' of line 1", refused.stderr)

    def test_request_signed_in_the_wrong_namespace_changes_no_officers(self):
        file = self.appliance.root / "officers.next"
        file.write_text(self.anna.line() + self.bela.line())
        request, _ = self.officers_request(file)
        refused = self.appliance.qpcseal("officers", "install", file, "--request", request, "--approval",
                                         self.anna.sign(request), self.bela.sign(request), expect=7)
        self.assertIn("POL-SIGNATURE-BAD", refused.stderr)

    def test_officers_file_changed_in_place(self):
        officers = self.home / "officers"
        officers.write_text(officers.read_text() + "# one more\n")
        request = self.appliance.root / "request"
        self.assertIn("not the officers file in the log",
                      self.appliance.qpcseal("request", "new", "mek-generate", "-o", request, expect=5).stderr)


class Beginning(unittest.TestCase):
    def test_no_mek_before_every_officer_signed_the_genesis(self):
        appliance = GuardedAppliance(genesis=False)
        self.addCleanup(appliance.close)
        refused = appliance.qpcseal("mek", "generate", "a", *appliance.approved("mek-generate", "--param", "name=a"),
                                    expect=7)
        self.assertIn("genesis", refused.stderr)
        text = appliance.root / "genesis"
        appliance.qpcseal("genesis", "show", "-o", text)
        signatures = [officer.sign(text) for officer in appliance.officers]
        refused = appliance.qpcseal("genesis", "accept", "--approval", *signatures[:2], expect=7)
        self.assertIn("not signed by carl", refused.stderr)
        refused = appliance.qpcseal("genesis", "accept", "--approval", signatures[0], signatures[0], signatures[2],
                                    expect=7)
        self.assertIn("not signed by bela", refused.stderr)
        appliance.qpcseal("genesis", "accept", "--approval", *signatures)
        appliance.qpcseal("genesis", "accept", "--approval", *signatures, expect=2)
        appliance.qpcseal("mek", "generate", "a", *appliance.approved("mek-generate", "--param", "name=a"))

    def test_init_refuses_what_policy_install_refuses(self):
        for change, code, words in (("officers-change = 0", 5, "'officers-change' needs 0 officers"),
                                    ("policy-change = 1", 5, "'policy-change' needs 1 officers"),
                                    ("mek-generate = 4", 2, "lists 3"),
                                    ('expires = "2026-01-01T00:00:00Z"', 5, "the policy expired")):
            class Weak(GuardedAppliance):
                def with_thresholds(self, text, change=change):
                    key = change.split(" = ", maxsplit=1)[0]
                    return re.sub(rf"(?m)^{key} = .*$", change, super().with_thresholds(text))

            with self.subTest(change):
                appliance = Weak(init_now=False)
                self.addCleanup(appliance.close)
                self.assertIn(words, appliance.init(expect=code).stderr)
                self.assertFalse((appliance.root / "home").exists())

    def test_init_of_a_demonstration_refuses_an_expired_policy(self):
        appliance = Appliance(init=False, policy_edit=lambda text: re.sub(
            r"(?m)^expires = .*$", 'expires = "2026-01-01T00:00:00Z"', text))
        self.addCleanup(appliance.close)
        self.assertIn("the policy expired", appliance.init(expect=5).stderr)

    def test_init_wants_a_signed_policy(self):
        appliance = GuardedAppliance(init_now=False)
        self.addCleanup(appliance.close)
        for officers, word in (((), "signed by 2 officers"), ((3,), "POL-SIGNATURE-UNKNOWN")):
            stranger = Officer(appliance.root, f"stranger{len(officers)}", "-t", "ed25519")
            signatures = [stranger.sign(appliance.policy, "policy")] if officers else []
            self.assertIn(word, appliance.init(signatures=signatures, expect=7).stderr)
            self.assertFalse((appliance.root / "home").exists())
        appliance.init()

    def test_init_wants_its_own_policy_or_one_for_any(self):
        """The genesis names the appliance and the policy's digest, and every officer signs it."""
        appliance = GuardedAppliance(init_now=False)
        self.addCleanup(appliance.close)
        text = appliance.policy.read_text()
        appliance.policy.write_text(text.replace('appliance = "test"', 'appliance = "other"'))
        self.assertIn("POL-APPLIANCE", appliance.init(expect=5).stderr)
        appliance.policy.write_text(text.replace('appliance = "test"\n', ""))
        self.assertIn("'appliance' is missing", appliance.init(expect=4).stderr)
        self.assertFalse((appliance.root / "home").exists())
        appliance.policy.write_text(text.replace('appliance = "test"', 'appliance = "any"'))
        self.assertIn("names no appliance", appliance.qpcseal("policy", "check", appliance.policy).stdout)
        appliance.init()


if __name__ == "__main__":
    unittest.main()
