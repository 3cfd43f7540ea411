"""The audit commands on a log that a real token signed; proofs are checked again here, from the specifications."""

import base64
import datetime
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import unittest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import tokens
from appliance import Appliance, QPCSEAL, run

NOWHERE = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}  # an auditor's machine: no home, no token


def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaves):
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node(root_of(leaves[:half]), root_of(leaves[half:]))


def verify_note(note, vkey):
    """The signed text of a note, after its signature was verified."""
    name, key_id, blob = vkey.split("+", 2)
    blob = base64.b64decode(blob)
    text, signatures = note.split("\n\n", 1)
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        assert dash == "\u2014"
        signature = base64.b64decode(signature)
        if signer != name or signature[:4].hex() != key_id:
            continue
        if blob[0] == 1:
            assert hashlib.sha256(name.encode() + b"\n" + blob).hexdigest()[:8] == key_id
            ed25519.Ed25519PublicKey.from_public_bytes(blob[1:]).verify(signature[4:], text.encode())
        else:
            assert hashlib.sha256(blob[1:]).hexdigest()[:8] == key_id
            serialization.load_der_public_key(blob[1:]).verify(signature[4:], text.encode(),
                                                               ec.ECDSA(hashes.SHA256()))
        return text
    raise AssertionError("no signature of " + name)


class TileReader:
    """C2SP tlog-tiles: tiles of 256 hashes, of every eighth level of the tree; entries in bundles of 256."""

    def __init__(self, folder, vkey):
        self.folder, self.fetched = folder, set()
        _, size, root = verify_note((folder / "checkpoint").read_text(), vkey).splitlines()
        self.size, self.root = int(size), base64.b64decode(root)

    def fetch(self, kind, number, width):
        name = f"{number % 1000:03}"
        while number >= 1000:
            name, number = f"x{number // 1000 % 1000:03}/{name}", number // 1000
        name = f"tile/{kind}/{name}" + (f".p/{width}" if width < 256 else "")
        self.fetched.add(name)
        return (self.folder / name).read_bytes()

    def node(self, level, index):
        """The hash over entries [index * 2**level, (index + 1) * 2**level)."""
        if level % 8 != 0:
            return node(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))
        number, at = index // 256, index % 256
        tile = self.fetch(level // 8, number, min(256, (self.size >> level) - number * 256))
        return tile[32 * at:32 * at + 32]

    def range(self, start, end):
        width = end - start
        if width & (width - 1) == 0:
            return self.node(width.bit_length() - 1, start // width)
        half = 1 << ((width - 1).bit_length() - 1)
        return node(self.range(start, start + half), self.range(start + half, end))

    def root_by_proof(self, index, hash_of_entry, start=0, end=None):
        end = self.size if end is None else end
        if end - start == 1:
            return hash_of_entry
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            return node(self.root_by_proof(index, hash_of_entry, start, middle), self.range(middle, end))
        return node(self.range(start, middle), self.root_by_proof(index, hash_of_entry, middle, end))

    def entry(self, index):
        number = index // 256
        bundle = self.fetch("entries", number, min(256, self.size - number * 256))
        for _ in range(index % 256):
            bundle = bundle[2 + int.from_bytes(bundle[:2], "big"):]
        return bundle[2:2 + int.from_bytes(bundle[:2], "big")]


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance()
        cls.appliance.qpcseal("mek", "generate", "resnet50")
        cls.early = cls.appliance.root / "early"
        cls.appliance.qpcseal("audit", "checkpoint", "-o", cls.early)
        cls.model = cls.appliance.sample()
        report = cls.appliance.attest("resnet50")
        cls.appliance.qpcseal("encrypt-model", "--qpc", cls.model, "--mek", "resnet50", "--output-dir",
                              cls.appliance.root / "sealed", "--pub-keys", report)
        cls.vkey = cls.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        cls.log = cls.appliance.root / "home" / "log"

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def path(self, name):
        return self.appliance.root / f"{self.id().rsplit('.', 1)[1]}-{name}"

    def test_verify_needs_no_home(self):
        copy = self.path("copy")
        shutil.copytree(self.log, copy)
        said = run(QPCSEAL, "audit", "verify", "--log", copy, "--key", self.vkey, "--json", env=NOWHERE)
        said = json.loads(said.stdout)
        self.assertTrue(said["verified"] and said["key_given"])
        lines = (copy / "entries.jsonl").read_bytes().splitlines()
        self.assertEqual(said["size"], len(lines))
        self.assertEqual(said["root"], root_of([leaf(line) for line in lines]).hex())
        text = verify_note((copy / "checkpoint").read_text(), self.vkey)
        self.assertEqual(text, f"test\n{len(lines)}\n{base64.b64encode(bytes.fromhex(said['root'])).decode()}\n")

    def test_damage_is_exit_8_and_names_the_entry(self):
        copy = self.path("copy")
        shutil.copytree(self.log, copy)
        entries = copy / "entries.jsonl"
        lines = entries.read_bytes().splitlines(keepends=True)
        entries.write_bytes(b"".join(lines[:1] + [lines[1].replace(b"resnet50", b"resnet51")] + lines[2:]))
        said = run(QPCSEAL, "audit", "verify", "--log", copy, "--key", self.vkey, env=NOWHERE, expect=8)
        self.assertIn("entry 1 ", said.stderr)

    def test_a_log_cut_back_is_found_by_an_earlier_checkpoint(self):
        late = self.path("late")
        self.appliance.qpcseal("audit", "checkpoint", "-o", late)
        self.assertIn(f"continues the checkpoint {self.early}",
                      self.appliance.qpcseal("audit", "verify", "--earlier", self.early).stdout)
        copy = self.path("copy")
        copy.mkdir()
        size = int(self.early.read_text().splitlines()[1])
        lines = (self.log / "entries.jsonl").read_bytes().splitlines(keepends=True)
        (copy / "entries.jsonl").write_bytes(b"".join(lines[:size]))
        shutil.copy(self.early, copy / "checkpoint")
        run(QPCSEAL, "audit", "verify", "--log", copy, "--key", self.vkey, env=NOWHERE)
        said = run(QPCSEAL, "audit", "verify", "--log", copy, "--key", self.vkey, "--earlier", late, env=NOWHERE,
                   expect=8)
        self.assertIn("rolled back", said.stderr)

    def test_show_filters(self):
        releases = self.appliance.json("audit", "show", "--kind", "release")["entries"]
        self.assertEqual([entry["phase"] for entry in releases], ["intent", "wrapped", "result"])
        card = releases[1]["data"]["ueid"]
        self.assertEqual(self.appliance.json("audit", "show", "--card", card)["entries"], releases)
        self.assertEqual(self.appliance.json("audit", "show", "--since", "2100-01-01T00:00:00Z")["entries"], [])
        self.assertEqual(self.appliance.json("audit", "show", "--until", "2000-01-01T00:00:00Z")["entries"], [])
        everything = self.appliance.json("audit", "show")["entries"]
        time = releases[1]["time"]
        moment = datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        since = self.appliance.json("audit", "show", "--since", moment)["entries"]
        until = self.appliance.json("audit", "show", "--until", moment)["entries"]
        self.assertEqual((since, until), ([e for e in everything if e["time"] >= time],
                                          [e for e in everything if e["time"] <= time]))
        of_mek = self.appliance.json("audit", "show", "--mek", "resnet50")["entries"]
        self.assertEqual([entry["seq"] for entry in of_mek], list(range(1, len(everything))), "results too")
        self.assertEqual(self.appliance.json("audit", "show", "--mek", of_mek[0]["data"]["mek_id"])["entries"], of_mek)
        self.assertIn("no entry of a MEK", self.appliance.qpcseal("audit", "show", "--mek", "resnet5", expect=2).stderr)
        self.assertIn(card, self.appliance.qpcseal("audit", "show").stdout)
        self.appliance.qpcseal("audit", "show", "--since", "yesterday", expect=4)
        self.assertEqual(self.appliance.json("audit", "show", "--outcome", "ok")["entries"],
                         [entry for entry in everything if entry.get("outcome") == "ok"])
        self.assertEqual(self.appliance.json("audit", "show", "--outcome", "denied")["entries"], [])
        self.assertIn("--outcome denied", self.appliance.qpcseal("audit", "show", "--kind", "denied").stdout)
        self.appliance.qpcseal("audit", "show", "--outcome", "fine", expect=2)

    def test_a_copy_read_without_a_key_is_called_one(self):
        copy, page = self.path("copy"), self.path("page.html")
        shutil.copytree(self.log, copy)
        words = "no more than that the log agrees with itself"
        for command in (("verify",), ("show",), ("checkpoint",), ("report", "-o", page, "--force")):
            said = run(QPCSEAL, "audit", *command, "--log", copy, env=NOWHERE)
            self.assertEqual((said.stdout + said.stderr).count(words), 1, command)
            if command[0] == "report":
                self.assertIn("No verification key", page.read_text())
            said = run(QPCSEAL, "audit", *command, "--log", copy, "--key", self.vkey, env=NOWHERE)
            self.assertNotIn(words, said.stdout + said.stderr)
        self.assertNotIn("No verification key", page.read_text())

    def test_receipt(self):
        entry = self.appliance.json("audit", "show", "--kind", "release")["entries"][2]
        receipt = self.path("receipt")
        self.appliance.qpcseal("audit", "receipt", entry["seq"], "-o", receipt)
        check = ("audit", "check-receipt", receipt, "--key", self.vkey)
        said = json.loads(run(QPCSEAL, *check, "--json", env=NOWHERE).stdout)
        self.assertEqual((said["phase"], said["outcome"], said["data"]), ("result", "ok", entry["data"]))
        self.appliance.qpcseal("audit", "receipt", entry["seq"], "-o", receipt, expect=3)
        self.appliance.qpcseal("audit", "receipt", 100000, "-o", self.path("none"), expect=2)
        good = receipt.read_bytes()
        for i in range(len(good) - 1):
            receipt.write_bytes(good[:i] + bytes([good[i] ^ 1]) + good[i + 1:])
            if i % 29 == 0:
                done = run_any(*check)
                self.assertIn(done, (4, 8), f"byte {i}")

    def test_a_receipt_says_of_what_it_is(self):
        """The receipt of an intent must not read like that of a release."""
        phases = {}
        for entry in self.appliance.json("audit", "show")["entries"]:
            phases.setdefault((entry["phase"], entry.get("outcome", "")), entry)
        self.assertLessEqual({("intent", ""), ("event", ""), ("result", "ok")}, set(phases))
        for (phase, outcome), entry in phases.items():
            receipt = self.path("receipt-" + phase + outcome)
            words = ", ".join([entry["kind"], f"{phase} {outcome}".strip()])
            made = self.appliance.qpcseal("audit", "receipt", entry["seq"], "-o", receipt).stdout
            checked = run(QPCSEAL, "audit", "check-receipt", receipt, "--key", self.vkey, env=NOWHERE).stdout
            for said in (made, checked):
                self.assertIn(words, said)
                self.assertEqual("it was to be done" in said, phase == "intent", said)

    def test_export_is_in_the_layout_of_tlog_tiles(self):
        out = self.path("tiles")
        self.appliance.qpcseal("audit", "export", "-o", out)
        size = int((out / "checkpoint").read_text().splitlines()[1])
        tile = (out / "tile" / "0" / "000.p" / str(size)).read_bytes()
        bundle = (out / "tile" / "entries" / "000.p" / str(size)).read_bytes()
        leaves = []
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            leaves.append(leaf(bundle[2:2 + length]))
            bundle = bundle[2 + length:]
        self.assertEqual(b"".join(leaves), tile)
        self.assertEqual(base64.b64encode(root_of(leaves)).decode(), (out / "checkpoint").read_text().splitlines()[2])
        self.appliance.qpcseal("audit", "export", "-o", out, expect=3)

    def test_export_of_several_tiles_gives_every_proof(self):
        """A reader that knows the specification alone fetches tiles, and proves entries by them."""
        appliance = Appliance(cards=1)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        appliance.qpcseal("attest", "request", "--mek", "m", "--host", "h", "--device", "0-599", "-o",
                          appliance.root / "requests")
        appliance.qpcseal("audit", "export", "-o", appliance.root / "tiles")
        vkey = appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        lines = (appliance.root / "home" / "log" / "entries.jsonl").read_bytes().splitlines()
        reader = TileReader(appliance.root / "tiles", vkey)
        self.assertEqual(reader.size, len(lines))
        self.assertEqual(reader.root, root_of([leaf(line) for line in lines]))
        for index in (0, 1, 255, 256, 511, 512, reader.size - 1):
            entry = reader.entry(index)
            self.assertEqual(entry, lines[index])
            self.assertEqual(reader.root_by_proof(index, leaf(entry)), reader.root, index)
            self.assertNotEqual(reader.root_by_proof(index, leaf(entry + b" ")), reader.root, index)
        self.assertEqual(reader.fetched | {"checkpoint"}, {path.relative_to(reader.folder).as_posix()
                                                           for path in reader.folder.rglob("*") if path.is_file()})

    def test_checkpoint_has_words(self):
        said = self.appliance.json("audit", "checkpoint")
        self.assertEqual(len(said["words"].split(" ")), 32)


class KeyTypes(unittest.TestCase):
    """Checkpoints, receipts and rotations of both types of key verify with a few lines of Python."""

    def checked(self, kind, token=None):
        appliance = Appliance(cards=1, token=token)
        self.addCleanup(appliance.close)
        if isinstance(appliance.token, tokens.Forwarded):
            appliance.token.faults()
        appliance.qpcseal("mek", "generate", "resnet50")
        first = appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        self.assertEqual(base64.b64decode(first.split("+", 2)[2])[0], kind)
        log = appliance.root / "home" / "log"
        checkpoint, receipt = appliance.root / "checkpoint", appliance.root / "receipt"
        appliance.qpcseal("audit", "checkpoint", "-o", checkpoint)
        self.assertEqual(self.root_in(checkpoint.read_text(), first), self.root_of_log(log))
        second = appliance.json("audit", "rotate-key")["log_key"]
        self.assertNotEqual(first, second)
        note = (log / "checkpoint").read_text()
        self.assertEqual(self.root_in(note, second), self.root_of_log(log))
        for wrong, key in ((note.replace("\n\n", "1\n\n"), second), (note, self.off_by_one(second))):
            with self.assertRaises((InvalidSignature, ValueError, AssertionError)):
                verify_note(wrong, key)
        appliance.qpcseal("audit", "receipt", 1, "-o", receipt)
        self.root_in(json.loads(receipt.read_text())["checkpoint"], second)
        for key in (first, second):
            run(QPCSEAL, "audit", "check-receipt", receipt, "--key", key, env=NOWHERE)
            run(QPCSEAL, "audit", "verify", "--log", log, "--key", first, env=NOWHERE)

    @staticmethod
    def root_in(note, vkey):
        return base64.b64decode(verify_note(note, vkey).splitlines()[2])

    @staticmethod
    def root_of_log(log):
        return root_of([leaf(line) for line in (log / "entries.jsonl").read_bytes().splitlines()])

    @staticmethod
    def off_by_one(vkey):
        """The same key id with another key of the same type."""
        name, key_id, blob = vkey.split("+", 2)
        if base64.b64decode(blob)[0] == 1:
            key = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        else:
            key = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return f"{name}+{key_id}+{base64.b64encode(base64.b64decode(blob)[:1] + key).decode()}"

    def test_ed25519_of_softhsm(self):
        self.checked(1)

    def test_ecdsa_p256_of_softhsm(self):
        """Where it makes no Ed25519 pairs: older builds do not."""
        class WithoutEddsa(tokens.Forwarded):
            def init_options(self):
                # Both encodings of the curve, tried twice.
                self.faults(*(f"C_GenerateKeyPair {i} return 0x70" for i in (1, 2, 3, 4)))
                return super().init_options()

        self.checked(2, token=WithoutEddsa)

    def test_ecdsa_p256_of_nss(self):
        if not tokens.Nss.installed():
            self.skipTest("NSS softoken is not installed (libnss3, libnss3-tools)")
        self.checked(2, token=tokens.Nss)


class Anchor(unittest.TestCase):
    def test_doctor_without_a_home_leaves_shared_files_alone(self):
        """A file 'lock' in the folder for temporary files is somebody else's."""
        appliance = Appliance(cards=1)
        self.addCleanup(appliance.close)
        shared = appliance.root / "shared"
        shared.mkdir()
        (shared / "lock").write_text("a note")
        conf = appliance.root / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {appliance.root / 'home' / 'tokens'}\nobjectstore.backend = file\n")
        env = dict(appliance.env, TMPDIR=str(shared), SOFTHSM2_CONF=str(conf))
        with open(shared / "lock", encoding="ascii") as held, open(appliance.root / "home" / "pin", encoding="ascii") as pin:
            fcntl.flock(held, fcntl.LOCK_EX)
            run(QPCSEAL, "doctor", "--module", tokens.SOFTHSM, "--token", "qpcseal", "--lock-timeout", 1, "--pin-fd",
                pin.fileno(), env=env, pass_fds=(pin.fileno(),))
        self.assertEqual((shared / "lock").read_text(), "a note")
        self.assertEqual([path.name for path in shared.iterdir()], ["lock"])

    def test_doctor_says_what_it_proves(self):
        appliance = Appliance(cards=1, token=tokens.Forwarded)
        self.addCleanup(appliance.close)
        self.assertIn("put back with it is noticed by witnesses alone", appliance.qpcseal("doctor").stdout)
        appliance.token.faults("C_CreateObject * return 0x13")
        done = subprocess.run([QPCSEAL, "doctor"], env=appliance.env, capture_output=True, text=True, check=False)
        self.assertIn("none: the token keeps no data objects", done.stdout, done.stderr)


def run_any(*arguments):
    return subprocess.run([QPCSEAL, *map(str, arguments)], env=NOWHERE, capture_output=True, check=False).returncode


if __name__ == "__main__":
    unittest.main()
