"""What each kind of bad input gets: its exit code, one clear line, no output file."""

import os
import shutil
import struct
import subprocess
import unittest

import tokens
from appliance import Appliance, ATTEST, BUILD, QPCSEAL, run, softhsm_env

MAGIC = 0x00A1CD7C
HEADER = struct.Struct("<IBBHQQQQ")
ROW = struct.Struct("<QQQQ")


def plain_qpc(segments, base=0):
    """A QPC of (name, data) pairs, packed, and where each row, name and data lies."""
    at = HEADER.size + ROW.size * len(segments)
    names, data, rows = b"", b"", []
    for name, _ in segments:
        rows.append([0, 0, at + len(names), 0])
        names += name.encode() + b"\0"
    for row, (_, content) in zip(rows, segments):
        row[0], row[3] = len(content), at + len(names) + len(data)
        data += content
    size = at + len(names) + len(data)
    head = HEADER.pack(MAGIC, 0, 1, 1, size, base, len(segments), base + HEADER.size)
    table = b"".join(ROW.pack(r[0], r[1], base + r[2], base + r[3]) for r in rows)
    return bytearray(head + table + names + data), rows


SEGMENTS = [("network.elf", b"E" * 90), ("constants.bin", b"C" * 300), ("constantsdesc.bin", b"D" * 40),
            ("networkdesc.bin", b"N" * 50)]


def lies():
    """name, bytes: each a QPC with one lie (DESIGN: overlap, wrap, out of range, unterminated, duplicate names...)."""
    good, rows = plain_qpc(SEGMENTS)

    def put(fmt, at, value):
        out = bytearray(good)
        struct.pack_into(fmt, out, at, value)
        return out

    row = HEADER.size
    yield "empty", b""
    yield "header cut", good[:39]
    yield "table cut", good[:60]
    yield "last byte cut", good[:-1]
    yield "byte added", good + b"\0"
    yield "magic", put("<I", 0, MAGIC ^ 1)
    yield "major", put("<B", 4, 1)
    yield "minor", put("<B", 5, 2)
    yield "compression 0", put("<H", 6, 0)
    yield "compression 2", put("<H", 6, 2)
    yield "size", put("<Q", 8, len(good) + 1)
    yield "base above pointers", put("<Q", 16, 1 << 40)
    yield "count too large", put("<Q", 24, 4097)
    yield "count beyond the file", put("<Q", 24, 4000)
    yield "count wraps", put("<Q", 24, 1 << 59)
    yield "table outside", put("<Q", 32, len(good))
    yield "table over header", put("<Q", 32, 8)
    yield "segment size wraps", put("<Q", row, (1 << 64) - 1)
    yield "segment size beyond", put("<Q", row, len(good))
    yield "static part beyond constants", put("<Q", row + ROW.size + 8, 301)
    yield "name outside", put("<Q", row + 16, len(good))
    yield "name wraps", put("<Q", row + 16, (1 << 64) - 1)
    yield "data outside", put("<Q", row + 24, len(good) - 5)
    yield "data over table", put("<Q", row + 24, 48)
    yield "data over other data", put("<Q", row + 24, rows[1][3] + 5)
    yield "two names in one place", put("<Q", row + 16, rows[1][2])
    unterminated = bytearray(good)
    unterminated[-1] = ord("x")
    struct.pack_into("<Q", unterminated, row + 16, len(good) - 1)
    yield "name without end", unterminated
    for name in ("", "a/b", "bad\x01name", "x" * 256, "seal.manifest", "MEK.pub", "constants.bin"):
        yield f"name '{name[:20]}'", plain_qpc([(name, b"1" * 9), *SEGMENTS[0:2]])[0]


class Inputs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance()
        cls.root = cls.appliance.root
        cls.appliance.qpcseal("mek", "generate", "resnet50")
        cls.model = cls.appliance.sample(size=5000)

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def path(self, name):
        return self.root / f"{self.id().rsplit('.', 1)[1]}-{name}"

    def one_line(self, result, *words, program="qpcseal"):
        lines = result.stderr.splitlines()
        self.assertTrue(lines and lines[0].startswith(f"{program}: error: "), result.stderr)
        for line in lines[1:]:
            self.assertTrue(line.startswith(("hint: ", "  ")), result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def refused(self, expect, *words, qpc=None, mek="resnet50", reports=(), env=None, **more):
        """encrypt-model with one thing wrong."""
        out = self.path("out")
        extra = ["--pub-keys", *reports] if reports else []
        result = self.appliance.qpcseal("encrypt-model", "--qpc", qpc or self.model, "--mek", mek, "--output-dir", out,
                                        *extra, expect=expect, env=env or self.appliance.env, **more)
        self.one_line(result, *words)
        left = list(out.rglob("*")) if out.exists() else []
        self.assertEqual(left, [], "nothing may be left")
        return result


class Models(Inputs):
    def test_the_good_one_is_good(self):
        model = self.path("good.qpc")
        model.write_bytes(plain_qpc(SEGMENTS)[0])
        self.appliance.qpcseal("inspect", model)
        model.write_bytes(plain_qpc(SEGMENTS, base=0x7fd92ad28010)[0])
        self.appliance.qpcseal("inspect", model)
        self.appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir", self.path("out"))

    def test_every_lie(self):
        count = 0
        for name, content in lies():
            with self.subTest(name):
                model = self.path("lie.qpc")
                model.write_bytes(content)
                self.refused(4, qpc=model)
                count += 1
        self.assertGreater(count, 30)

    def test_every_truncation(self):
        good = bytes(plain_qpc(SEGMENTS)[0])
        model = self.path("short.qpc")
        for size in range(0, len(good), 7):
            model.write_bytes(good[:size])
            self.assertEqual(run_code("inspect", model), 4, size)

    def test_no_segment_to_seal(self):
        model = self.path("clear.qpc")
        model.write_bytes(plain_qpc([("networkdesc.bin", b"N" * 50)])[0])
        self.assertIn(self.try_seal(model).returncode, (4, 5))

    def try_seal(self, model):
        done = subprocess.run([QPCSEAL, "encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir",
                               self.path("out"), "--allow-incomplete"], env=self.appliance.env, capture_output=True, text=True, check=False)
        self.one_line(done)
        self.assertFalse((self.path("out") / "programqpc.bin").exists())
        return done


def run_code(*arguments):
    done = subprocess.run([QPCSEAL, *map(str, arguments)], capture_output=True, check=False)
    return done.returncode


class Paths(Inputs):
    def test_paths_that_are_no_plain_files(self):
        link, folder, fifo = self.path("link"), self.path("folder"), self.path("fifo")
        link.symlink_to(self.model)
        folder.mkdir()
        os.mkfifo(fifo)
        self.refused(2, "nothing that was given is a QPC", qpc=folder)
        self.one_line(self.appliance.qpcseal("inspect", folder, expect=4), "no seal.set")
        for bad, words in ((link, "symbolic link"), (folder, "regular file"), (fifo, "regular file"),
                           (self.path("missing"), "No such file"), ("/dev/zero", "regular file")):
            with self.subTest(str(bad)):
                if bad != folder:  # a folder stands for the models in it
                    self.refused(3, words, qpc=bad, timeout=20)
                self.refused(3, words, reports=[bad], timeout=20)
                self.one_line(self.appliance.qpcseal("attest", "verify", bad, expect=3, timeout=20), words)
                if bad != folder:
                    self.one_line(self.appliance.qpcseal("inspect", bad, expect=3, timeout=20), words)
                self.one_line(self.appliance.load(bad, expect=3), words, program="qpcseal-device")

    def test_unreadable(self):
        secret = self.path("secret.qpc")
        shutil.copy(self.model, secret)
        secret.chmod(0)
        self.addCleanup(secret.chmod, 0o600)
        plain = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        for command in (["inspect", secret], ["encrypt-model", "--qpc", secret, "--mek", "resnet50", "--output-dir",
                                              self.path("out")]):
            self.one_line(run(*plain, QPCSEAL, *command, env=self.appliance.env, expect=3), "Permission denied")
        self.assertFalse((self.path("out") / "programqpc.bin").exists())

    def test_symlinked_outputs(self):
        victim, link = self.path("victim"), self.path("link")
        victim.write_text("precious")
        link.symlink_to(victim)
        for force in ([], ["--force"]):
            done = subprocess.run([QPCSEAL, "attest", "request", "--mek", "resnet50", "-o", link, *force],
                                  env=self.appliance.env, capture_output=True, text=True, check=False)
            self.assertIn(done.returncode, (0, 3))
            self.assertEqual(victim.read_text(), "precious")

    def test_existing_outputs_stay(self):
        """Never overwritten without --force."""
        report = self.appliance.attest("resnet50")
        sealed = self.path("sealed")
        self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", sealed)
        there = self.path("there")
        there.mkdir()
        (there / "programqpc.bin").write_text("precious")
        (there / "file").write_text("precious")
        attempts = [
            (QPCSEAL, "encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", there),
            (QPCSEAL, "encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", there, "--pub-keys",
             report),
            (QPCSEAL, "encrypt-with-session-keys", "--input-dir", sealed, "--mek", "resnet50", "--pub-keys", report,
             "--output-dir", there),
            (QPCSEAL, "attest", "request", "--mek", "resnet50", "-o", there / "file"),
            (QPCSEAL, "audit", "checkpoint", "-o", there / "file"),
            (ATTEST, "--ip", "127.0.0.1", "--port", self.appliance.port, "-d", 0, "-i",
             self.root / "report.dat.request", "-o", there / "file"),
        ]
        for command in attempts:
            with self.subTest(str(command[1])):
                done = run(*command, env=self.appliance.env, expect=3)
                self.assertIn("exists", done.stderr)
                self.assertEqual((there / "programqpc.bin").read_text(), "precious")
                self.assertEqual((there / "file").read_text(), "precious")
        # The refusals came before the report was used up.
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "resnet50", "--pub-keys",
                               report)
        plain = self.path("plain")
        plain.write_text("precious")
        self.appliance.load(sealed / "programqpc.bin", out=plain, expect=3)
        self.assertEqual(plain.read_text(), "precious")


class Meks(Inputs):
    def test_a_file_is_no_mek(self):
        old = self.path("MEK.dat")
        old.write_bytes(os.urandom(16))
        for reference in (old, "./MEK.dat", "/tmp/MEK.dat"):
            self.refused(4, "mek import", mek=reference)

    def test_no_such_mek(self):
        for reference in ("nosuch", "resnet50#2", "pkcs11:object=nosuch"):
            self.refused(6, mek=reference)

    def test_a_label_of_two_objects(self):
        pin = (self.root / "home" / "pin").read_text().strip()
        conf = softhsm_env(self.root / "home" / "tokens", self.root)
        self.appliance.qpcseal("mek", "generate", "twice")
        run("pkcs11-tool", "--module", tokens.SOFTHSM, "--login", "--pin", pin, "--keygen", "--key-type", "aes:16",
            "--label", "twice#1", "--id", os.urandom(16).hex(), env=conf)
        self.refused(6, "2 keys match", mek="twice")
        self.refused(6, "2 keys match", mek="twice#1")
        listed = self.appliance.json("mek", "list")
        own = next(mek for mek in listed if mek["label"] == "twice#1" and mek["state"] != "not in the log")
        other = next(mek for mek in listed if mek["label"] == "twice#1" and mek["state"] == "not in the log")

        def uri(mek):
            return "pkcs11:id=" + "".join("%" + mek["id"][i:i + 2] for i in range(0, 32, 2))
        self.refused(5, "not in the log", mek=uri(other))
        self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", uri(own), "--output-dir",
                               self.path("sealed"))


class Reports(Inputs):
    def answered(self, name, *more, device=0, appliance=None, mek="resnet50"):
        """A report by the card itself, with a fault where one is named."""
        appliance = appliance or self.appliance
        request, report = self.path(name + ".request"), self.path(name)
        appliance.qpcseal("attest", "request", "--mek", mek, "-o", request)
        self.appliance.device("attest", "--dir", self.appliance.cards, "--device", device, "-i", request, "-o", report,
                              *more)
        return report

    def denied(self, report, finding):
        said = self.appliance.json("attest", "verify", report, expect=5)
        self.assertIn(finding, [each["id"] for each in said["findings"]])
        self.refused(5, finding, reports=[report])

    def test_faulty_cards(self):
        for fault, finding in (("bad-nonce", "POL-CHALLENGE"), ("missing-measurement", "POL-MEASUREMENT-MISSING"),
                               ("extra-measurement", "POL-MEASUREMENT-EXTRA"), ("debug", "POL-DBGSTAT"),
                               ("off-curve-key", "ATT-CNF"), ("weak-rsa", "ATT-CNF"),
                               ("unknown-root", "ATT-CHAIN-ROOT"), ("wrong-aud", "POL-AUD")):
            with self.subTest(fault):
                self.denied(self.answered(fault, "--fault", fault), finding)

    def test_any_flipped_bit(self):
        report = self.answered("flip")
        good = report.read_bytes()
        bad = self.path("bad")
        count = 0
        for place in range(len(good)):
            if place % 9 and place + 40 < len(good):
                continue
            bad.write_bytes(good[:place] + bytes([good[place] ^ (1 << place % 8)]) + good[place + 1:])
            done = subprocess.run([QPCSEAL, "attest", "verify", bad], env=self.appliance.env, capture_output=True,
                                  check=False)
            self.assertEqual(done.returncode, 5, place)
            count += 1
        for place in range(0, len(good), len(good) // 6):
            bad.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1:])
            self.refused(*((5, "ATT-") if place else (4, "not an attestation report")), reports=[bad])
        self.appliance.qpcseal("attest", "verify", report)  # nothing of this used its challenge up
        print(f"\n{count} of {len(good)} bytes of a report changed: all refused", flush=True)

    def test_truncated_and_empty(self):
        report = self.answered("cut")
        good = report.read_bytes()
        bad = self.path("bad")
        for size in (0, 1, len(good) // 2, len(good) - 1):
            bad.write_bytes(good[:size])
            self.assertIn(run_any(self.appliance, "attest", "verify", bad), (4, 5))
        bad.write_bytes(good + b"\0")
        self.refused(4, "not an attestation report", reports=[bad])
        bad.write_bytes(bytes(70000))
        self.refused(4, reports=[bad])

    def test_bare_public_keys(self):
        key = self.path("key")
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        for form in ("PEM", "DER"):
            public = self.path(form)
            run("openssl", "pkey", "-in", key, "-pubout", "-outform", form, "-out", public)
            self.refused(4, "report", reports=[public])

    def test_second_use(self):
        report = self.answered("twice")
        sealed = self.path("sealed")
        self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", sealed,
                               "--pub-keys", report)
        self.denied(report, "POL-CHALLENGE-USED")
        before = (sealed / "programqpc.bin").read_bytes()
        result = self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "resnet50",
                                        "--pub-keys", report, "--force", expect=5)
        self.one_line(result, "POL-CHALLENGE-USED")
        self.assertEqual((sealed / "programqpc.bin").read_bytes(), before)

    def test_another_mek(self):
        self.appliance.qpcseal("mek", "generate", "other")
        self.refused(5, "POL-CHALLENGE-MEK", reports=[self.answered("report", mek="other")])
        # A container that another MEK sealed.
        sealed = self.path("sealed")
        self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", sealed)
        report = self.answered("second", mek="other")
        result = self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "other",
                                        "--pub-keys", report, expect=5)
        self.one_line(result, "sealed under MEK")

    def test_another_appliance(self):
        other = Appliance()
        self.addCleanup(other.close)
        other.qpcseal("mek", "generate", "resnet50")
        self.denied(self.answered("report", appliance=other), "POL-CHALLENGE")

    def test_stale(self):
        self.appliance = Appliance()  # one of its own: its log goes on from the later time
        self.addCleanup(self.appliance.close)
        self.appliance.qpcseal("mek", "generate", "resnet50")
        report = self.answered("stale")
        late = dict(self.appliance.env, LD_PRELOAD=str(BUILD / "tests" / "clock" / "libshift-clock.so"),
                    SHIFT_CLOCK=str(24 * 3600 + 5))
        self.refused(5, "POL-CHALLENGE-EXPIRED", reports=[report], env=late)

    def test_a_clock_behind(self):
        early = dict(self.appliance.env, LD_PRELOAD=str(BUILD / "tests" / "clock" / "libshift-clock.so"),
                     SHIFT_CLOCK=str(-10 * 365 * 86400))
        self.refused(5, "clock", env=early)


def run_any(appliance, *arguments):
    done = subprocess.run([QPCSEAL, *map(str, arguments)], env=appliance.env, capture_output=True, check=False)
    return done.returncode


class Cards(unittest.TestCase):
    """One appliance each: what its policy says of a card that answers honestly."""

    def denied(self, finding, edit):
        appliance = Appliance(policy_edit=edit)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        report = appliance.attest("m")
        said = appliance.json("attest", "verify", report, expect=5)
        self.assertIn(finding, [each["id"] for each in said["findings"]])
        out = appliance.root / "sealed"
        model = appliance.sample(size=100)
        appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", out, "--pub-keys", report,
                          expect=5)
        self.assertFalse((out / "programqpc.bin").exists())

    def test_ueid_not_listed(self):
        def edit(text):
            begin = text.index("ueids = [")
            return text[:begin] + 'ueids = ["' + "01" * 17 + '"]' + text[text.index("]", begin) + 1:]
        self.denied("POL-UEID", edit)

    def test_revoked(self):
        def edit(text):
            begin = text.index("ueids = [")
            listed = text[begin + len("ueids = "):text.index("]", begin) + 1]
            return text.replace("revoked_ueids = []", "revoked_ueids = " + listed)
        self.denied("POL-REVOKED", edit)

    def test_lifecycle(self):
        self.denied("POL-LIFECYCLE", lambda text: text.replace('lifecycle = ["secured"]', 'lifecycle = ["test"]'))


class Pins(unittest.TestCase):
    def test_a_wrong_pin_is_tried_once(self):
        appliance = Appliance(cards=1, token=tokens.Forwarded)
        self.addCleanup(appliance.close)
        token = appliance.token
        good = token.pin.read_text()
        token.trace()
        for wrong in ("not-the-pin\n", "1\n", "x" * 200 + "\n"):
            token.pin.write_text(wrong)
            for command in (("mek", "generate", "a"), ("doctor",), ("mek", "list")):
                result = appliance.qpcseal(*command, expect=6)
                self.assertRegex(result.stderr, r"C_Login.*CKR_PIN_\w+ \(0x")
                logins = [result for name, result in token.trace() if name == "C_Login"]
                self.assertEqual(len(logins), 1, "one try")
                self.assertNotEqual(logins[0], 0)
        token.pin.write_text("\n")
        appliance.qpcseal("mek", "list", expect=6)
        self.assertEqual([name for name, _ in token.trace() if name == "C_Login"], [])
        token.pin.write_text(good)
        token.pin.chmod(0o640)
        self.assertIn("readable by nobody else", appliance.qpcseal("mek", "list", expect=6).stderr)
        token.pin.chmod(0o600)
        appliance.qpcseal("mek", "list")

    def test_pin_from_a_descriptor(self):
        appliance = Appliance(cards=1, token=tokens.Forwarded)
        self.addCleanup(appliance.close)
        for text, expect in ((tokens.PIN, 0), (tokens.PIN + "\n", 0), ("wrong-pin", 6), ("", 6)):
            read, write = os.pipe()
            os.write(write, text.encode())
            os.close(write)
            done = subprocess.run([QPCSEAL, "mek", "list", "--pin-fd", str(read)], env=appliance.env, pass_fds=[read],
                                  capture_output=True, text=True, check=False)
            os.close(read)
            self.assertEqual(done.returncode, expect, done.stderr)


class GoneToken(unittest.TestCase):
    """The token goes away in the middle; tests/fault/token_faults.py does it at every call."""

    def test_while_sealing(self):
        appliance = Appliance(cards=1, token=tokens.Forwarded)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        model = appliance.sample(size=3 << 20)
        out = appliance.root / "sealed"
        for rule in ("C_EncryptUpdate 9 vanish", "C_EncryptFinal 2 vanish-after"):
            appliance.token.faults(rule)
            result = appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", out, expect=6)
            self.assertIn("CKR_DEVICE_REMOVED", result.stderr)
            self.assertEqual(list(out.rglob("*")), [])
            appliance.token.faults()
            appliance.token.restart_if_gone()
            appliance.qpcseal("audit", "verify")
        appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", out)
        kinds = [(e["kind"], e.get("outcome")) for e in appliance.json("audit", "show")["entries"]]
        self.assertEqual(kinds.count(("seal", "ok")), 1)
        self.assertEqual(len([k for k in kinds if k[0] == "seal" and k[1] in ("failed", "unknown")]), 2)


@unittest.skipIf(os.geteuid() != 0, "mounting a small file system needs root")
class FullDisk(Inputs):
    def small(self, size):
        mount = self.path("small")
        mount.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount)
        self.addCleanup(run, "umount", mount)
        return mount

    def test_outputs(self):
        model = self.appliance.sample("large.qpc", size=1 << 20)
        sealed = self.path("sealed")
        self.appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir", sealed)
        report = self.appliance.attest("resnet50", name=self.id())
        mount = self.small("256k")
        for command in (("encrypt-model", "--qpc", model), ("encrypt-with-session-keys", "--input-dir", sealed,
                                                            "--pub-keys", report)):
            result = self.appliance.qpcseal(*command, "--mek", "resnet50", "--output-dir", mount / "out", expect=3)
            self.one_line(result, "No space left")
            self.assertEqual(list((mount / "out").glob("*")), [])
        (mount / "fill").write_bytes(bytes((256 << 10) - (mount / "out").stat().st_size - 8192))
        with open(mount / "fill", "ab", buffering=0) as fill:
            try:
                while True:
                    fill.write(bytes(4096))
            except OSError:
                pass
        result = self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "-o", mount / "request", expect=3)
        self.one_line(result, "No space left")
        self.assertFalse((mount / "request").exists())

    def test_the_log_itself(self):
        """What cannot be logged does not happen."""
        mount = self.small("8m")
        appliance = Appliance(init=False, cards=1)
        self.addCleanup(appliance.close)
        appliance.env["QPCSEAL_HOME"] = str(mount / "home")
        appliance.init()
        appliance.qpcseal("mek", "generate", "m")
        before = (mount / "home" / "log" / "entries.jsonl").read_bytes()
        with open(mount / "fill", "wb", buffering=0) as fill:
            try:
                while True:
                    fill.write(bytes(4096))
            except OSError:
                pass
        result = appliance.qpcseal("mek", "generate", "second", expect=3)
        self.one_line(result, "No space left")
        (mount / "fill").unlink()
        self.assertEqual([mek["label"] for mek in appliance.json("mek", "list")], ["m#1"])
        self.assertTrue((mount / "home" / "log" / "entries.jsonl").read_bytes().startswith(before))
        appliance.qpcseal("mek", "generate", "second")
        appliance.qpcseal("audit", "verify")


if __name__ == "__main__":
    unittest.main()
