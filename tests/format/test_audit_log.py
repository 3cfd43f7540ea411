"""The log's checker refuses each log that its own key signed and that is none."""

import base64
import pathlib
import tempfile
import unittest

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import audit_log
from material import ed25519_key, filler
from sealed_format import sha256


class Writer:
    """Writes a log with a key of its own."""

    def __init__(self, label="log"):
        self.key = ed25519_key(label)
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        name = "test"
        self.id = sha256(name.encode() + b"\n\1" + raw)[:4]
        self.vkey = f"{name}+{self.id.hex()}+{base64.b64encode(bytes([1]) + raw).decode()}"
        self.lines, self.seq = [], 0
        self.add("genesis", log_key=self.vkey)

    def add(self, kind, phase="event", *, txn="00", time=1000, intent=None, outcome=None, **data):
        entry = {"v": 1, "seq": len(self.lines), "time": time, "kind": kind, "phase": phase, "txn": txn,
                 "software": "test", "prev": (audit_log.leaf(self.lines[-1]) if self.lines else bytes(32)).hex(),
                 "data": data}
        entry.update({name: value for name, value in (("intent", intent), ("outcome", outcome)) if value is not None})
        self.lines.append(audit_log.canonical(entry))
        return entry["seq"]

    def note(self, size=None, root=None):
        lines = self.lines[:size]
        root = audit_log.root_of([audit_log.leaf(line) for line in lines]) if root is None else root
        text = f"test\n{len(lines)}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(self.id + self.key.sign(text.encode())).decode()
        return f"{text}\n\N{EM DASH} test {signature}\n"

    def write(self, folder, note=None):
        folder = pathlib.Path(folder)
        (folder / "entries.jsonl").write_bytes(b"".join(line + b"\n" for line in self.lines))
        (folder / "checkpoint").write_text(note or self.note(), encoding="utf-8")


class AuditLog(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.log = Writer()

    def verify(self, note=None):
        self.log.write(self.folder, note)
        return audit_log.verify(self.folder, self.log.vkey)

    def refused(self, text, note=None):
        with self.assertRaisesRegex(ValueError, text):
            self.verify(note)

    def release(self, *phases, mek="m", **data):
        intent = self.log.add("release", "intent", mek_id=mek, ueid="u", nonce="n")
        for phase in phases:
            outcome = None if phase == "wrapped" else phase
            self.log.add("release", "wrapped" if phase == "wrapped" else "result", intent=intent, outcome=outcome, **data)

    def test_a_whole_log(self):
        self.release("wrapped", "ok", mek_id="m")
        self.assertEqual(audit_log.releases(self.verify()), [("m", "u", "n")])

    def test_a_line_behind_the_checkpoint_is_no_part_of_it(self):
        self.log.add("clock", confirmed="2026-11-28")
        self.assertEqual(len(self.verify(self.log.note(1))), 1)

    def test_what_counts_as_a_release(self):
        for phases, counts in (((), 1), (("wrapped",), 1), (("wrapped", "unknown"), 1), (("denied",), 0), (("failed",), 0)):
            self.log = Writer()
            self.release(*phases)
            self.assertEqual(len(audit_log.releases(self.verify())), counts, phases)

    def test_results_that_contradict_their_intents(self):
        for phases in (("wrapped", "denied"), ("wrapped", "failed"), ("ok",), ("wrapped", "wrapped"), ("failed", "failed")):
            self.log = Writer()
            self.release(*phases)
            self.refused("after a wrap|nothing was wrapped|wrapped twice|no open intent")
        self.log = Writer()
        self.release("wrapped", "ok", mek_id="another")
        self.refused("mek_id is not its intent's")

    def test_entries_that_were_changed_or_taken_out(self):
        self.log.add("clock", confirmed="2026-11-28")
        note = self.log.note()
        self.log.lines[1] = self.log.lines[1].replace(b"2026-11-28", b"2026-11-29")
        self.refused("root is not", note)
        self.log.lines.pop()
        self.refused("fewer entries", note)

    def test_an_order_or_a_form_that_is_not_the_logs(self):
        self.log.add("clock", time=999, confirmed="2026-11-28")
        self.refused("back in time")
        self.log = Writer()
        self.log.lines[0] = self.log.lines[0].replace(b'"v":1', b'"v": 1')
        self.refused("not canonical")
        self.log = Writer()
        self.log.add("clock", confirmed="2026-11-28")
        self.log.lines[0] = self.log.lines[0].replace(b'"time":1000', b'"time":1001')
        self.refused("does not follow")

    def test_a_checkpoint_of_another_key(self):
        self.log.key = ed25519_key("another")
        self.refused("signature")

    def test_a_ceremony_under_another_image_than_the_facts_name(self):
        one, two = "1" * 64, "2" * 64

        def change(old, new):
            self.log.add("site", old={"image": old} if old else {}, new={"image": new} if new else {})

        def ceremony(environment):
            self.log.add("ceremony", "intent", environment=environment)

        ceremony({"image": None})
        change(None, one)
        ceremony({"image": one})
        change(one, two)
        ceremony({"image": two})
        change(two, None)
        ceremony({"image": one})
        self.verify()
        for wrong in ({"image": two}, {"image": None}, {}):
            self.log = Writer()
            change(None, one)
            ceremony(wrong)
            self.refused("entry 2: under another image")
        self.log = Writer()
        change(two, one)
        self.refused("not in force")
        self.log = Writer()
        change(None, "A" * 64)
        self.refused("no root hash")

    def test_lines_that_were_put_aside(self):
        aside = filler("aside", 100)
        self.log.add("recovery", quarantine="quarantine-00.jsonl", sha256=sha256(aside).hex())
        (self.folder / "quarantine-00.jsonl").write_bytes(aside)
        self.verify()
        (self.folder / "quarantine-00.jsonl").write_bytes(aside[1:])
        self.refused("not what the log says")

    def test_a_rotation_by_another_key(self):
        following = Writer("following")
        message = b"qpcseal/rotate-key/1\0" + following.vkey.encode()
        for key, good in ((self.log.key, True), (following.key, False)):
            self.log = Writer()
            intent = self.log.add("rotate-key", "intent", label="l")
            self.log.add("rotate-key", "result", intent=intent, outcome="ok", log_key=following.vkey,
                         previous=self.log.vkey, signature=base64.b64encode(key.sign(message)).decode())
            self.log.key, self.log.id = following.key, following.id
            if good:
                self.verify()
            else:
                self.refused("signature")


if __name__ == "__main__":
    unittest.main()
