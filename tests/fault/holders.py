"""Which cards can load a key, from whatever files there are: as a thief would see it who gets every one of them.

Nothing is asked of the product. Each wrapped key that stands anywhere, in outputs, temporary files, containers or what a
home keeps, is tried with the session key of each card. A container is also given to the card's own loader.
"""

import base64
import json
import pathlib
import subprocess

from cryptography.hazmat.primitives import keywrap, serialization

import points  # noqa: F401 (where the others are)
import decryptor
import wrapping
from appliance import DEVICE
from qpc_format import FormatError

POINT = 65  # bytes of an uncompressed P-256 point
WRAPPED = 46  # bytes of MEK.encrypt for P-256
SLOT = 1024


class Card:
    def __init__(self, cards, number):
        self.number, self.cards = number, cards
        said = subprocess.run([DEVICE, "describe", "--dir", str(cards), "--device", str(number)], capture_output=True,
                              check=True)
        self.ueid = json.loads(said.stdout)["ueid"]
        pem = (cards / "cards" / str(number) / "boot" / "session.pem").read_bytes()
        self.key = serialization.load_pem_private_key(pem, None)

    def loads(self, container):
        return subprocess.run([DEVICE, "load", "--dir", str(self.cards), "--device", str(self.number), str(container)],
                              capture_output=True, check=False).returncode == 0


def wraps_in(data, neighbours):
    """(MEK.encrypt, possible MEK.pub) in a file's bytes; `neighbours` are the points in files of the same folder."""
    at = data.find(wrapping.WRAPPED_MAGIC)
    while at >= 0:
        points = [data[at + 2 * SLOT:at + 2 * SLOT + POINT], *neighbours]
        yield from ((data[at:at + WRAPPED], point) for point in points if len(point) == POINT and point[0] == 4)
        at = data.find(wrapping.WRAPPED_MAGIC, at + 1)


def kept_in(data):
    """The same, of what a home keeps until the log has a result: JSON with base64."""
    try:
        kept = json.loads(data)
        yield from ((base64.b64decode(one["encrypt"]), base64.b64decode(one["pub"])) for one in kept.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return


class Holders:
    """Goes on adding up: what could be loaded once can be loaded from then on."""

    def __init__(self, cards, nonces, seal_key):
        """`nonces`: of all challenges that any of the cards answered, as bytes. `seal_key` as the cards have it."""
        self.cards, self.nonces, self.seal_key, self.found, self.tried = cards, nonces, seal_key, {}, set()

    def look(self, *folders):
        for path in (path for folder in folders for path in pathlib.Path(folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                self.look_at(path)
        return self

    def look_at(self, path):
        data = path.read_bytes()
        if b"QMEK" not in data and b'"encrypt"' not in data:
            return
        points = [near.read_bytes() for near in path.parent.iterdir() if near.is_file() and near.stat().st_size == POINT]
        for encrypt, point in [*wraps_in(data, points), *kept_in(data)]:
            self.try_keys(encrypt, point)
        if data[:4] != b"QMEK" and b"seal.manifest" in data:
            for card in self.cards:
                self.load(card, path, data)

    def try_keys(self, encrypt, point):
        if (encrypt, point) in self.tried:
            return
        self.tried.add((encrypt, point))
        for card in self.cards:
            for nonce in self.nonces:
                try:
                    wrapping.unwrap(encrypt, nonce, point, card.key, bytes.fromhex(card.ueid))
                    self.found.setdefault((card.ueid, nonce.hex()), set()).add(encrypt)
                except (FormatError, keywrap.InvalidUnwrap, ValueError):
                    pass

    def load(self, card, path, data):
        """The two loaders agree, and what they load was found before."""
        try:
            decryptor.open_container(data, session_key=card.key, ueid=bytes.fromhex(card.ueid),
                                     seal_key=self.seal_key)
            opened = True
        except decryptor.ERRORS:
            opened = False
        if opened != card.loads(path):
            raise AssertionError(f"{path}: one loader opens it with card {card.number}, the other does not")
        if opened and card.ueid not in self.ueids():
            raise AssertionError(f"{path}: card {card.number} loads it, and no wrapped key was found in it")

    def ueids(self):
        return {ueid for ueid, _ in self.found}

    def wrapped_twice(self):
        return [nonce for (_, nonce), wraps in self.found.items() if len(wraps) > 1]
