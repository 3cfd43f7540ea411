#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the frozen vectors in tests/vectors; with --check it compares instead, and writes nothing.

Everything follows from fixed inputs, but for what ECDSA and key generation draw by themselves (P-256 signatures, the
evidence with its certificates, the RSA key): those are kept from the files that exist, and checked by verifying them.
"""

import argparse
import base64
import dataclasses
import datetime
import json
import pathlib
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import cards
import decryptor
import evidence as ev
import qpc_format
import sealed_format as sf
import sealer
import wrapping
from cards import REQUEST
from material import MEK, MEK_ID, NONCE, SEAL_ID, UEID, ec_key, ed25519_key, filler
from qpc_format import require

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "vectors"
PLAINTEXT_RULE = "byte i of the plaintext is (i + i // 256) mod 256"
SEAL_KEY = ed25519_key("seal")


def rule_bytes(size):
    return bytes((i + i // 256) & 0xFF for i in range(size))


def pem(key):
    if hasattr(key, "private_bytes"):
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return key.private_bytes(serialization.Encoding.PEM, *form).decode()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def load_private(text):
    return serialization.load_pem_private_key(text.encode(), None)


class Ivs:
    """A random source that hands out given values and keeps them for the vector."""

    def __init__(self, label):
        self.label, self.values = label, []

    def __call__(self, count):
        self.values.append(filler(f"{self.label} {len(self.values)}", count))
        return self.values[-1]

    @property
    def hex(self):
        return [value.hex() for value in self.values]


def case(name, inputs, **expected):
    def plain(value):
        return value.hex() if isinstance(value, bytes) else value

    inputs, expected = ({key: plain(value) for key, value in part.items()} for part in (inputs, expected))
    return {"name": name, "inputs": inputs, "expected": expected}


def plain_container(_):
    segments = [("network.elf", 0, rule_bytes(5)), ("constants.bin", 3, rule_bytes(9)), ("metadata.crc", 0, b"")]
    rows = [{"name": name, "offset": offset, "data": data.hex()} for name, offset, data in segments]
    base = 0x7FD92AD28010
    return [
        case(
            "from files",
            {"base": "0", "align": 1, "segments": rows},
            container=qpc_format.write_from_files(segments),
        ),
        case(
            "in a buffer",
            {"base": str(base), "align": 8, "segments": rows},
            container=qpc_format.write_in_buffer(segments, base),
        ),
    ]


def sealed_segment(_):
    sizes = [(size, ()) for size in (1, 16, 32767, 32768, 32769, 65535, 65536, 65537, 131072)]
    sizes += [(100, ((0, 52), (90, 10))), (200000, ((0, 52), (65536, 65536), (199999, 1)))]
    return [segment_case(mode, size, clear) for mode in (sf.TOKEN, sf.ENVELOPE) for size, clear in sizes]


def segment_case(mode, size, clear):
    name, draw = "network.elf", Ivs(f"segment {mode} {size}")
    header = sf.SegmentHeader(mode, 16, size, MEK_ID, SEAL_ID, clear)
    stored, part = sealer.seal_segment(MEK, header, name, rule_bytes(size), draw)
    inputs = {"mode": mode, "log2_chunk": 16, "mek": MEK, "mek_id": MEK_ID, "seal_id": SEAL_ID}
    inputs.update(name=name, size=size, plaintext_rule=PLAINTEXT_RULE, clear=[list(pair) for pair in clear])
    inputs.update(chunk_ivs=draw.hex)
    if mode == sf.ENVELOPE:
        inputs.update(data_key=draw.hex[0], data_key_iv=draw.hex[1], chunk_ivs=draw.hex[2:])
    expected = {"part": part, "digest": sf.segment_digest(stored, part), "stored_sha256": sf.sha256(stored)}
    expected["last_chunk_aad"] = sf.chunk_aad(header, name, header.chunks()[-1][0], True)
    if size <= 100:
        expected["stored"] = stored
    return case(f"mode {mode}, {size} bytes", inputs, **expected)


def example_manifest(**changes):
    entries = (
        sf.Entry("network.elf", 165, 0, sf.SEALED, filler("digest 1", 32), ((0, 64), (100, 20))),
        sf.Entry("constants.bin", 4294967296, 65536, sf.SEALED, filler("digest 2", 32)),
        sf.Entry("networkdesc.bin", 0, 0, sf.CLEAR, sf.segment_digest(b"")),
    )
    fields = (SEAL_ID, MEK_ID, 1790000000, "resnet-50 größer", 24, SEAL_ID, 0, 1, entries)
    return dataclasses.replace(sf.Manifest(*fields), **changes)


def manifest_inputs(manifest):
    result = {k: v.hex() if isinstance(v, bytes) else v for k, v in dataclasses.asdict(manifest).items()}
    result["entries"] = [
        {**row, "digest": row["digest"].hex(), "clear": [list(pair) for pair in row["clear"]]} for row in result["entries"]
    ]
    return result


def manifest(_):
    inner = sf.Entry("part0", 28672, 0, sf.INNER, filler("digest 3", 32))
    kinds = [
        ("alone", example_manifest()),
        ("no segments", example_manifest(entries=(), model="m", created=0, model_version=0)),
        ("second of three partitions", example_manifest(root=filler("root", 16), index=1, count=3)),
        ("with an inner container", example_manifest(entries=(inner,))),
    ]
    return [
        case(name, manifest_inputs(m), manifest=m.encode(), manifest_sha256=sf.sha256(m.encode())) for name, m in kinds
    ]


def tag_and_signature(old):
    encoded, iv = example_manifest().encode(), filler("tag iv", 12)
    p256 = ec_key("seal", ec.SECP256R1())
    signature = bytes.fromhex(old[1]["expected"]["seal_sig"]) if old else sealer.sign(p256, encoded)
    decryptor.check_signature(p256.public_key(), encoded, signature)
    cases = []
    for name, key, value in (("Ed25519", SEAL_KEY, sealer.sign(SEAL_KEY, encoded)), ("ECDSA P-256", p256, signature)):
        inputs = {"manifest": encoded, "mek": MEK, "tag_iv": iv, "seal_private_key": pem(key)}
        inputs["seal_public_key"] = pem(key.public_key())
        tag = sealer.make_tag(MEK, iv, encoded)
        cases.append(case(name, inputs, seal_tag=tag, signed_bytes=sf.signed_bytes(encoded), seal_sig=value))
    return cases


def wrap(old):
    rsa_key = load_private(old[3]["inputs"]["session_private_key"]) if old else rsa.generate_private_key(65537, 3072)
    p256, p384 = (ec_key("session", curve) for curve in (ec.SECP256R1(), ec.SECP384R1()))
    cases = []
    for suite, session in ((1, p256), (1, p384), (2, p256), (3, rsa_key), (4, rsa_key)):
        inputs = {"suite": suite, "mek": MEK, "mek_id": MEK_ID, "nonce": NONCE, "ueid": UEID}
        inputs["session_private_key"] = pem(session)
        public, point, expected = wrapping.public_bytes(session.public_key()), b"", {}
        if session is rsa_key:
            randoms = {"seed": filler("seed", 32 if suite == 3 else 20)}
            inputs["oaep_seed"] = randoms["seed"]
        else:
            randoms = {"ephemeral": ec_key("ephemeral", session.curve)}
            inputs["ephemeral_private_key"] = pem(randoms["ephemeral"])
            point = wrapping.public_bytes(randoms["ephemeral"].public_key())
        bound = wrapping.context(suite, MEK_ID, NONCE, point, public, UEID)
        if session is rsa_key:
            expected["label"] = sf.sha256(bound) if suite == 3 else b""
        else:
            expected["shared_secret"] = session.exchange(ec.ECDH(), randoms["ephemeral"].public_key())
            expected["kek"] = wrapping.key_encryption_key(suite, session, randoms["ephemeral"].public_key(), bound)
        slots = wrapping.wrap(suite, MEK, MEK_ID, NONCE, session.public_key(), UEID, **randoms)
        require(wrapping.unwrap(*slots, session, UEID) == (MEK_ID, MEK), "a wrapped MEK that does not open")
        expected.update(zip(("mek_encrypt", "mek_nonce", "mek_pub"), slots))
        kind = "RSA-3072" if session is rsa_key else session.curve.name
        cases.append(case(f"{wrapping.SUITE_NAMES[suite]}, {kind}", inputs, context=bound, **expected))
    return cases


def slots(_):
    cases = []
    for name, contents in (
        ("unbound", (b"", b"", b"")),
        ("bound", (b"QMEK\x01\x01" + MEK_ID + filler("wrapped", 24), NONCE, b"\4" + filler("point", 64))),
        ("full", tuple(filler(f"slot {n}", 1022) for n in range(3))),
    ):
        inputs = dict(zip(("mek_encrypt", "mek_nonce", "mek_pub"), contents))
        page = sf.slot_page(*contents)
        cases.append(case(name, inputs, page=page))
    return cases


def request_inputs(request):
    result = dataclasses.asdict(request)
    return {k: v.hex() if isinstance(v, bytes) else v for k, v in result.items()}


def request(_):
    other = dataclasses.replace(REQUEST, ueid=None, session_types=("rsa",))
    pairs = (("one card", REQUEST), ("any card", other))
    return [case(name, request_inputs(r), request=r.encode()) for name, r in pairs]


def evidence(old):
    claims, now = cards.claims(), 1780000100
    if old:
        root = bytes.fromhex(old[0]["inputs"]["root"])
        report = bytes.fromhex(old[0]["expected"]["evidence"])
    else:
        *chain, root = cards.certificates()
        report = ev.sign_evidence(cards.LEAF_KEY, chain, claims)
    at = datetime.datetime.utcfromtimestamp(now)
    found, public = ev.verify_evidence(report, REQUEST, ev.root_map(root), at)
    require(found == claims, "frozen evidence says something else")
    protected, payload, signature = ev.open_cose(report)
    inputs = {"request": REQUEST.encode(), "now": now, "root": root, "root_sha256": sf.sha256(root)}
    inputs.update(leaf_private_key=pem(cards.LEAF_KEY), session_private_key=pem(cards.SESSION_KEY))
    sections = {"protected": protected, "payload": payload, "signature": signature}
    signed = ev.signature_input(protected, payload)
    session_public = wrapping.public_bytes(public)
    return [
        case("a secured card", inputs, evidence=report, signed_bytes=signed, session_public=session_public, **sections)
    ]


def container(_):
    segments = [("networkdesc.bin", 0, rule_bytes(40)), ("empty.bin", 0, b""), ("network.elf", 0, rule_bytes(100))]
    more = segments + [("ein Name, größer", 7, rule_bytes(5)), ("constants.bin", 3, rule_bytes(300))]
    clear = (("network.elf", ((0, 52), (90, 10))),)
    return [
        container_case("mode 2, bound by suite 1", segments, mode=sf.ENVELOPE),
        container_case("mode 1, with clear ranges, bound by suite 1", more, mode=sf.TOKEN, clear=clear),
    ]


def container_case(about, segments, **changes):
    rows = [{"name": name, "offset": offset, "data": data.hex()} for name, offset, data in segments]
    session, ephemeral = (ec_key(name, ec.SECP256R1()) for name in ("session", "ephemeral"))
    filled = wrapping.wrap(1, MEK, MEK_ID, NONCE, session.public_key(), UEID, ephemeral=ephemeral)
    plan = sealer.Plan(MEK, MEK_ID, SEAL_ID, SEAL_KEY, log2_chunk=16, created=1790000000, **changes)
    draw = Ivs("container")
    data = sealer.seal(plan, segments, draw, filled)
    opened = decryptor.open_container(data, session_key=session, ueid=UEID, seal_key=SEAL_KEY.public_key())
    require(opened["segments"] == segments, "the container does not open")
    inputs = {"mode": plan.mode, "log2_chunk": plan.log2_chunk, "mek": MEK, "mek_id": MEK_ID, "seal_id": SEAL_ID}
    inputs.update(created=plan.created, model=plan.model, model_version=plan.model_version, segments=rows)
    inputs.update(sealed=[name for name, _, _ in segments if name in plan.sealed])
    inputs.update(clear={name: [list(pair) for pair in ranges] for name, ranges in plan.clear})
    inputs.update(seal_private_key=pem(SEAL_KEY), seal_public_key=pem(SEAL_KEY.public_key()))
    inputs.update(session_private_key=pem(session), ueid=UEID, ephemeral_private_key=pem(ephemeral), nonce=NONCE)
    inputs["random_values"] = draw.hex  # per segment data key and its IV (mode 2), each chunk's IV; the IV of seal.tag
    text = base64.b64encode(data).decode()
    return case(about, inputs, container_base64=text, container_sha256=sf.sha256(data))


FILES = {
    "plain_container": (plain_container, "QPC containers, section 1"),
    "sealed_segment": (sealed_segment, "sealed segments, their parts of seal.aead, section 2.1, and their digests, section 2.2"),
    "manifest": (manifest, "seal.manifest, section 2.2"),
    "tag_and_signature": (tag_and_signature, "seal.tag and seal.sig, section 2.3"),
    "slots": (slots, "the slot page, section 2"),
    "wrap": (wrap, "wrapped keys, section 3"),
    "request": (request, "attestation requests, section 4"),
    "evidence": (evidence, "evidence, section 5; made once, since ECDSA draws its own random values"),
    "container": (container, "whole sealed containers, section 2"),
}


def render(name):
    """The text of a vector file; frozen parts come from the file that exists."""
    make, about = FILES[name]
    path = FOLDER / f"{name}.json"
    old = json.loads(path.read_text())["cases"] if path.exists() else None
    document = {"about": f"FORMAT.md: {about}. Keys are for tests only.", "cases": make(old)}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def stale():
    """Names of vector files that are missing or not what this makes."""
    paths = {name: FOLDER / f"{name}.json" for name in FILES}
    return [n for n, path in paths.items() if not path.exists() or path.read_text() != render(n)]


def main():
    parser = argparse.ArgumentParser(description="Make the vectors, or compare them.")
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        names = stale()
        for name in names:
            print(f"make_vectors: {name}.json differs", file=sys.stderr)
        return 1 if names else 0
    FOLDER.mkdir(exist_ok=True)
    for name in FILES:
        text = render(name)
        (FOLDER / f"{name}.json").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
