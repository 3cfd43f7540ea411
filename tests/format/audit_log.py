"""An audit log, checked from FORMAT.md section 6 alone."""

import base64
import hashlib
import json
import pathlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from qpc_format import FormatError, require

PHASES = {"intent", "wrapped", "result", "event"}
OUTCOMES = {"ok", "denied", "failed", "unknown"}
WRAPPED_FIRST = {"release", "mek-backup", "mek-expose"}  # an `ok` of these needs a wrapped entry
DIGEST = re.compile("[0-9a-f]{64}")
MEMBERS = {"v", "seq", "time", "kind", "phase", "txn", "software", "prev", "intent", "outcome", "data"}


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf(line):
    return sha256(b"\0" + line)


def root_of(leaves):
    """RFC 6962 section 2."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + root_of(leaves[:split]) + root_of(leaves[split:]))


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Key:
    """A vkey: `name+hex(key id)+base64(type || key)`."""

    def __init__(self, text):
        self.text = text
        self.name, key_id, key = text.strip().split("+", 2)
        raw = base64.b64decode(key, validate=True)
        self.type, self.raw = raw[0], raw[1:]
        require(self.type in (1, 2), "an unknown type of key")
        hashed = self.name.encode() + b"\n\1" + self.raw if self.type == 1 else self.name.encode() + self.raw
        self.id = sha256(hashed)[:4]
        require(self.id.hex() == key_id, "a key id that is not its key's")

    def verify(self, signature, message):
        try:
            if self.type == 1:
                ed25519.Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
            else:
                serialization.load_der_public_key(self.raw).verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise FormatError("a signature that is not the log key's") from error


def check_note(note, key):
    """(size, root) of a checkpoint that `key` signed."""
    text, _, signatures = note.partition("\n\n")
    origin, size, root = text.split("\n")
    require(origin == key.name and str(int(size)) == size, "another origin, or no decimal size")
    for line in signatures.splitlines():
        dash, name, value = line.split(" ")
        signature = base64.b64decode(value, validate=True)
        if dash == "\N{EM DASH}" and name == key.name and signature[:4] == key.id:
            key.verify(signature[4:], (text + "\n").encode())
            return int(size), base64.b64decode(root, validate=True)
    raise FormatError("no signature of the log's key")


class Acts:
    """Intents, what was wrapped and results, in their order."""

    def __init__(self):
        self.intents, self.wrapped, self.closed = {}, set(), set()

    def add(self, entry):
        seq, phase = entry["seq"], entry["phase"]
        require(phase in PHASES and ("outcome" in entry) == (phase == "result"), f"entry {seq}: phase and outcome")
        require(("intent" in entry) == (phase in ("wrapped", "result")), f"entry {seq}: an intent too many, or too few")
        if phase == "intent":
            self.intents[seq] = entry
        if phase in ("wrapped", "result"):
            self.follow(entry)

    def follow(self, entry):
        seq, number = entry["seq"], entry["intent"]
        require(number in self.intents and number not in self.closed, f"entry {seq}: of no open intent")
        intent = self.intents[number]
        require((intent["kind"], intent["txn"]) == (entry["kind"], entry["txn"]), f"entry {seq}: of another act")
        for name in intent["data"].keys() & entry["data"].keys():
            require(intent["data"][name] == entry["data"][name], f"entry {seq}: {name} is not its intent's")
        if entry["phase"] == "wrapped":
            require(number not in self.wrapped, f"entry {seq}: wrapped twice")
            self.wrapped.add(number)
            return
        outcome = entry["outcome"]
        require(outcome in OUTCOMES, f"entry {seq}: an unknown outcome")
        require(number not in self.wrapped or outcome in ("ok", "unknown"), f"entry {seq}: {outcome} after a wrap")
        require(outcome != "ok" or entry["kind"] not in WRAPPED_FIRST or number in self.wrapped,
                f"entry {seq}: ok, and nothing was wrapped")
        self.closed.add(number)


class Image:
    """The image that the site facts name, if they do: no ceremony begins under another."""

    def __init__(self):
        self.named = None

    def take(self, facts, seq):
        self.named = facts.get("image")
        require(self.named is None or DIGEST.fullmatch(self.named), f"entry {seq}: an image that is no root hash")

    def add(self, entry):
        seq, kind, data = entry["seq"], entry["kind"], entry["data"]
        if kind == "genesis":
            self.take(data.get("site", {}), seq)
        elif kind == "site":
            require(data["old"].get("image") == self.named, f"entry {seq}: facts that were not in force")
            self.take(data["new"], seq)
        elif (kind, entry["phase"]) == ("ceremony", "intent") and self.named is not None:
            ran = data.get("environment", {}).get("image")
            require(ran == self.named, f"entry {seq}: under another image than the facts name")


def check_entry(entry, before, prev):
    seq = entry["seq"]
    require(entry.keys() <= MEMBERS and entry["v"] == 1, f"entry {seq}: members")
    require(entry["prev"] == prev.hex(), f"entry {seq}: does not follow the one before")
    require(entry["time"] >= before["time"] or entry["kind"] == "clock-correct", f"entry {seq}: goes back in time")


def verify(folder, vkey):
    """The entries that the checkpoint covers, oldest first. `vkey` is the log's first key. ValueError (FormatError is one)
    says what is wrong; lines behind the checkpoint are no part of the log."""
    folder, key = pathlib.Path(folder), Key(vkey)
    lines = (folder / "entries.jsonl").read_bytes().split(b"\n")
    note = (folder / "checkpoint").read_text(encoding="utf-8")
    size = int(note.split("\n")[1])
    require(0 < size < len(lines), "fewer entries than the checkpoint has")
    lines = lines[:size]
    entries, acts, image, prev = [], Acts(), Image(), bytes(32)
    for number, line in enumerate(lines):
        entry = json.loads(line)
        require(canonical(entry) == line and len(line) <= 65535, f"entry {number}: not canonical")
        require(entry["seq"] == number, f"entry {number}: another number")
        check_entry(entry, entries[-1] if entries else entry, prev)
        acts.add(entry)
        image.add(entry)
        if (entry["kind"], entry.get("outcome")) == ("rotate-key", "ok"):
            key = follow_rotation(entry, key)
        entries.append(entry)
        prev = leaf(line)
    require(entries[0]["kind"] == "genesis" and entries[0]["data"]["log_key"] == Key(vkey).text.strip(), "another log's key")
    require(check_note(note, key) == (size, root_of([leaf(line) for line in lines])), "the root is not the entries'")
    check_quarantine(folder, entries)
    return entries


def follow_rotation(entry, key):
    data = entry["data"]
    require(data["previous"] == key.text.strip(), f"entry {entry['seq']}: rotates another key")
    key.verify(base64.b64decode(data["signature"]), b"qpcseal/rotate-key/1\0" + data["log_key"].encode())
    return Key(data["log_key"])


def check_quarantine(folder, entries):
    for entry in entries:
        if entry["kind"] == "recovery":
            path = folder / entry["data"]["quarantine"]
            require(sha256(path.read_bytes()).hex() == entry["data"]["sha256"], f"{path} is not what the log says")


def releases(entries):
    """[(mek id, ueid, nonce)] of the releases that count: from the intent on, until a result proves that nothing was
    wrapped."""
    over = {e["intent"] for e in entries if e["kind"] == "release" and e.get("outcome") in ("denied", "failed")}
    return [tuple(e["data"][name] for name in ("mek_id", "ueid", "nonce"))
            for e in entries if e["kind"] == "release" and e["phase"] == "intent" and e["seq"] not in over]
