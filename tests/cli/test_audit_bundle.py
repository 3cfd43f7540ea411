"""Bundles: a verdict computed again from what it rested on, where there is no home and no token."""

import base64
import contextlib
import copy
import json
import os
import re
import subprocess
import unittest

from appliance import Appliance, GuardedAppliance, QPCSEAL, run
from test_audit import NOWHERE


def written(bundle):
    return json.dumps(bundle, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def coded(content):
    return base64.b64encode(content).decode()


class Desk(unittest.TestCase):
    """An appliance with verdicts, and an auditor who has the log's key alone."""

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    @classmethod
    def verdicts(cls):
        entries = cls.appliance.json("audit", "show")["entries"]
        return [e["seq"] for e in entries
                if e["kind"] == "denied" or (e["kind"] == "release" and e["phase"] == "result")]

    @classmethod
    def log_key(cls):
        return cls.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()

    def path(self, name):
        return self.appliance.root / f"{self.id().rsplit('.', 1)[1]}-{name}"

    def bundle(self, entry, **how):
        path = self.path(f"{entry}.bundle")
        path.unlink(missing_ok=True)
        self.appliance.qpcseal("audit", "receipt", "--bundle", entry, "-o", path, **how)
        return path

    def check(self, path, *codes):
        done = subprocess.run([QPCSEAL, "audit", "check-receipt", str(path), "--key", self.key, "--json"], env=NOWHERE,
                              capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, codes or (0,), done.stdout + done.stderr)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    def refused(self, good, change, code=8, words=""):
        """The bundle, after `change`, gets exit code `code` and says `words`."""
        bad = copy.deepcopy(good)
        change(bad)
        self.assertNotEqual(bad, good)
        path = self.path("bad")
        path.write_text(written(bad))
        self.assertIn(words, self.check(path, code))

    def refused_without_each_part(self, good):
        """No member of the bundle, at any depth that is not an entry's own text, can be left out or be another."""
        def parts(item, way=()):
            if isinstance(item, dict):
                for name in item:
                    yield (*way, name)
                    yield from parts(item[name], (*way, name))
            elif isinstance(item, list):
                for i in range(len(item)):
                    yield (*way, i)
                    yield from parts(item[i], (*way, i))

        def at(bundle, way):
            for name in way[:-1]:
                bundle = bundle[name]
            return bundle, way[-1]

        count = 0
        for way in parts(good):
            for change in ("left out", "null", "empty"):
                bad = copy.deepcopy(good)
                where, name = at(bad, way)
                if change == "left out":
                    del where[name]
                else:
                    where[name] = None if change == "null" else type(where[name])()
                if bad == good:
                    continue
                path = self.path("bad")
                path.write_text(written(bad))
                said = self.check(path, 4, 8)
                self.assertIn("error: " + str(path), said, f"{way} {change}")
                count += 1
        return count


class Texts(Desk):
    """What a bundle's writer writes its reader reads, whatever letters a policy has."""

    @classmethod
    def tearDownClass(cls):
        pass

    def check_class(self, name):
        in_toml = json.dumps(name, ensure_ascii=False)
        edit = lambda text: "# \u00fc\u202e\U0001f511\n" + text.replace('"simulated"', in_toml)  # noqa: E731
        with contextlib.closing(Appliance(cards=1, policy_edit=edit)) as self.appliance:
            self.appliance.qpcseal("mek", "generate", "resnet50")
            report = self.appliance.attest("resnet50")
            self.appliance.qpcseal("encrypt-model", "--qpc", self.appliance.sample(), "--mek", "resnet50", "--output-dir",
                                   self.appliance.root / "sealed", "--pub-keys", report)
            entries = self.appliance.json("audit", "show")["entries"]
            self.key = self.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
            said = self.check(self.bundle(entries[-1]["seq"]))
            self.assertEqual(name, said["recomputed"]["device_class"])

    def test_a_class_of_cards_of_any_name(self):
        for name in (" ", "x" * 4096, "Schl\u00fcssel \U0001f511", '"\\\'{} \\u0000#'):  # the policy has no others
            with self.subTest(name=name):
                self.check_class(name)


class Bundle(Desk):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(policy_edit=lambda text: re.sub(r"(?m)^max_releases_per_card = .*$", "max_releases_per_card = 1",
                                                                  text))
        q = cls.appliance.qpcseal
        q("mek", "generate", "resnet50")
        cls.report = cls.appliance.attest("resnet50")
        model = cls.appliance.sample()
        seal = ("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir")
        q(*seal, cls.appliance.root / "sealed", "--pub-keys", cls.report)
        q(*seal, cls.appliance.root / "again", "--pub-keys", cls.appliance.attest("resnet50", name="again.dat"), expect=5)
        broken = cls.appliance.root / "broken.dat"
        data = bytearray(cls.report.read_bytes())
        data[-1] ^= 1
        broken.write_bytes(data)
        q(*seal, cls.appliance.root / "broken", "--pub-keys", broken, expect=5)
        other = cls.appliance.attest("resnet50", device=1, name="other.dat")
        q("wrap-mek", "--mek", "resnet50", "--pub-keys", cls.appliance.attest("resnet50", name="third.dat"), other,
          "--output-dir", cls.appliance.root / "both", expect=5)
        cls.key = cls.log_key()
        cls.released, cls.denied, cls.broken, *cls.both = cls.verdicts()

    def test_a_release_is_allowed_again(self):
        said = self.check(self.bundle(self.released))
        self.assertTrue(said["verified"] and said["recomputed"]["allowed"])
        self.assertEqual(said["recomputed"]["findings"], [])
        self.assertEqual(said["recomputed"]["device_class"], said["data"]["device_class"])

    def test_one_too_many_is_denied_again_for_the_same_reasons(self):
        said = self.check(self.bundle(self.denied))
        self.assertFalse(said["recomputed"]["allowed"])
        self.assertEqual(said["recomputed"]["findings"], said["data"]["findings"])
        self.assertEqual([f["id"] for f in said["recomputed"]["findings"]], ["POL-CARD-RELEASES"])

    def test_a_report_that_does_not_verify_is_denied_again(self):
        said = self.check(self.bundle(self.broken))
        self.assertFalse(said["recomputed"]["allowed"])
        self.assertEqual(said["recomputed"]["findings"], said["data"]["findings"])
        self.assertTrue(all(f["id"].startswith("ATT-") for f in said["recomputed"]["findings"]))

    def test_one_that_passes_beside_one_that_does_not(self):
        first, second = (self.check(self.bundle(seq))["recomputed"] for seq in self.both)
        self.assertFalse(first["allowed"])
        self.assertTrue(second["allowed"])
        said = subprocess.run([QPCSEAL, "audit", "check-receipt", str(self.bundle(self.both[1])), "--key", self.key],
                              env=NOWHERE, capture_output=True, text=True, check=True)
        self.assertIn("another one of its transaction was DENIED", said.stdout)

    def test_needs_the_key_that_signed(self):
        name, rest = self.key.split("+", 1)
        path = self.bundle(self.released)
        blob = bytearray(base64.b64decode(rest.split("+", 1)[1]))
        blob[-1] ^= 1
        for key, code in ((f"{name}x+{rest}", (4, 8)), (f"{name}+{rest.split('+')[0]}+{coded(bytes(blob))}", (4, 8))):
            done = subprocess.run([QPCSEAL, "audit", "check-receipt", str(path), "--key", key], env=NOWHERE,
                                  capture_output=True, check=False)
            self.assertIn(done.returncode, code)

    def test_survives_a_rotation_of_the_key(self):
        self.appliance.qpcseal("audit", "rotate-key")
        self.check(self.bundle(self.released))

    def test_comes_from_a_copy_of_the_log(self):
        log = self.path("log")
        subprocess.run(["cp", "-r", self.appliance.root / "home" / "log", log], check=True)
        path = self.path("bundle")
        self.appliance.qpcseal("audit", "receipt", "--bundle", self.released, "--log", log, "-o", path)
        self.check(path)

    def test_parts_of_another_are_refused(self):
        good = json.loads(self.bundle(self.released).read_text())
        other = Appliance(cards=1)
        try:
            other_policy, other_root = other.policy.read_bytes(), (other.trust / "root.pem").read_text()
        finally:
            other.close()
        denied = json.loads(self.bundle(self.denied).read_text())
        beside = json.loads(self.bundle(self.both[1]).read_text())

        def put(name, content):
            return lambda bad: bad["files"].update({name: coded(content)})

        def trust(change):
            def edit(bad):
                content = json.loads(base64.b64decode(bad["files"]["trust"]))
                change(content)
                bad["files"]["trust"] = coded(written(content).encode())
            return edit

        def entry(name, value):
            return lambda bad: bad["entries"].update({name: value})

        self.refused(good, put("policy", other_policy), 8, "the policy is not the one that the log names")
        self.refused(good, put("policy", base64.b64decode(good["files"]["policy"]) + b"\n"), 8, "the policy")
        self.refused(good, put("report", self.report.read_bytes()[:-1] + b"\0"), 8, "the report is not the one")
        self.refused(good, put("report", base64.b64decode(beside["files"]["report"])), 8, "the report is not the one")
        self.refused(good, trust(lambda c: c["roots"].clear()), 8, "the trust material is not the one")
        self.refused(good, trust(lambda c: c["roots"][0].update({"name": "other.pem"})), 8, "the trust material")
        der = "".join(other_root.splitlines()[1:-1])
        self.refused(good, trust(lambda c: c["roots"][0].update({"der": der})), 8, "the trust material")
        self.refused(good, trust(lambda c: c.update({"more": 1})), 4)
        self.refused(good, entry("challenge", None), 8, "the log knew the challenge")
        self.refused(good, entry("challenge", beside["entries"]["challenge"]), 8, "its challenge is another's")
        self.refused(good, entry("intent", denied["entries"]["intent"]), 8, "its intent is another's")
        self.refused(good, entry("intent", None), 8, "its intent")
        self.refused(good, entry("genesis", good["entries"]["intent"]), 8, "its first entry is not the log's")
        self.refused(good, lambda bad: bad.update({"receipt": denied["receipt"]}), 8, "its intent is another's")
        self.refused(good, lambda bad: bad["receipt"].update({"proof": []}), 8, "is not in the log")
        self.refused(good, lambda bad: bad["signed"]["policies"][0]["signatures"].append("x"), 8, "which nobody signed")
        self.refused(good, lambda bad: bad.update({"more": 1}), 4)
        self.refused(good, lambda bad: bad["files"].pop("trust"), 4, "no member 'trust'")

    def test_nothing_can_be_left_out(self):
        good = json.loads(self.bundle(self.released).read_text())
        self.assertGreater(self.refused_without_each_part(good), 60)

    def test_no_changed_byte_passes(self):
        path = self.bundle(self.released)
        good = path.read_bytes()
        for i in range(0, len(good) - 1, 97):
            path.write_bytes(good[:i] + bytes([good[i] ^ 1]) + good[i + 1:])
            self.check(path, 4, 8)
        path.write_bytes(good[:-2])
        self.check(path, 4)
        path.write_bytes(good + b"x")
        self.check(path, 4)

    def test_what_was_not_kept_is_named(self):
        kept = self.appliance.root / "home" / "reports"
        name = json.loads(self.bundle(self.released).read_text())["receipt"]["entry"]
        report = kept / (json.loads(name)["data"]["report_sha256"] + ".report")
        content = report.read_bytes()
        report.unlink()
        try:
            said = self.appliance.qpcseal("audit", "receipt", "--bundle", self.released, "-o", self.path("none"),
                                          expect=3)
            self.assertIn(report.name, said.stderr)
            report.write_bytes(content[:-1] + b"\0")
            self.appliance.qpcseal("audit", "receipt", "--bundle", self.released, "-o", self.path("none"), expect=8)
            self.assertFalse(self.path("none").exists())
        finally:
            report.write_bytes(content)

    def test_only_verdicts_have_bundles(self):
        path = self.path("none")
        said = self.appliance.qpcseal("audit", "receipt", "--bundle", 0, "-o", path, expect=2)
        self.assertIn("no verdict", said.stderr)
        self.assertFalse(path.exists())


class Guarded(Desk):
    """Officers agreed: to the policy, its successor, the collateral and the releases."""

    @classmethod
    def setUpClass(cls):
        cls.appliance = GuardedAppliance(guarded=("release", "trust-import", "policy-change"))
        a, q = cls.appliance, cls.appliance.qpcseal
        q("mek", "generate", "resnet50")
        cls.seqs = []

        def release(name, by=(0, 1), expect=0, device=0):
            report = a.attest("resnet50", device=device, name=name + ".dat")
            options = a.approved("release", "--mek", "resnet50", "--report", report, by=by,
                                 name=name + ".request")
            q("wrap-mek", "--mek", "resnet50", "--pub-keys", report, "--output-dir", a.root / name, *options,
              expect=expect)
            cls.seqs.append(cls.verdicts()[-1])

        release("first")
        following = a.root / "next.toml"
        following.write_text(a.policy.read_text().replace("serial = 1\n", "serial = 2\n"))
        q("policy", "install", following, "--approval", *(o.sign(following, "policy") for o in a.officers[1:]))
        bundle = a.root / "collateral"
        q("trust", "bundle", "--serial", 1, "--trust", a.trust, "-o", bundle)
        q("trust", "import", bundle, "--approval", *(o.sign(bundle, "collateral") for o in a.officers[:2]))
        release("second", by=(2, 0))
        cls.key = cls.log_key()

    def good(self, which):
        return json.loads(self.bundle(self.seqs[which]).read_text())

    def test_who_signed_is_verified_again(self):
        said = self.check(self.bundle(self.seqs[0]))["recomputed"]
        self.assertTrue(said["allowed"])
        self.assertEqual(sorted(said["signed"]["policy"]), ["anna", "bela"])
        self.assertEqual(said["signed"]["trust"], [])
        self.assertEqual(said["signed"]["release"], ["anna", "bela"])
        said = self.check(self.bundle(self.seqs[1]))["recomputed"]
        self.assertTrue(said["allowed"])
        self.assertEqual(said["policy_serial"], 2)
        self.assertEqual(said["signed"], {"policy": ["bela", "carl"], "trust": ["anna", "bela"],
                                          "release": ["carl", "anna"]})

    def test_signatures_cannot_change(self):
        def part_of(bundle, way):
            for name in way:
                bundle = bundle[name]
            return bundle

        for which, way in ((0, ("policies", 0)), (0, ("release",)), (1, ("policies", 0)), (1, ("policies", 1)),
                           (1, ("trust",)), (1, ("release",))):
            good = self.good(which)
            signatures = part_of(good["signed"], way)["signatures"]
            other = part_of(good["signed"], ("policies", 0) if way == ("release",) else ("release",))["signatures"][0]
            with self.subTest(part=way, which=which):
                def put(value, way=way):
                    return lambda bad: part_of(bad["signed"], way).update({"signatures": value})
                self.refused(good, put([]))
                self.refused(good, put(signatures[:1]))
                self.refused(good, put([signatures[0], signatures[0]]))
                self.refused(good, put([signatures[0], other]), 8, "signature does not hold")
                self.refused(good, put([*signatures, other]), 8, "signature does not hold")

    def test_requests_entries_and_officers_cannot_change(self):
        first, second = self.good(0), self.good(1)

        def signed(part, **more):
            return lambda bad: bad["signed"][part].update(more)

        def policies(change):
            return lambda bad: change(bad["signed"]["policies"])

        self.refused(second, lambda bad: bad["signed"].update({"release": first["signed"]["release"]}), 8,
                     "its approval is another release's")
        self.refused(second, signed("release", request=first["signed"]["release"]["request"]), 8)
        text = second["signed"]["release"]["request"]
        self.refused(second, signed("release", request=text.replace("threshold: 2", "threshold: 1")), 8)
        self.refused(second, lambda bad: bad["signed"].update({"release": None}), 8, "whether officers agreed")
        self.refused(second, signed("release", head=[]), 8, "does not begin with")
        self.refused(second, policies(lambda p: p[1].update(entry=None)), 8, "a second file of the genesis")
        self.refused(second, policies(lambda p: p.pop()), 8, "who signed the policy is not there")
        self.refused(second, policies(lambda p: p.pop(0)), 8, "the first policy is not there")
        self.refused(second, policies(lambda p: p.append(p[1])), 8, "the entry is not of this policy")
        self.refused(second, policies(lambda p: p[0].update(text=p[1]["text"])), 8, "the first policy is not the one")
        self.refused(second, signed("trust", entry=None), 8, "who signed the trust is not there")
        later = second["signed"]["policies"][1]
        self.refused(first, policies(lambda p: p.append(later)), 8, "came in behind the verdict")
        self.refused(first, policies(lambda p: p[0].update(entry=later["entry"])), 8, "the first policy is not there")
        self.refused(first, lambda bad: bad["signed"].update({"officers": []}), 8, "officers file")
        listed = self.appliance.officers_file.read_bytes()
        self.refused(first, lambda bad: bad["signed"]["officers"][0].update({"text": coded(listed + b"\n")}), 8,
                     "an officers file is not the one")
        self.refused(second, lambda bad: bad["files"].update({"trust": first["files"]["trust"]}), 8,
                     "the trust material is not the one")

    def test_nothing_can_be_left_out(self):
        self.assertGreater(self.refused_without_each_part(self.good(1)), 100)

    def test_officers_who_came_later(self):
        """A file with other officers, and what they signed, are held to those who agreed to the file."""
        site = GuardedAppliance(guarded=("release", "policy-change", "officers-change"), cards=1)
        self.addCleanup(site.close)
        site.qpcseal("mek", "generate", "m")
        listed = site.root / "listed"
        listed.write_text("".join(officer.line() for officer in site.officers[1:]))
        site.change_officers(listed)
        following = site.root / "next.toml"
        following.write_text(site.policy.read_text().replace("serial = 1\n", "serial = 2\n"))
        site.qpcseal("policy", "install", following, "--approval", *(o.sign(following, "policy") for o in site.officers[1:]))
        report = site.attest("m")
        options = site.approved("release", "--mek", "m", "--report", report, by=(1, 2))
        site.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", site.root / "out", *options)
        entries = site.json("audit", "show", "--kind", "release")["entries"]
        path = site.root / "later"
        site.qpcseal("audit", "receipt", "--bundle", entries[-1]["seq"], "-o", path)
        key = site.qpcseal("trust", "show", "--log-key").stdout.strip()
        said = run(QPCSEAL, "audit", "check-receipt", path, "--key", key, "--json", env=NOWHERE)
        self.assertEqual(sorted(json.loads(said.stdout)["recomputed"]["signed"]["policy"]), ["bela", "carl"])
        good = json.loads(path.read_text())
        self.assertEqual(len(good["signed"]["officers"]), 2)
        for change in (lambda o: o[1].update(approval=None), lambda o: o[1]["approval"].update(signatures=[]),
                       lambda o: o[1]["approval"]["signatures"].pop(), lambda o: o.pop(),
                       lambda o: o[1]["approval"].update(entry=o[1]["entry"]), lambda o: o[1]["approval"].update(head=[])):
            bad = copy.deepcopy(good)
            change(bad["signed"]["officers"])
            path.write_text(written(bad))
            done = subprocess.run([QPCSEAL, "audit", "check-receipt", str(path), "--key", key], env=NOWHERE, check=False)
            self.assertIn(done.returncode, (4, 8))

    def test_a_lost_signature_is_named(self):
        kept = self.appliance.root / "home" / "approvals"
        hidden = self.appliance.root / "hidden"
        os.rename(kept, hidden)
        kept.mkdir()
        try:
            for file in hidden.iterdir():
                if file.suffix != ".sig":
                    (kept / file.name).write_bytes(file.read_bytes())
            said = self.appliance.qpcseal("audit", "receipt", "--bundle", self.seqs[1], "-o", self.path("none"),
                                          expect=3)
            self.assertIn("the signature of", said.stderr)
        finally:
            for file in kept.iterdir():
                file.unlink()
            kept.rmdir()
            os.rename(hidden, kept)


if __name__ == "__main__":
    unittest.main()
