#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens a sealed container, from FORMAT.md alone.

usage: decryptor.py CONTAINER (--mek-hex-fd N | --session-key PEM --ueid HEX) [--seal-key PEM] -o OUT

Writes OUT, a plain QPC with base 0. Exit 0 done; 1 refused or failed. The MEK comes in hex over file descriptor N.
"""

import argparse
import os
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import qpc_format
import sealed_format as sf
import strict_cbor
import wrapping
from qpc_format import FormatError, require

ERRORS = (FormatError, strict_cbor.CborError, InvalidTag, InvalidSignature, keywrap.InvalidUnwrap, ValueError)


def gcm_open(key, stored, aad):
    """`stored` is iv | ciphertext | tag."""
    require(len(stored) >= sf.ENTRY_SIZE, "too short for an IV and a tag")
    return AESGCM(key).decrypt(stored[:12], stored[12:], aad)


def check_signature(seal_key, manifest_bytes, signature):
    require(len(signature) == 64, "seal.sig is not 64 bytes")
    message = sf.signed_bytes(manifest_bytes)
    if isinstance(seal_key, ed25519.Ed25519PublicKey):
        return seal_key.verify(signature, message)
    require(isinstance(seal_key, ec.EllipticCurvePublicKey), "a seal key is Ed25519 or P-256")
    require(isinstance(seal_key.curve, ec.SECP256R1), "a seal key is Ed25519 or P-256")
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    return seal_key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))


def read_layout(data):
    """Returns ({name: Segment} of the seven, [other Segment]); refuses every layout but the canonical one."""
    segments = qpc_format.read(data, output=True)[1]
    require(tuple(s.name for s in segments[-7:]) == sf.SEVEN, "the last seven segments are not a seal's")
    require(all(s.offset == 0 for s in segments[-7:]), "a seal's segment with an offset")
    require(len(segments[-5].data) == 60, "seal.tag is not 60 bytes")
    require(len(segments[-4].data) == 64, "seal.sig is not 64 bytes")
    require(all(len(s.data) == sf.SLOT for s in segments[-3:]), "a slot is not 1024 bytes")
    require(sf.lay_out([(s.name, s.offset, s.data) for s in segments]) == data, "the layout is not canonical")
    return {s.name: s for s in segments[-7:]}, segments[:-7]


def read_slots(seven):
    """Returns the three contents, or None where the container is unbound."""
    contents = [sf.unpack_slot(seven[name].data) for name in sf.SLOTS]
    require(all(contents) or not any(contents), "one slot is empty and another is not")
    return contents if all(contents) else None


def check_digest(entry, segment, part):
    require(entry.name != "" and not entry.name.startswith(("seal.", "MEK.")), "a reserved name")
    if entry.kind == sf.INNER:
        seven, _ = read_layout(segment.data)
        require(entry.digest == sf.sha256(seven["seal.manifest"].data), "inner container's digest differs")
    else:
        require(entry.digest == sf.segment_digest(segment.data, part), f"digest of {entry.name} differs")


def read_parts(manifest, aead):
    """[(header, part of seal.aead)] for each entry, (None, b"") for one that is not sealed."""
    found = []
    for entry in manifest.entries:
        if entry.kind != sf.SEALED:
            found.append((None, b""))
            continue
        header = sf.unpack_front(aead)
        require((header.mek_id, header.seal_id) == (manifest.mek_id, manifest.seal_id), "segment of another seal")
        require((header.size, header.clear) == (entry.size, entry.clear), "a part of seal.aead that is another's")
        require(len(aead) >= header.part_size, "seal.aead is cut short")
        found.append((header, aead[: header.part_size]))
        aead = aead[header.part_size :]
    require(not aead, "seal.aead goes on behind its last part")
    return found


def open_segment(mek, header, part, name, stored):
    key = mek
    if header.mode == sf.ENVELOPE:
        key = gcm_open(mek, part[sf.HEADER_SIZE : header.block_size], sf.data_key_aad(header, name))
    plain, chunks = bytearray(stored), header.chunks()
    for number, (index, stretches) in enumerate(chunks):
        entry = part[header.front_size + sf.ENTRY_SIZE * number :][: sf.ENTRY_SIZE]
        message = b"".join(stored[first:end] for first, end in stretches)
        aad = sf.chunk_aad(header, name, index, index == chunks[-1][0])
        opened = gcm_open(key, entry[:12] + message + entry[12:], aad)
        for first, end in stretches:
            plain[first:end], opened = opened[: end - first], opened[end - first :]
    return bytes(plain)


def find_mek(slots, manifest, session_key, ueid):
    require(slots is not None, "the container is not bound to a card")
    mek_id, mek = wrapping.unwrap(*slots, session_key, ueid)
    require(mek_id == manifest.mek_id, "MEK.encrypt holds another MEK")
    return mek


def find_partition_mek(manifest, others, session_key, ueid):
    """The MEK out of the slots of the partition that is this card's."""
    for entry, segment in zip(manifest.entries, others):
        if entry.kind == sf.INNER:
            try:
                return find_mek(read_slots(read_layout(segment.data)[0]), manifest, session_key, ueid)
            except ERRORS:
                pass
    raise FormatError("no partition is bound to this card")


def open_inner(entry, segment, outer, mek, seal_key):
    opened = open_container(segment.data, mek=mek, seal_key=seal_key, inner=True)
    inner = opened["manifest"]
    require(inner.root == outer.root and inner.mek_id == outer.mek_id, "inner container of another seal")
    return inner, (entry.name, entry.offset, qpc_format.write_from_files(opened["segments"]))


def open_container(data, mek=None, session_key=None, ueid=None, seal_key=None, inner=False):
    """Returns {"segments": [(name, offset, bytes)], "manifest": Manifest}; with seal_key it checks the signature too.

    Keys are `cryptography` objects, mek and ueid are bytes. An inner container comes back as a plain QPC.
    """
    seven, others = read_layout(data)
    slots = read_slots(seven)
    manifest_bytes = seven["seal.manifest"].data
    manifest = sf.decode_manifest(manifest_bytes)
    if seal_key is not None:
        check_signature(seal_key, manifest_bytes, seven["seal.sig"].data)
    nested = any(entry.kind == sf.INNER for entry in manifest.entries)
    require(not nested or slots is None, "slots in use beside partitions")
    require(not nested or not inner, "partitions in a partition")
    if mek is None:
        require(session_key is not None and ueid is not None, "give a MEK, or a session key and a ueid")
        if nested:
            mek = find_partition_mek(manifest, others, session_key, ueid)
        else:
            mek = find_mek(slots, manifest, session_key, ueid)
    tagged = gcm_open(mek, seven["seal.tag"].data, sf.TAG_AAD)
    require(tagged == sf.sha256(manifest_bytes), "seal.tag is of another manifest")
    require(len(manifest.entries) == len(others), "manifest and table differ")

    for entry, segment in zip(manifest.entries, others):
        require((entry.name, entry.offset) == (segment.name, segment.offset), "manifest and table differ")
        require(entry.size == len(segment.data), "a size differs from the manifest's")
    parts = read_parts(manifest, seven["seal.aead"].data)
    segments, inners = [], []
    for entry, segment, (header, part) in zip(manifest.entries, others, parts):
        check_digest(entry, segment, part)
        if entry.kind == sf.INNER:
            partition, opened = open_inner(entry, segment, manifest, mek, seal_key)
            inners.append(partition)
            segments.append(opened)
        elif entry.kind == sf.SEALED:
            segments.append((entry.name, entry.offset, open_segment(mek, header, part, entry.name, segment.data)))
        else:
            segments.append((entry.name, entry.offset, segment.data))
    check_partitions(inners)
    alone = (manifest.root, manifest.index, manifest.count) == (manifest.seal_id, 0, 1)
    require(inner or alone, "one partition of a model, taken out of it")
    return {"segments": segments, "manifest": manifest}


def check_partitions(inners):
    require(all(inner.count == len(inners) for inner in inners), "partition count differs")
    require(sorted(inner.index for inner in inners) == list(range(len(inners))), "partition indices are not 0 to count")


def _arguments():
    parser = argparse.ArgumentParser(description="Open a sealed container.")
    parser.add_argument("container")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--mek-hex-fd", type=int, metavar="N")
    source.add_argument("--session-key", metavar="PEM")
    parser.add_argument("--ueid", type=bytes.fromhex, metavar="HEX")
    parser.add_argument("--seal-key", metavar="PEM", help="without it the signature is not checked")
    parser.add_argument("-o", "--output", required=True, metavar="OUT")
    arguments = parser.parse_args()
    if (arguments.session_key is None) != (arguments.ueid is None):
        parser.error("--session-key and --ueid go together")
    return arguments


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    arguments = _arguments()
    keys = {"ueid": arguments.ueid}
    try:
        if arguments.mek_hex_fd is not None:
            with os.fdopen(arguments.mek_hex_fd) as file:
                keys["mek"] = bytes.fromhex(file.read().strip())
            require(len(keys["mek"]) == 16, "a MEK is 16 bytes")
        else:
            keys["session_key"] = serialization.load_pem_private_key(_read(arguments.session_key), None)
        if arguments.seal_key:
            keys["seal_key"] = serialization.load_pem_public_key(_read(arguments.seal_key))
        opened = open_container(_read(arguments.container), **keys)
        with open(arguments.output, "xb") as file:
            file.write(qpc_format.write_from_files(opened["segments"]))
    except (*ERRORS, OSError) as error:
        print(f"decryptor: {error or type(error).__name__}", file=sys.stderr)
        return 1
    if not arguments.seal_key:
        print("decryptor: no seal key given, signature not checked", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
