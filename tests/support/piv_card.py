#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A PIV card (SP 800-73-4) with one P-256 key, in the reader of the package vsmartcard-vpcd: piv_card.py PIN [9A|9C]

Just enough for OpenSC to sign: SELECT, GET DATA (CHUID and the slot's certificate), VERIFY, GENERAL AUTHENTICATE. The key of
slot 9C wants the PIN right before each signature, as real cards' do. It ends when the reader closes the connection."""

import datetime
import socket
import struct
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

READER = ("127.0.0.1", 35963)
OFF, ON, RESET, ATR = 0, 1, 2, 4  # what the reader says in one byte
ATR_BYTES = bytes.fromhex("3b83800171707370")  # T=1, and three letters that OpenSC takes for no maker's
APPLICATION = bytes.fromhex("a000000308")
CHUID, CERTIFICATES = "5fc102", {0x9A: "5fc105", 0x9C: "5fc10a"}
P256, MOST = 0x11, 256  # algorithm; bytes of a response

DONE, NOT_VERIFIED, NO_OBJECT, NO_COMMAND = b"\x90\x00", b"\x69\x82", b"\x6a\x82", b"\x6d\x00"


def tlv(tag, value):
    size = len(value)
    length = bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + struct.pack(">H", size)
    return bytes.fromhex(tag) + length + value


def parse(data):
    """tag -> value, of tags of one byte."""
    out, at = {}, 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        out[tag], at = data[at:at + size], at + size
    return out


class Card:
    def __init__(self, pin, slot):
        self.pin, self.slot = pin.encode().ljust(8, b"\xff"), slot
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.tries, self.verified, self.fresh, self.rest = 3, False, False, b""
        self.objects = {CHUID: tlv("30", bytes(25)) + tlv("34", bytes(range(16))) + tlv("35", b"20991231") + tlv("3e", b"")
                        + tlv("fe", b""),
                        CERTIFICATES[slot]: tlv("70", self.certificate()) + tlv("71", b"\0") + tlv("fe", b"")}

    def certificate(self):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "anna")])
        begin = datetime.datetime(2020, 1, 1)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        made = made.serial_number(1).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=36500))
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def reset(self):
        self.verified = self.fresh = False

    def verify(self, data):
        if data and self.tries:
            self.verified = self.fresh = data == self.pin
            self.tries = 3 if self.verified else self.tries - 1
        return DONE if self.verified else bytes([0x63, 0xC0 | self.tries]) if self.tries else b"\x69\x83"

    def sign(self, algorithm, slot, data):
        asked = parse(parse(data).get(0x7C, b""))
        if algorithm != P256 or slot != self.slot or 0x81 not in asked:
            return b"\x6a\x80"
        if not self.verified or (slot == 0x9C and not self.fresh):
            return NOT_VERIFIED
        signature = self.key.sign(asked[0x81], ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return tlv("7c", tlv("82", signature)) + DONE

    def answer(self, apdu):
        _, instruction, first, second = apdu[:4]
        data = apdu[5:5 + apdu[4]] if len(apdu) > 5 else b""
        if instruction == 0xA4:
            found = data.startswith(APPLICATION)
            return tlv("61", tlv("4f", APPLICATION + bytes.fromhex("000010000100")) + tlv("79", tlv("4f", APPLICATION))) + DONE \
                if found else NO_OBJECT
        if instruction == 0xCB:
            name = parse(data).get(0x5C, b"").hex()
            return tlv("53", self.objects[name]) + DONE if name in self.objects else NO_OBJECT
        if instruction == 0x20:
            return self.verify(data)
        if instruction == 0x87:
            out = self.sign(first, second, data)
            self.fresh = False
            return out
        if instruction == 0xC0:
            return self.rest + DONE
        return NO_COMMAND

    def response(self, apdu):
        """In pieces that fit: status 61 says that there is more."""
        out = self.answer(apdu)
        body, status = out[:-2], out[-2:]
        self.rest = body[MOST:]
        return body[:MOST] + (bytes([0x61, min(len(self.rest), 0xFF)]) if self.rest else status)


def main(pin, slot="9A"):
    card = Card(pin, int(slot, 16))
    with socket.create_connection(READER) as reader, reader.makefile("rb") as said:
        while len(size := said.read(2)) == 2:
            message = said.read(struct.unpack(">H", size)[0])
            if len(message) == 1:
                if message[0] != ATR:  # the reader's poll for a card, which asks for that, is no reset
                    card.reset()
                answer = ATR_BYTES if message[0] == ATR else b""
            else:
                answer = card.response(message)
            if answer:
                reader.sendall(struct.pack(">H", len(answer)) + answer)


main(*sys.argv[1:])
