"""The frozen vectors are what the maker makes, and the reader opens them."""

import base64
import json
import pathlib
import re
import unittest

from cryptography.hazmat.primitives import serialization

import decryptor
import make_vectors
import sealed_format as sf
import wrapping


def cases(name):
    return json.loads((make_vectors.FOLDER / f"{name}.json").read_text())["cases"]


class Vectors(unittest.TestCase):
    def test_every_file_is_current(self):
        self.assertEqual(make_vectors.stale(), [])

    def test_no_other_file_lies_there(self):
        names = {path.name for path in make_vectors.FOLDER.iterdir()}
        self.assertEqual(names, {f"{name}.json" for name in make_vectors.FILES})

    def test_sizes_follow_the_specification(self):
        for case in cases("sealed_segment"):
            size, extra = case["inputs"]["size"], 44 if case["inputs"]["mode"] == 2 else 0
            chunks = len(case["inputs"]["chunk_ivs"])
            if not case["inputs"]["clear"]:
                self.assertEqual(chunks, -(-size // 65536))
            part = 64 + extra + 16 * len(case["inputs"]["clear"]) + 28 * chunks
            self.assertEqual(len(case["expected"]["part"]), 2 * part)

    def test_tiny_segments_open(self):
        tiny = [case for case in cases("sealed_segment") if "stored" in case["expected"]]
        self.assertEqual(len(tiny), 6)
        for case in tiny:
            stored, mek = bytes.fromhex(case["expected"]["stored"]), bytes.fromhex(case["inputs"]["mek"])
            part = bytes.fromhex(case["expected"]["part"])
            plain = decryptor.open_segment(mek, sf.unpack_front(part), part, case["inputs"]["name"], stored)
            self.assertEqual(plain, bytes(range(case["inputs"]["size"])))

    def test_wrapped_keys_open(self):
        found = cases("wrap")
        self.assertEqual([case["inputs"]["suite"] for case in found], [1, 1, 2, 3, 4])
        for case in found:
            key = serialization.load_pem_private_key(case["inputs"]["session_private_key"].encode(), None)
            slots = [bytes.fromhex(case["expected"][name]) for name in ("mek_encrypt", "mek_nonce", "mek_pub")]
            mek = wrapping.unwrap(*slots, key, bytes.fromhex(case["inputs"]["ueid"]))[1]
            self.assertEqual(mek.hex(), case["inputs"]["mek"])

    def test_the_container_opens_with_either_key(self):
        for case in cases("container"):
            self.check_container(case)

    def check_container(self, case):
        inputs = case["inputs"]
        data = base64.b64decode(case["expected"]["container_base64"])
        seal_key = serialization.load_pem_public_key(inputs["seal_public_key"].encode())
        session = serialization.load_pem_private_key(inputs["session_private_key"].encode(), None)
        want = [(row["name"], row["offset"], bytes.fromhex(row["data"])) for row in inputs["segments"]]
        keys = {"session_key": session, "ueid": bytes.fromhex(inputs["ueid"])}
        for source in (keys, {"mek": bytes.fromhex(inputs["mek"])}):
            self.assertEqual(decryptor.open_container(data, seal_key=seal_key, **source)["segments"], want)

    def test_the_worked_example_is_theirs(self):
        text = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "FORMAT.md").read_text()
        example = text[text.index("## 10. A worked example"):]
        ours = [case for case in cases("sealed_segment") + cases("wrap") if f'"{case["name"]}"' in example]
        self.assertEqual(len(ours), 2)
        known = json.dumps(ours)
        parts = [word for word in re.findall(r"\b[0-9a-f]{16,}\b", example)]
        self.assertGreater(len(parts), 14)
        for part in parts:
            self.assertIn(part, known)


if __name__ == "__main__":
    unittest.main()
