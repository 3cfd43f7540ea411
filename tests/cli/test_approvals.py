"""Acts that officers must agree to: what counts, and what each thing that does not count gets."""

import datetime
import hashlib
import os
import subprocess
import time
import unittest

from appliance import GuardedAppliance, Officer, QPCSEAL


def later(hours):
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


class Approvals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = GuardedAppliance()
        cls.anna, cls.bela, cls.carl = cls.appliance.officers
        cls.model = cls.appliance.sample()

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].replace("test_", "")
        self.request = self.appliance.request("mek-generate", "--param", f"name={self.name}", name=self.name)

    def generate(self, *signatures, request=None, expect=0, name=None):
        return self.appliance.qpcseal("mek", "generate", name or self.name, "--request", request or self.request,
                                      *(["--approval", *signatures] if signatures else []), expect=expect)

    def refused(self, result, *words):
        for word in words:
            self.assertIn(word, result.stderr)
        labels = [mek["label"] for mek in self.appliance.json("mek", "list")]
        self.assertNotIn(self.name + "#1", labels)

    def edited(self, **lines):
        """Another request, in which lines were changed."""
        text = self.request.read_text()
        for name, value in lines.items():
            name = name.replace("_", " ")
            text = "".join(f"{name}: {value}\n" if line.startswith(name + ": ") else line
                           for line in text.splitlines(keepends=True))
        self.assertNotEqual(text, self.request.read_text())
        other = self.request.with_name(self.name + ".edited")
        other.write_text(text)
        return other

    def test_two_of_three_in_any_order(self):
        self.generate(self.carl.sign(self.request), self.anna.sign(self.request))
        entry = self.appliance.json("audit", "show", "--kind", "mek-generate", "--mek", self.name)["entries"][0]
        shown = self.appliance.qpcseal("audit", "show", "--kind", "mek-generate", "--mek", self.name).stdout
        self.assertEqual(shown.count("agreed by carl, anna"), 2, shown)  # intent and result
        approval = entry["data"]["approval"]
        digest = hashlib.sha256(self.request.read_bytes()).hexdigest()
        self.assertEqual(approval["request_sha256"], digest)
        self.assertEqual([person["name"] for person in approval["approvers"]], ["carl", "anna"])
        kept = self.appliance.root / "home" / "approvals"
        self.assertEqual((kept / (digest + ".request")).read_bytes(), self.request.read_bytes())
        self.assertTrue((kept / (hashlib.sha256(self.request.with_name(self.name + ".anna.sig").read_bytes())
                                 .hexdigest() + ".sig")).exists())

    def test_only_signatures_that_count_are_kept(self):
        other = self.request.with_name(self.name + ".pin")
        other.write_text("24681357\n")
        twice = self.anna.sign(self.request)
        twice = twice.rename(twice.with_suffix(".again"))
        twice.write_text(twice.read_text() + "\n")
        self.generate(other, self.anna.sign(self.request), self.bela.sign(self.request), twice)
        kept = self.appliance.root / "home" / "approvals"
        for file, there in ((other, False), (twice, False), (self.request.with_name(self.name + ".bela.sig"), True)):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            self.assertEqual((kept / (digest + ".sig")).exists(), there, file)

    def test_no_request(self):
        self.refused(self.appliance.qpcseal("mek", "generate", self.name, expect=7), "approval of 2 officers",
                     "request new")

    def test_one_short(self):
        self.refused(self.generate(self.anna.sign(self.request), expect=7), "what counts is 1 (anna)")

    def test_same_person_twice(self):
        first = self.anna.sign(self.request)
        second = first.rename(first.with_suffix(".again"))
        self.refused(self.generate(self.anna.sign(self.request), second, expect=7), "POL-SIGNATURE-TWICE")

    def test_expired(self):
        old = self.edited(not_before="2026-01-01T00:00:00Z", not_after="2026-01-02T00:00:00Z")
        self.refused(self.generate(self.anna.sign(old), self.bela.sign(old), request=old, expect=7), "expired")

    def test_not_yet_valid(self):
        early = self.edited(not_before=later(24), not_after=later(48))
        self.refused(self.generate(self.anna.sign(early), self.bela.sign(early), request=early, expect=7),
                     "valid from")

    def test_other_parameters(self):
        signatures = self.anna.sign(self.request), self.bela.sign(self.request)
        self.refused(self.generate(*signatures, name="other-name", expect=7), "other-name", "parameter 'name'")

    def test_signatures_for_another_request(self):
        other = self.appliance.request("mek-generate", "--param", f"name={self.name}", name=self.name + ".other")
        self.refused(self.generate(self.anna.sign(other), self.bela.sign(other), expect=7),
                     "POL-SIGNATURE-BAD: anna's signature is over another file, expected one over these bytes")

    def test_other_namespace(self):
        plan = self.anna.sign(self.request, "plan")
        self.refused(self.generate(plan, self.bela.sign(self.request), expect=7),
                     "POL-SIGNATURE-BAD: anna's signature is in namespace plan@qpcseal")

    def test_a_request_for_another_operation_is_named(self):
        self.generate(self.anna.sign(self.request), self.bela.sign(self.request))
        seal = self.appliance.request("seal", "--mek", self.name, "--qpc", self.model, name=self.name + ".seal")
        said = self.generate(self.anna.sign(seal), self.bela.sign(seal), request=seal, name="another", expect=7).stderr
        self.assertIn("and no request for it was given: the one that was given is for 'seal'", said)

    def test_an_empty_file_is_named(self):
        other = self.request.with_name(self.name + ".empty")
        other.write_text("")
        self.refused(self.generate(self.anna.sign(self.request), request=other, expect=4), f"{other} is empty, and no request")

    def test_what_cannot_be_done_is_not_asked_for(self):
        self.generate(self.anna.sign(self.request), self.bela.sign(self.request))
        out = self.request.with_name(self.name + ".vain")
        for operation, parameters, words in (("mek-generate", ["--param", f"name={self.name}"], "a MEK '" + self.name + "' already"),
                                             ("mek-generate", ["--param", "name=größe"], "is no name for a MEK")):
            said = self.appliance.qpcseal("request", "new", operation, *parameters, "-o", out, expect=2).stderr
            self.assertIn(words, said)
            self.assertFalse(out.exists())

    def test_inspect_names_whose_signature_it_is(self):
        said = self.appliance.json("inspect", self.anna.sign(self.request))
        self.assertEqual((said["namespace"], said["officer"]), ("approval@qpcseal", "anna"))

    def test_stranger(self):
        stranger = Officer(self.appliance.root, self.name + "-key", "-t", "ed25519")
        self.refused(self.generate(self.anna.sign(self.request), stranger.sign(self.request), expect=7),
                     "POL-SIGNATURE-UNKNOWN")

    def test_replayed(self):
        signatures = self.anna.sign(self.request), self.bela.sign(self.request)
        self.generate(*signatures)
        again = self.generate(*signatures, expect=2)  # the name is taken already
        self.assertIn("already", again.stderr)
        seal = self.appliance.request("seal", "--mek", self.name, "--qpc", self.model, name=self.name + ".seal")
        signatures = self.anna.sign(seal), self.bela.sign(seal)
        model = self.model
        for out, expect in (("one", 0), ("two", 7)):
            result = self.appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", self.name, "--output-dir",
                                            self.appliance.root / out, "--request", seal, "--approval", *signatures,
                                            expect=expect)
        self.assertRegex(result.stderr, r"used before: log entry \d+, seal, of \S+; each one serves once")
        self.assertFalse((self.appliance.root / "two").exists())

    def test_facts_must_be_as_they_are(self):
        for line, value, word in (("aud", "00" * 16, "aud"), ("token_serial", '"0123"', "token"),
                                  ("policy_sha256", "11" * 32, "policy"), ("officers_sha256", "22" * 32, "officers"),
                                  ("threshold", "1", "threshold"), ("log_root", "33" * 32, "log"),
                                  ("log_size", "100000", "log"), ("appliance", '"other"', "appliance")):
            with self.subTest(line):
                other = self.edited(**{line: value})
                signatures = self.anna.sign(other), self.bela.sign(other)
                self.refused(self.generate(*signatures, request=other, expect=7), word)

    def test_what_is_no_request_in_its_written_form(self):
        good = self.request.read_text()
        bad = self.request.with_name("bad")
        for text in (good + "\n", good.replace(": ", ":  ", 1), good[:-1],
                     good.replace("threshold: 2", "threshold: 02"), good.replace(self.name, self.name + "\u202e"),
                     "\n", good.replace("operation", "Operation"),
                     good.replace("parameter name", "parameter nam\u00e9")):
            bad.write_text(text)
            with self.subTest(text):
                self.refused(self.generate(self.anna.sign(bad), self.bela.sign(bad), request=bad, expect=4),
                             "approval request")

    def test_rejected(self):
        signatures = self.anna.sign(self.request), self.bela.sign(self.request)
        text = self.request.with_name(self.name + ".rejection")
        digest = hashlib.sha256(self.request.read_bytes()).hexdigest()
        text.write_text(f"qpcseal rejection 1\nrequest sha256: {digest}\n")
        self.refused(self.generate(*signatures, self.carl.sign(text), expect=7), "rejected by carl")
        entry = self.appliance.json("audit", "show", "--kind", "rejection")["entries"][-1]
        self.assertEqual(entry["data"]["request_sha256"], digest)
        self.assertEqual([person["name"] for person in entry["data"]["rejecters"]], ["carl"])
        shown = self.appliance.qpcseal("audit", "show", "--kind", "rejection", "--mek", self.name).stdout
        self.assertIn(f"MEK {self.name}  operation mek-generate  request {digest[:16]}...  by carl", shown)
        again = self.generate(*signatures, expect=7)
        self.refused(again, f"the request was rejected: log entry {entry['seq']}, rejection")
        self.assertNotIn("serves once", again.stderr)

    def test_seal_and_release_in_one_command(self):
        self.generate(self.anna.sign(self.request), self.bela.sign(self.request))
        report = self.appliance.attest(self.name, name=self.name + ".dat")
        seal = self.appliance.approved("seal", "--mek", self.name, "--qpc", self.model, name="s")
        release = self.appliance.approved("release", "--mek", self.name, "--report", report, by=(1, 2), name="r")
        model = self.model
        command = ("encrypt-model", "--qpc", model, "--mek", self.name, "--output-dir", self.appliance.root / "both",
                   "--pub-keys", report)
        self.appliance.qpcseal(*command, *seal, expect=7)
        self.assertFalse((self.appliance.root / "both" / "programqpc.bin").exists())
        self.appliance.qpcseal(*command, *seal, *release)

    def test_request_new_says_what_is_signed(self):
        out = self.appliance.root / "said"
        said = self.appliance.json("request", "new", "mek-generate", "--param", "name=x", "-o", out)
        self.assertEqual(said["sha256"], hashlib.sha256(out.read_bytes()).hexdigest())
        self.assertEqual((len(said["words"].split(" ")), said["threshold"]), (32, 2))
        seen = self.appliance.json("inspect", out)
        self.assertEqual((seen["operation"], seen["sha256"], seen["parameters"]),
                         ("mek-generate", said["sha256"], {"name": "x"}))
        self.appliance.qpcseal("request", "new", "mek-generate", "--param", "name=x", "-o", out, expect=3)
        self.appliance.qpcseal("request", "new", "mek-rotate", "-o", out, "--force", expect=2)
        self.appliance.qpcseal("request", "new", "nonsense", "-o", out, "--force", expect=2)
        self.appliance.qpcseal("request", "new", "seal", "--mek", "nobody", "-o", out, "--force", expect=2)


class BeforeThePin(unittest.TestCase):
    """What officers have not agreed to is said before a PIN is asked for."""

    @classmethod
    def setUpClass(cls):
        cls.site = GuardedAppliance(guarded=("mek-generate", "seal", "release", "mek-destroy", "log-key-rotate"))
        cls.addClassCleanup(cls.site.close)
        cls.site.qpcseal("mek", "generate", "m", *cls.site.approved("mek-generate", "--param", "name=m"))
        cls.model, cls.report = cls.site.sample(), cls.site.attest("m")

    def refused(self, *command, code=7):
        with open("/dev/null", "rb") as nothing:  # an empty PIN is exit code 6
            return self.site.qpcseal(*command, "--pin-fd", nothing.fileno(), pass_fds=(nothing.fileno(),), expect=code).stderr

    def test_in_every_command(self):
        out = self.site.root / "before-pin"
        sealing = ["encrypt-model", "--qpc", self.model, "--mek", "m", "--output-dir", out]
        seal = self.site.approved("seal", "--mek", "m", "--qpc", self.model)
        for operation, command in (("seal", sealing), ("release", [*sealing, "--pub-keys", self.report, *seal]),
                                   ("release", ["wrap-mek", "--mek", "m", "--pub-keys", self.report, "--output-dir", out]),
                                   ("release", ["encrypt-with-session-keys", "--input-dir", self.site.root, "--mek", "m",
                                                "--pub-keys", self.report]),
                                   ("mek-generate", ["mek", "generate", "x"]), ("mek-destroy", ["mek", "destroy", "m"]),
                                   ("log-key-rotate", ["audit", "rotate-key"])):
            with self.subTest(command=command[:2]):
                self.assertIn(f"'{operation}' needs the approval of 2 officers, and no request", self.refused(*command))
        self.assertIn("the PIN is empty", self.refused(*sealing, *seal, code=6))

    def test_too_few_and_too_late(self):
        request = self.site.request("mek-generate", "--param", "name=y", name="y")
        anna, bela, carl = self.site.officers
        said = self.refused("mek", "generate", "y", "--request", request, "--approval", anna.sign(request))
        self.assertIn("what counts is 1 (anna)", said)
        rejection = self.site.root / "y.rejection"
        rejection.write_text(f"qpcseal rejection 1\nrequest sha256: {hashlib.sha256(request.read_bytes()).hexdigest()}\n")
        self.refused("mek", "generate", "y", "--request", request, "--approval", carl.sign(rejection), code=6)  # it is logged
        old = request.with_name("y.old")
        old.write_text("".join(f"{line.split(':')[0]}: 2026-01-0{1 + line.startswith('not after')}T00:00:00Z\n"
                               if line.startswith("not ") else line for line in request.read_text().splitlines(True)))
        said = self.refused("mek", "generate", "y", "--request", old, "--approval", anna.sign(old), bela.sign(old))
        self.assertIn("the request expired at 2026-01-02T00:00:00Z", said)


class Inputs(unittest.TestCase):
    """A request for a seal is about one input: no other is sealed under it."""

    @classmethod
    def setUpClass(cls):
        cls.appliance = GuardedAppliance(guarded=("seal",))
        cls.appliance.qpcseal("mek", "generate", "m")
        cls.model = cls.appliance.sample()
        cls.other = cls.appliance.root / "other" / "model.qpc"
        cls.other.parent.mkdir()
        data = bytearray(cls.model.read_bytes())
        data[-1] ^= 1  # of a segment's content
        cls.other.write_bytes(data)

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def setUp(self):
        self.out = self.appliance.root / self.id().rsplit(".", 1)[1]

    def seal(self, inputs, approved, *more, expect=0):
        return self.appliance.qpcseal("encrypt-model", "--qpc", inputs, "--mek", "m", "--output-dir", self.out, *approved,
                                      *more, expect=expect)

    def test_the_model_of_the_request_is_sealed_and_logged(self):
        digest = hashlib.sha256(self.model.read_bytes()).hexdigest()
        request = self.appliance.request("seal", "--mek", "m", "--qpc", self.model, name="ok.request")
        self.assertIn(f'parameter input_sha256: "{digest}"\nparameter mek:', request.read_text())
        self.seal(self.model, ["--request", request, "--approval", *(o.sign(request) for o in self.appliance.officers[:2])])
        intent = [e for e in self.appliance.json("audit", "show", "--kind", "seal")["entries"] if e["phase"] == "intent"][-1]
        self.assertEqual(intent["data"]["input_sha256"], digest)

    def test_another_model_of_the_same_name_is_refused(self):
        approved = self.appliance.approved("seal", "--mek", "m", "--qpc", self.model)
        said = self.seal(self.other, approved, expect=7)
        self.assertIn("parameter 'input_sha256'", said.stderr)
        self.assertFalse(self.out.exists())
        self.seal(self.model, approved)  # it was not used up

    def test_a_request_without_the_digest_is_not_written(self):
        said = self.appliance.qpcseal("request", "new", "seal", "--mek", "m", "--param", "model=model", "-o", self.out,
                                      expect=2)
        self.assertIn("'input_sha256' is missing", said.stderr)

    def set_of(self, name):
        folder = self.appliance.root / name
        (folder / "part").mkdir(parents=True)
        for path in ("a.qpc", "part/b.qpc"):
            (folder / path).write_bytes(self.model.read_bytes())
        (folder / "tokenizer.json").write_text("{}")
        return folder

    def test_of_a_set_every_file_counts(self):
        for name, change in (("added", lambda folder: (folder / "more.txt").write_text("x")),
                             ("renamed", lambda folder: (folder / "a.qpc").rename(folder / "c.qpc")),
                             ("model", lambda folder: (folder / "part" / "b.qpc").write_bytes(self.other.read_bytes())),
                             ("file", lambda folder: (folder / "tokenizer.json").write_text("[]")),
                             ("removed", lambda folder: (folder / "tokenizer.json").unlink())):
            with self.subTest(name):
                folder = self.set_of("set-" + name)
                approved = self.appliance.approved("seal", "--mek", "m", "--qpc", folder)
                change(folder)
                self.assertIn("parameter 'input_sha256'", self.seal(folder, approved, expect=7).stderr)
                self.assertFalse(self.out.exists())

    def test_a_set_is_named_by_its_files_digests(self):
        folder = self.set_of("served")
        lines = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
                        for name in ("a.qpc", "part/b.qpc", "tokenizer.json"))
        request = self.appliance.request("seal", "--mek", "m", "--qpc", folder, name="set.request")
        self.assertIn(f'input_sha256: "{hashlib.sha256(lines.encode()).hexdigest()}"', request.read_text())
        self.assertIn('model: "served"', request.read_text())
        self.seal(folder, self.appliance.approved("seal", "--mek", "m", "--qpc", folder))

    def test_an_officer_signs_only_the_model_in_hand(self):
        request = self.appliance.request("seal", "--mek", "m", "--qpc", self.model, name="hand.request")
        options = ("approve", request, "--module", "/none.so", "--token", "none", "--yes-digest", "00" * 32)
        said = self.appliance.qpcseal(*options, "--qpc", self.other, expect=5)
        self.assertIn("about another input", said.stderr)
        said = self.appliance.qpcseal(*options, "--qpc", self.model, expect=2)
        self.assertIn("names other bytes", said.stderr)

    def test_an_input_that_is_written_to_meanwhile(self):
        model = self.appliance.sample("large.qpc", 64 << 20)
        approved = self.appliance.approved("seal", "--mek", "m", "--qpc", model)
        command = [QPCSEAL, "encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", self.out, *approved]
        sealing = subprocess.Popen([str(word) for word in command], env=self.appliance.env, stderr=subprocess.PIPE, text=True)
        while sealing.poll() is None:  # from before the input is read until it is sealed
            os.utime(model)
            time.sleep(0.005)
        said = sealing.communicate(timeout=60)[1]
        self.assertEqual(sealing.returncode, 3, said)
        self.assertIn("was written to while it was sealed", said)
        self.assertFalse((self.out / "programqpc.bin").exists())


if __name__ == "__main__":
    unittest.main()
