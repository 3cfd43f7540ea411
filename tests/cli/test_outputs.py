# SPDX-License-Identifier: Apache-2.0
"""Whoever reads the JSON of a command that wrote a file finds the file's SHA-256, and the entry of the log that it goes with."""

import hashlib
import json
import os
import pathlib
import re
import unittest

from appliance import Appliance, QPCSEAL, run, softhsm_env
from ceremony_support import MODULE, PLANS
from second import Second

# These work with an officer's own token, and no appliance: there is no log.
WITHOUT_LOG = {"approve", "policy sign", "trust sign", "trust bundle", "officer-key new"}
# A rehearsal's log is thrown away with its token.
THROWN_AWAY = {"ceremony rehearse"}
# As `ceremony rehearse`, which needs no terminal; the same code makes their results.
ELSEWHERE = {"ceremony run", "ceremony resume", "ceremony report"}


def commands(*words):
    """Every command that has no commands of its own, with its help."""
    text = run(QPCSEAL, *words, "--help", env={"PATH": os.environ["PATH"]}).stdout
    listed = re.search(r"(?ms)^Subcommands:\n(.*?)(?:^\S|\Z)", text)
    if not listed:
        yield " ".join(words), text
        return
    for name in re.findall(r"(?m)^  ([a-z][a-z-]*)\b", listed.group(1)):
        yield from commands(*words, name)


def writing(helps):
    """Those of {command: help} that write a file."""
    return {command for command, text in helps.items() if re.search(r"(?m)^  +(-o,)?--output(-dir)?\b", text)}


class Outputs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Appliance(cards=2)
        cls.root = cls.site.root
        cls.site.serve()
        cls.site.qpcseal("mek", "generate", "m")
        cls.model = cls.site.sample(size=70000)
        cls.recovery = Second(cls.site, "recovery")
        cls.recovery_key = cls.root / "recovery.key"
        cls.recovery.qpcseal("recovery-key", "new", "-o", cls.recovery_key)
        cls.pin = cls.root / "officer.pin"
        cls.pin.touch(mode=0o600)
        cls.pin.write_text("246813\n")
        (cls.root / "officer").mkdir()
        cls.officer = dict(softhsm_env(cls.root / "officer", cls.root), PATH=os.environ["PATH"])
        run("softhsm2-util", "--init-token", "--free", "--label", "anna", "--pin", "246813", "--so-pin", "246813",
            env=cls.officer)
        cls.seen = {}

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def setUp(self):
        self.out = self.root / self.id().rsplit(".", 1)[1]

    def check(self, command, *options, env=None, files=None):
        """Runs it; every file that it wrote is in `written` with its digest, and the log's entry is named."""
        words = command.split()
        said = json.loads(run(QPCSEAL, *words, *options, "--json", env=env or self.site.env).stdout)
        self.assertTrue(said.get("written"), f"{command}: {said}")
        for file in said["written"]:
            self.assertEqual(file["sha256"], hashlib.sha256(pathlib.Path(file["path"]).read_bytes()).hexdigest(), command)
        if files is not None:
            self.assertEqual({pathlib.Path(file["path"]) for file in said["written"]}, set(files), command)
        if command not in WITHOUT_LOG | THROWN_AWAY:
            log = pathlib.Path((env or self.site.env)["QPCSEAL_HOME"]) / "log" / "entries.jsonl"
            self.assertEqual(said["log_entry"], len(log.read_text().splitlines()) - 1, command)
        self.seen[command] = said
        return said

    def everything(self, folder):
        return [path for path in folder.rglob("*") if path.is_file()]

    def token(self):
        return ["--module", MODULE, "--token", "anna", "--pin-source", f"file:{self.pin}"]

    def signed(self, command, file, shown=None):
        digest = hashlib.sha256((shown or file).read_bytes()).hexdigest()
        out = file.with_name(file.name + ".anna")
        self.check(command, file, *self.token(), "--yes-digest", digest, "-o", out, env=self.officer, files=[out])

    def of_models(self):
        sealed, bound = self.root / "sealed", self.root / "bound"
        self.check("encrypt-model", "--qpc", self.model, "--mek", "m", "--output-dir", sealed,
                   files=[sealed / "programqpc.bin"])
        folder = self.root / "set"
        folder.mkdir()
        (folder / "a.qpc").write_bytes(self.model.read_bytes())
        (folder / "words.json").write_text("{}")
        out = self.root / "sealed-set"
        self.check("encrypt-model", "--qpc", folder, "--mek", "m", "--output-dir", out)
        self.assertEqual({pathlib.Path(file["path"]) for file in self.seen["encrypt-model"]["written"]},
                         set(self.everything(out)))
        self.check("encrypt-with-session-keys", "--input-dir", sealed, "--output-dir", bound, "--mek", "m", "--pub-keys",
                   self.site.attest("m", 0, "1.dat"), files=[bound / "programqpc.bin"])
        self.check("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "m", "--pub-keys",
                   self.site.attest("m", 1, "2.dat"), files=[sealed / "programqpc.bin"])
        one, two, fleet = self.root / "one", self.root / "two", self.root / "fleet"
        self.check("wrap-mek", "--mek", "m", "--pub-keys", self.site.attest("m", 0, "3.dat"), "--output-dir", one)
        self.assertEqual({pathlib.Path(file["path"]) for file in self.seen["wrap-mek"]["written"]}, set(self.everything(one)))
        for out, more in ((two, []), (fleet, ["--skip-denied"])):
            reports = [self.site.attest("m", card, f"{out.name}-{card}.dat") for card in (0, 1)]
            self.check("wrap-mek", "--mek", "m", "--pub-keys", *reports, "--output-dir", out, *more)
            self.assertEqual({pathlib.Path(file["path"]) for file in self.seen["wrap-mek"]["written"]},
                             set(self.everything(out)))
        replaced = self.root / "replaced"
        self.check("replace-mek", "--encrypted-qpc", sealed, "--wrapped-meks", one, "--output-dir", replaced,
                   files=[replaced / "programqpc.bin"])
        self.check("replace-mek", "--encrypted-qpc", sealed, "--wrapped-meks", one, "--in-place",
                   files=[sealed / "programqpc.bin"])

    def of_keys(self):
        backup = self.root / "m.backup"
        self.check("mek backup", "m", "--to", self.recovery_key, "-o", backup, files=[backup])
        self.check("mek drill", backup, "-o", self.root / "drill", env=self.recovery.env, files=[self.root / "drill"])
        self.check("recovery-key show", "-o", self.root / "shown.key", env=self.recovery.env, files=[self.root / "shown.key"])
        self.check("recovery-key new", "-o", self.root / "own.key", files=[self.root / "own.key"])

    def of_cards(self):
        request, requests = self.root / "request", self.root / "requests"
        self.check("attest request", "--mek", "m", "-o", request, files=[request])
        self.check("attest request", "--mek", "m", "--host", "h", "--device", "0-1", "-o", requests)
        self.assertEqual({pathlib.Path(file["path"]) for file in self.seen["attest request"]["written"]},
                         set(self.everything(requests)))

    def of_the_log(self):
        for command, options in (("audit checkpoint", []), ("audit report", []), ("audit receipt", ["0"])):
            out = self.root / command.replace(" ", "-")
            self.check(command, *options, "-o", out, files=[out])
        self.check("audit export", "-o", self.root / "tiles")
        self.assertEqual({pathlib.Path(file["path"]) for file in self.seen["audit export"]["written"]},
                         set(self.everything(self.root / "tiles")))
        self.check("home backup", "-o", self.root / "home.tar", files=[self.root / "home.tar"])
        self.check("status", "--prometheus", "-o", self.root / "metrics", files=[self.root / "metrics"])

    def of_officers(self):
        out = self.root / "anna.line"
        self.check("officer-key new", *self.token(), "--name", "anna", "-o", out, env=self.officer, files=[out])
        bundle = self.root / "bundle"
        self.check("trust bundle", "--serial", 1, "--trust", self.site.trust, "-o", bundle, files=[bundle])
        self.signed("trust sign", bundle)
        self.signed("policy sign", self.site.policy)
        officers = self.root / "officers"
        officers.write_text(out.read_text())
        guarded = Guarded(self.root, officers, self)
        self.check("genesis show", "-o", self.root / "genesis", env=guarded.env, files=[self.root / "genesis"])
        self.signed("approve", self.root / "genesis")
        guarded.qpcseal("genesis", "accept", "--approval", self.root / "genesis.anna")
        request = self.root / "seal.request"
        guarded.qpcseal("mek", "generate", "m")
        self.check("request new", "seal", "--mek", "m", "--qpc", self.model, "-o", request, env=guarded.env, files=[request])
        self.signed("approve", request)

    def of_ceremonies(self):
        genesis = self.site.json("audit", "show", "--kind", "genesis")["entries"][0]["data"]
        text = next(path for folder in PLANS if (path := folder / "first-key.toml").exists()).read_text()
        for key, value in (("aud", genesis["aud"]), ("appliance", "test"), ("valid_until", "2099-01-01T00:00:00Z")):
            text = re.sub(rf"(?m)^{key} = .*$", f'{key} = "{value}"', text)
        plan = self.root / "work" / "plan.toml"
        plan.parent.mkdir()
        plan.write_text(text)
        out = self.root / "rehearsed"
        options = ["--dir", plan.parent, "-o", out]
        self.check("ceremony rehearse", plan, *options, "--on-this-appliance", files=[out / "record.json", out / "record.html"])

    def test_every_command_that_writes_a_file(self):
        for part in (self.of_models, self.of_keys, self.of_cards, self.of_the_log, self.of_officers, self.of_ceremonies):
            part()
        all_writing = writing(dict(commands()))
        self.assertGreater(len(all_writing), 20)
        self.assertEqual(all_writing - set(self.seen), ELSEWHERE)


class Guarded:
    """An appliance whose seals one officer approves."""

    def __init__(self, root, officers, test):
        self.env = dict(test.site.env, QPCSEAL_HOME=str(root / "guarded"))
        policy = root / "guarded.toml"
        policy.write_text(re.sub(r"(?m)^(seal|policy-change|officers-change|site-change|anchor-accept|clock-correct) = \d$",
                                 r"\1 = 1", test.site.policy.read_text().replace('appliance = "any"', 'appliance = "guarded"')))
        test.signed("policy sign", policy)
        pin = root / "guarded.pin"
        pin.touch(mode=0o600)
        pin.write_text("12345678\n")
        run(QPCSEAL, "init", "--embedded", "--appliance-id", "guarded", "--officers", officers, "--policy", policy,
            "--policy-signature", policy.with_name(policy.name + ".anna"), "--trust", test.site.trust, "--pin-source",
            f"file:{pin}", env=self.env)

    def qpcseal(self, *arguments):
        return run(QPCSEAL, *arguments, env=self.env)


if __name__ == "__main__":
    unittest.main()
