"""Requests and evidence: what is made verifies, and every rule of FORMAT.md sections 4 and 5 refuses something."""

import dataclasses
import datetime
import unittest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import evidence as ev
import strict_cbor
from cards import LEAF_KEY, REQUEST, ROOT_KEY, SESSION_KEY, SUB_KEY, certificates, claims
from material import UEID, ec_key, filler
from qpc_format import FormatError

NOW = datetime.datetime(2026, 6, 1)
SESSION = SESSION_KEY.public_key()
CHAIN = certificates()
ROOTS = ev.root_map(CHAIN[2])


def signed(payload=None, chain=CHAIN[:2], key=LEAF_KEY):
    return ev.sign_evidence(key, chain, claims() if payload is None else payload)


def verify(data, request=REQUEST, roots=ROOTS, now=NOW):
    return ev.verify_evidence(data, request, roots, now)


class Evidence(unittest.TestCase):
    def refused(self, data, message, **options):
        with self.assertRaises(FormatError) as caught:
            verify(data, **options)
        self.assertIn(message, str(caught.exception))

    def test_round_trip(self):
        for chain in (CHAIN[:2], CHAIN):
            found, session = verify(signed(chain=chain))
            self.assertEqual(found, claims())
            self.assertEqual(session.public_numbers(), SESSION.public_numbers())
        direct = ev.make_certificate("card", LEAF_KEY.public_key(), "root", ROOT_KEY, serial=9, ca=False, ueid=UEID)
        verify(signed(chain=[direct]))

    def test_session_key_types(self):
        for key in (ec_key("session", ec.SECP256R1()), rsa.generate_private_key(65537, 3072)):
            public = key.public_key()
            self.assertEqual(
                verify(signed(claims(CNF={1: ev.cose_key(public)})))[1].public_numbers(), public.public_numbers()
            )

    def test_session_keys_refused(self):
        good = ev.cose_key(SESSION)
        small = ev.cose_key(rsa.generate_private_key(65537, 2048).public_key())
        bad = [small, {**good, -1: 1}, {**good, -1: 3}, {**good, -2: good[-2][1:]}, {**good, 2: b"id"}, {1: 4}, []]
        bad += [{**good, 1: 3}, {1: 3, -1: b"\0" + bytes([255] * 384), -2: b"\1\0\1"}]
        bad += [{1: 3, -1: bytes([255] * 384), -2: b"\3"}, {1: 3, -1: bytes([127] * 384), -2: b"\1\0\1"}]
        for key in bad:
            with self.subTest(key=str(key)[:60]):
                self.refused(signed(claims(CNF={1: key})), "session key")
        off_curve = {**good, -3: good[-3][:-1] + bytes([good[-3][-1] ^ 1])}
        with self.assertRaises(ValueError):
            verify(signed(claims(CNF={1: off_curve})))

    def test_claims_refused(self):
        good = ev.measurement("a", bytes(32))
        component = strict_cbor.decode(good[1])
        cases = [
            ("AUD", "ff", "another appliance"),
            ("AUD", REQUEST.aud.hex().upper(), "another appliance"),
            ("EXP", -1, "exp"),
            ("NONCE", filler("other", 32), "another nonce"),
            ("NONCE", b"1234567", "eat_nonce"),
            ("UEID", UEID[:-1] + b"\0", "another card"),
            ("UEID", b"123456", "ueid"),
            ("OEMID", b"abc", "oemid"),
            ("HWMODEL", b"", "hwmodel"),
            ("HWVERSION", [], "hwversion"),
            ("HWVERSION", ["1", 2, 3], "hwversion"),
            ("OEMBOOT", 1, "oemboot"),
            ("DBGSTAT", 5, "dbgstat"),
            ("DBGSTAT", True, "dbgstat"),
            ("EAT_PROFILE", "tag:qpcseal.example,2026:eat-card/2", "profile"),
            ("BOOTSEED", bytes(31), "bootseed"),
            ("LIFECYCLE", 4, "lifecycle"),
            ("MEASUREMENTS", [], "measurements"),
            ("MEASUREMENTS", [[60, good[1]]], "measurement"),
            ("MEASUREMENTS", [[65000, strict_cbor.encode({**component, 3: 1})]], "component's keys"),
            ("MEASUREMENTS", [[65000, strict_cbor.encode({**component, 2: [-16, bytes(48)]})]], "digest"),
            ("MEASUREMENTS", [[65000, strict_cbor.encode({**component, 2: [-44, bytes(64)]})]], "digest"),
            ("AUD", 1, "aud"),
            ("CNF", {}, "cnf"),
            ("CNF", {1: ev.cose_key(SESSION), 3: b"kid"}, "cnf"),
            ("HWVERSION", ["1", "2"], "hwversion"),
            ("HWVERSION", ["1", True], "hwversion"),
            ("MEASUREMENTS", [[65000]], "measurement"),
            ("MEASUREMENTS", [good + [1]], "measurement"),
            ("MEASUREMENTS", [[65000, strict_cbor.encode({**component, 1: []})]], "name"),
            ("MEASUREMENTS", [[65000, strict_cbor.encode({**component, 1: ["a", ["1"], 2]})]], "name"),
            ("MEASUREMENTS", [[65000, strict_cbor.encode({**component, 1: ["a", "1"]})]], "version"),
            ("MEASUREMENTS", [[65000, strict_cbor.encode({**component, 1: ["a", ["1", 16384]]})]], "version"),
            ("MEASUREMENTS", [[65000, strict_cbor.encode({**component, 2: [-16, bytes(32), 0]})]], "digest"),
            ("MEASUREMENTS", [[65000, strict_cbor.encode({**component, -1: -1})]], "security version"),
            ("SUBMODS", {"a": {ev.DBGSTAT: 1, ev.MEASUREMENTS: [good], ev.OEMID: b"x"}}, "oemid"),
            ("SUBMODS", {}, "submods"),
            ("SUBMODS", {1: {}}, "submods"),
            ("SUBMODS", {"a": {ev.DBGSTAT: 1}}, "submodule"),
            ("SUBMODS", {"a": {ev.DBGSTAT: 1, ev.MEASUREMENTS: [good], 1: 1}}, "submodule"),
        ]
        for name, value, message in cases:
            with self.subTest(name=name, value=str(value)[:40]):
                self.refused(signed(claims(**{name: value})), message)
        self.refused(signed({**claims(), 1: "issuer"}), "unknown")
        self.refused(signed([1]), "claims are a map")
        for key in ev.REQUIRED:
            self.refused(signed({k: v for k, v in claims().items() if k != key}), "missing")
        for key in (ev.EXP, ev.IAT, ev.SUBMODS):
            verify(signed({k: v for k, v in claims().items() if k != key}))

    def test_chain_refused(self):
        other_root = ev.make_certificate("root", LEAF_KEY.public_key(), "root", LEAF_KEY, serial=1, ca=True)
        self.refused(signed(), "no pinned root", roots={})
        with self.assertRaises(InvalidSignature):
            verify(signed(), roots=ev.root_map(other_root))
        self.refused(signed(chain=certificates(ca=True)[:2]), "a CA where")
        self.refused(signed(chain=certificates(ueid=UEID[:-1] + b"\1")[:2]), "certificate of another card")
        self.refused(signed(chain=certificates(ueid=None)[:2]), "certificate of another card")
        self.refused(signed(), "not valid now", now=datetime.datetime(2025, 12, 31))
        self.refused(signed(), "not valid now", now=datetime.datetime(2046, 1, 2))
        self.refused(signed(chain=[CHAIN[0], CHAIN[2]]), "issuer's name")
        self.refused(signed(chain=CHAIN[:1]), "no pinned root")
        self.refused(signed(chain=[CHAIN[0]] + [CHAIN[1]] * 4), "issuer's name")
        self.refused(signed(chain=[CHAIN[0]] + [CHAIN[1]] * 5), "x5chain")
        p256 = ec_key("leaf", ec.SECP256R1())
        self.refused(signed(chain=certificates(key=p256)[:2]), "leaf key")

    def test_another_card_than_the_one_meant(self):
        other = UEID[:-1] + bytes([UEID[-1] ^ 1])
        self.refused(signed(), "another card", request=dataclasses.replace(REQUEST, ueid=other))
        verify(signed(), request=dataclasses.replace(REQUEST, ueid=None))

    def test_key_usage_and_lengths(self):
        self.refused(signed(chain=certificates(usage_swapped=True)[:2]), "key usage")
        self.refused(signed(chain=[CHAIN[2]], key=ROOT_KEY), "root alone")
        subs = [CHAIN[2]]
        for serial in range(10, 16):
            limits = {"path_length": 0} if serial == 10 else {}
            options = {"serial": serial, "ca": True, **limits}
            issuer, key = ("root", ROOT_KEY) if serial == 10 else (f"sub{serial - 1}", SUB_KEY)
            subs.insert(0, ev.make_certificate(f"sub{serial}", SUB_KEY.public_key(), issuer, key, **options))
        leaf = {"serial": 3, "ca": False, "ueid": UEID}
        short = ev.make_certificate("card", LEAF_KEY.public_key(), "sub11", SUB_KEY, **leaf)
        self.refused(signed(chain=[short, *subs[-3:-1]]), "path too long")
        direct = ev.make_certificate("card", LEAF_KEY.public_key(), "sub10", SUB_KEY, **leaf)
        verify(signed(chain=[direct, subs[-2]]))

    def test_too_long(self):
        with self.assertRaisesRegex(FormatError, "64 KiB"):
            verify(bytes(65537))

    def test_signature_and_cose_refused(self):
        data = signed()
        with self.assertRaises(InvalidSignature):
            verify(data[:-1] + bytes([data[-1] ^ 1]))
        with self.assertRaises(InvalidSignature):
            verify(signed(key=SUB_KEY))
        sign1 = strict_cbor.decode(data).value.value

        def wrapped(parts, outer=61, inner=18):
            return strict_cbor.encode(strict_cbor.Tag(outer, strict_cbor.Tag(inner, parts)))

        self.refused(wrapped(sign1, outer=60), "CWT")
        self.refused(wrapped(sign1, inner=98), "COSE_Sign1")
        self.refused(wrapped([sign1[0], {4: b"id"}, *sign1[2:]]), "four parts")
        self.refused(wrapped(sign1[:3]), "four parts")
        self.refused(wrapped([sign1[0], {}, "text", sign1[3]]), "byte strings")
        self.refused(wrapped([strict_cbor.encode({1: -35, 3: 263, 33: ["text"]}), *sign1[1:]]), "x5chain")
        self.refused(wrapped([*sign1[:3], sign1[3][:64]]), "96 bytes")
        header = strict_cbor.decode(sign1[0])
        for change, message in (({1: -7}, "algorithm"), ({3: 61}, "algorithm"), ({4: b"id"}, "header's keys")):
            self.refused(wrapped([strict_cbor.encode({**header, **change}), *sign1[1:]]), message)
        with self.assertRaises(strict_cbor.CborError):
            verify(data + b"\0")


class Requests(unittest.TestCase):
    def test_round_trip(self):
        for request in (REQUEST, dataclasses.replace(REQUEST, ueid=None)):
            self.assertEqual(ev.decode_request(request.encode()), request)

    def test_refused(self):
        fields = strict_cbor.decode(REQUEST.encode())
        changes = [(1, "qpcseal/request/2"), (2, bytes(15)), (3, bytes(31)), (4, "x"), (5, bytes(6)), (5, 0), (6, -1)]
        for key, value in changes + [(6, None), (7, []), (7, ["p521"]), (7, "p256"), (8, 0)]:
            with self.subTest(key=key, value=value), self.assertRaises(FormatError):
                ev.decode_request(strict_cbor.encode({**fields, key: value}))


if __name__ == "__main__":
    unittest.main()
