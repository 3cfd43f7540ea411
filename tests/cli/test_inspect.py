"""inspect: what a file says of itself, on a machine without home or token."""

import hashlib
import json
import os
import unittest

from appliance import QPCSEAL, run
from test_rewrap import Case

NOWHERE = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


class Inspect(Case):
    def inspect(self, path, expect=0):
        said = run(QPCSEAL, "inspect", path, "--json", env=NOWHERE, expect=expect)
        return json.loads(said.stdout) if expect == 0 else said.stderr

    def test_plain_model_of_one_part_and_of_several(self):
        said = self.inspect(self.model)
        self.assertEqual(said["type"], "qpc")
        self.assertEqual({s["kind"] for s in said["segments"]}, {"plain"})
        parts = self.folder("parts.qpc")
        self.appliance.device("sample", "--out", parts, "--partitions", 3, "--size", 1000)
        said = self.inspect(parts)
        self.assertEqual([s["kind"] for s in said["segments"]], ["inner container"] * 3 + ["plain"])
        self.assertEqual(len(said["segments"][0]["segments"]), 6)

    def test_sealed_model_before_and_after_binding(self):
        sealed = self.seal()
        said = self.inspect(sealed)
        self.assertEqual((said["type"], said["mode"], said["bound"], said["mek"]), ("sealed qpc", "token", False, None))
        self.assertEqual(self.appliance.json("inspect", sealed)["mek"], "resnet50#1")
        plain = {s["name"]: s["size"] for s in self.inspect(self.model)["segments"]}
        for segment in said["segments"]:
            name, size, clear = segment["name"], segment["size"], segment["clear_bytes"]
            self.assertEqual(size, plain[name])
            sealed_name = name in ("network.elf", "constants.bin", "constants.bin.crc")
            self.assertEqual(segment["kind"], "sealed" if sealed_name else "clear")
            self.assertTrue(0 < clear < size if name == "network.elf" else clear == (0 if sealed_name else size), name)
        wrapped = self.wrap([self.attest()])
        self.replace(sealed, [wrapped], "--in-place")
        said = self.inspect(sealed)
        config = json.loads((wrapped / "config.json").read_text())["wrapped"][0]
        self.assertTrue(said["bound"])
        for key in ("suite", "nonce", "wrapped_sha256"):
            self.assertEqual(said[key], config[key])

    def test_report_request_and_receipt(self):
        report = self.attest()
        self.assertEqual(self.inspect(report)["type"], "report")
        self.assertFalse(self.inspect(report)["verified"])
        self.assertEqual(self.inspect(str(report) + ".request")["type"], "request")
        receipt = self.folder("receipt")
        self.appliance.qpcseal("audit", "receipt", 1, "-o", receipt)
        said = self.inspect(receipt)
        self.assertEqual((said["type"], said["verified"], said["entry"]), ("receipt", False, 1))
        self.assertEqual(said["kind"], "mek-generate")
        self.assertIn("check-receipt", run(QPCSEAL, "inspect", receipt, env=NOWHERE).stdout)

    def test_bundle_and_config_of_wrapped_meks(self):
        wrapped = self.wrap([self.attest()])
        said = self.inspect(wrapped / "config.json")
        self.assertEqual((said["type"], said["mek"], said["verified"]), ("wrapped MEKs", "resnet50#1", False))
        entry = said["wrapped"][0]["receipt"]["entry"]
        table = run(QPCSEAL, "inspect", wrapped / "config.json", env=NOWHERE).stdout
        self.assertIn(said["wrapped"][0]["ueid"], table)
        bundle = self.folder("bundle")
        self.appliance.qpcseal("audit", "receipt", entry, "--bundle", "-o", bundle)
        said = self.inspect(bundle)
        self.assertEqual((said["type"], said["verified"], said["entry"]), ("bundle", False, entry))
        shown = run(QPCSEAL, "inspect", bundle, env=NOWHERE).stdout
        self.assertTrue(shown.startswith("bundle: "))
        parts = {part["name"]: part for part in said["parts"]}
        for name in ("receipt", "report.dat", "policy.toml", "trust.json", "policy-1.toml", "entry-0.json"):
            self.assertIn(name, parts)
            self.assertIn(name, shown)
        out = self.folder("parts")
        run(QPCSEAL, "inspect", bundle, "--parts-to", out, env=NOWHERE)
        self.assertEqual({path.name for path in out.iterdir()}, set(parts))
        for name, part in parts.items():
            self.assertEqual(hashlib.sha256((out / name).read_bytes()).hexdigest(), part["sha256"])
        self.assertEqual((out / "policy.toml").read_bytes(), self.appliance.policy.read_bytes())
        vkey = self.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        run(QPCSEAL, "audit", "check-receipt", out / "receipt", "--key", vkey, env=NOWHERE)
        run(QPCSEAL, "inspect", bundle, "--parts-to", out, env=NOWHERE, expect=3)
        self.assertIn("for a bundle", run(QPCSEAL, "inspect", out / "receipt", "--parts-to", self.folder("no"), env=NOWHERE,
                                          expect=2).stderr)
        bundle.write_text(bundle.read_text().replace('{', '{ ', 1))
        self.assertIn("not written as one is", self.inspect(bundle, expect=4))

    def test_what_it_is_not(self):
        for number, content in enumerate((b"", b"{}", b"{", b'{"type": 1}', b'{"type": "qpcseal-receipt"}',
                                          b'{"type": "qpcseal-bundle", "receipt": []}',
                                          b'{"format": "qpcseal/wrapped-meks/1", "wrapped": [7]}',
                                          b'{"type": ' + b"[" * 200000 + b"]" * 200000 + b"}",
                                          b'{"format": "qpcseal/wrapped-meks/1", "mek": "a#1", "mek_id": "00", '
                                          b'"wrapped": [], "verified": true}',
                                          b'{"format": "qpcseal/wrapped-meks/1", "mek": "a#1", "mek_id": "00", '
                                          b'"wrapped": null}', b"\x00" * 100, b"hello", os.urandom(70000))):
            path = self.folder(f"junk{number}")
            path.write_bytes(content)
            self.assertTrue(self.inspect(path, expect=4).startswith("qpcseal: error: "))
        self.inspect(self.folder("none"), expect=3)

    def test_damaged_containers(self):
        sealed = self.seal()
        good = sealed.read_bytes()
        for place in (0, 8, 41, 300, 4096 + 3080, len(good) - 70):
            sealed.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1:])
            self.assertTrue(self.inspect(sealed, expect=4).startswith("qpcseal: error: "), place)


if __name__ == "__main__":
    unittest.main()
