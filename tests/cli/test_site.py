"""Facts of the site: they are in the log, officers change them, and no file, folder or moved home can."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from appliance import QPCSEAL, Appliance, GuardedAppliance, run
from test_cut_short import failing
from tokens import SOFTHSM


def module_copy(folder, more=b"", name="libsofthsm2.so"):
    """SoftHSM under another path, and where `more` is given with another digest; it works all the same."""
    path = folder / name
    path.write_bytes(pathlib.Path(SOFTHSM).read_bytes() + more)
    path.chmod(0o755)
    return path


class Case(unittest.TestCase):
    def setUp(self):
        self.appliance = Appliance(cards=1)
        self.addCleanup(self.appliance.close)
        self.q, self.root = self.appliance.qpcseal, self.appliance.root
        self.home = self.root / "home"
        self.q("mek", "generate", "m")

    def edit(self, old, new):
        site = self.home / "site.toml"
        text = re.sub(old, new, site.read_text(), flags=re.M)
        self.assertNotEqual(text, site.read_text())
        site.write_text(text)

    def entries(self, kind):
        return self.appliance.json("audit", "show", "--kind", kind)["entries"]


class Facts(Case):
    def test_the_genesis_has_them_and_no_file_has(self):
        facts = self.entries("genesis")[0]["data"]["site"]
        self.assertEqual(set(facts), {"module_sha256", "module_arguments", "accept", "anchor", "clock_days"})
        self.assertEqual((facts["anchor"], facts["clock_days"]), (True, 7))
        self.assertEqual(self.appliance.json("site", "show")["facts"], facts)
        text = (self.home / "site.toml").read_text()
        self.assertEqual(re.findall("^[a-z_]+", text, re.M),
                         ["module", "token_label", "token_serial", "embedded", "pin_source"])
        for line in ('anchor = false', 'module_sha256 = "00"', 'accept = []', 'module_arguments = ""'):
            (self.home / "site.toml").write_text(text + line + "\n")
            said = self.q("mek", "list", expect=4).stderr
            self.assertIn("a fact of the site, which the log has", said)
        (self.home / "site.toml").write_text(text + "more = 1\n")
        self.assertIn("unknown key 'more'", self.q("mek", "list", expect=4).stderr)

    def test_a_log_of_an_earlier_version_is_refused_in_one_line(self):
        log = self.home / "log" / "entries.jsonl"
        first, rest = log.read_text().split("\n", 1)
        entry = json.loads(first)
        del entry["data"]["site"]
        log.write_text(json.dumps(entry, sort_keys=True, separators=(",", ":")) + "\n" + rest)
        said = self.q("site", "show", expect=8).stderr  # the checkpoint is not of these bytes
        self.assertIn("entry 0", said)

    def test_another_module_names_the_way_on_which_works(self):
        other = module_copy(self.root, b"upgraded")
        self.edit("^module = .*", f'module = "{other}"')
        said = self.q("mek", "list", expect=6).stderr
        self.assertIn("not the pinned", said)
        self.assertIn(f"hint: after an upgrade, officers agree to the new one by 'qpcseal site change --module {other}'",
                      said)
        change = ("site", "change", "--module", other)
        self.assertIn("--yes", self.q(*change, expect=2).stderr)
        before = self.appliance.json("site", "show")["facts"]
        self.q(*change, "--yes", "--clock-days", 30)
        self.q("mek", "list")
        entry = self.entries("site")[0]["data"]
        self.assertEqual(entry["old"], before)
        self.assertEqual(entry["new"], self.appliance.json("site", "show")["facts"])
        self.assertNotEqual(entry["new"]["module_sha256"], before["module_sha256"])
        self.assertEqual(entry["new"]["clock_days"], 30)
        self.assertIn("nothing changes", self.q("site", "change", "--clock-days", 30, "--yes", expect=2).stderr)
        for bad in (("--clock-days", 0), ("--clock-days", 91), ("--accept", "anything")):
            self.q("site", "change", *bad, "--yes", expect=2)

    def test_a_change_that_is_logged_is_done_whatever_fails_behind_it(self):
        other = module_copy(self.root, b"upgraded")
        change = ("site", "change", "--module", other, "--yes")
        done = failing(self.appliance.env, "rename", "error=EIO", 2, *change)
        self.assertIn("site.toml", done.stderr)
        self.assertEqual(done.returncode, 9, done.stderr)
        self.assertIn("done and logged", done.stderr.replace("are changed and logged", "done and logged"))
        self.assertEqual(len(self.entries("site")), 1)
        self.q(*change)  # the hint's way on
        self.assertEqual(len(self.entries("site")), 1)
        self.q("mek", "list")
        (kept,) = (self.home / "approvals").glob("*.signed")
        kept.unlink()
        done = failing(self.appliance.env, "rename", "error=EIO", 2, "site", "change", "--clock-days", 9, "--yes")
        self.assertEqual(done.returncode, 9, done.stderr)
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([QPCSEAL, "site", "change", "--clock-days", "10", "--yes"], env=self.appliance.env,
                                  stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 9, done.stderr)

    def test_a_policy_that_has_its_name_is_in_force_though_the_folder_was_not_synced(self):
        following = self.root / "next.toml"
        following.write_text(self.appliance.policy.read_text().replace("serial = 1\n", "serial = 2\n"))
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(self.home), "-e", "trace=fsync", "-e",
                               "inject=fsync:error=EIO:when=1", QPCSEAL, "policy", "install", following],
                              env=self.appliance.env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 9, done.stderr)
        self.assertIn("the file is in force and logged", done.stderr)
        self.assertEqual((self.home / "policy.toml").read_text(), following.read_text())
        self.assertEqual([entry["outcome"] for entry in self.entries("policy") if entry["phase"] == "result"], ["ok"])

    def test_the_same_module_elsewhere_is_a_line_in_site_toml(self):
        same = module_copy(self.root)
        size = self.appliance.json("audit", "checkpoint")["size"]
        self.q("site", "change", "--module", same)
        self.assertIn(f'module = "{same}"', (self.home / "site.toml").read_text())
        self.q("mek", "list")
        self.assertEqual(self.appliance.json("audit", "checkpoint")["size"], size)

    def test_an_anchor_counts_whatever_a_fact_says(self):
        shutil.copytree(self.home / "log", self.root / "before")
        self.q("site", "change", "--anchor", "no", "--yes")
        shutil.rmtree(self.home / "log")
        shutil.copytree(self.root / "before", self.home / "log")
        self.assertIn("rolled back", self.q("mek", "list", expect=8).stderr)


class Officers(unittest.TestCase):
    def test_a_new_module_is_not_run_before_officers_agreed(self):
        appliance = GuardedAppliance()
        self.addCleanup(appliance.close)
        other = module_copy(appliance.root, b"upgraded")
        change = ("site", "change", "--module", other)
        trace = appliance.root / "trace"

        def runs_it(*arguments, expect):
            said = run("strace", "-f", "-qq", "-y", "-o", trace, "-e", "trace=mmap", QPCSEAL, *change, *arguments,
                       env=appliance.env, expect=expect)
            return any("PROT_EXEC" in line and str(other) in line for line in trace.read_text().splitlines()), said

        # The policy does not name site-change with as many as other acts: it takes them all the same.
        request = appliance.request("site-change", "--digest", f"module_sha256={other}")
        self.assertIn("threshold: 2\n", request.read_text())
        one, two = (officer.sign(request) for officer in appliance.officers[:2])
        for approvals, says in (((), "no request for it"), (("--request", request, "--approval", one), "what counts is 1"),
                                (("--yes",), "no request for it")):
            ran, said = runs_it(*approvals, expect=7)
            self.assertFalse(ran, approvals)
            self.assertIn(says, said.stderr)
        with other.open("ab") as file:
            file.write(b"exchanged")
        ran, said = runs_it("--request", request, "--approval", one, two, expect=7)
        self.assertFalse(ran)
        self.assertIn("parameter 'module_sha256'", said.stderr)
        module_copy(appliance.root, b"upgraded")
        ran, said = runs_it("--request", request, "--approval", one, two, expect=0)
        self.assertTrue(ran)
        approvers = [approver["name"] for approver in
                     appliance.json("audit", "show", "--kind", "site")["entries"][0]["data"]["approval"]["approvers"]]
        self.assertEqual(sorted(approvers), ["anna", "bela"])

    def test_no_repair_before_the_genesis_is_signed_and_none_that_one_rejects(self):
        appliance = GuardedAppliance(genesis=False, cards=1)
        self.addCleanup(appliance.close)
        signed = appliance.approved("site-change", "--param", "clock_days=9")
        change = ("site", "change", "--clock-days", 9)
        said = appliance.qpcseal(*change, *signed, expect=7).stderr
        self.assertIn("have not signed the genesis yet", said)
        appliance.accept_genesis()
        request = appliance.request("site-change", "--param", "clock_days=9")
        signatures = [officer.sign(request) for officer in appliance.officers[:2]]
        refusal = request.with_name("refusal")
        refusal.write_text(f"qpcseal rejection 1\nrequest sha256: {hashlib.sha256(request.read_bytes()).hexdigest()}\n")
        rejection = appliance.officers[2].sign(refusal)
        said = appliance.qpcseal(*change, "--request", request, "--approval", *signatures, rejection, expect=7).stderr
        self.assertIn("was rejected by carl", said)
        self.assertEqual(appliance.json("site", "show")["facts"]["clock_days"], 7)

    def test_officers_see_the_facts_in_the_genesis(self):
        appliance = GuardedAppliance(genesis=False)
        self.addCleanup(appliance.close)
        text = appliance.qpcseal("genesis", "show").stdout
        facts = appliance.json("site", "show")["facts"]
        for line in (f"module sha256: {facts['module_sha256']}\n", 'module arguments: ""\n', "accepted: []\n",
                     "anchor: true\n", "clock days: 7\n"):
            self.assertIn(line, text)


class Anchors(Case):
    def entry_data(self):
        return self.entries("anchor-accept")[0]["data"]

    def test_a_token_that_is_older_by_two_appends(self):
        shutil.copytree(self.home / "tokens", self.root / "tokens-before")
        self.q("mek", "suspend", "m")
        self.q("mek", "resume", "m")
        shutil.rmtree(self.home / "tokens")
        shutil.copytree(self.root / "tokens-before", self.home / "tokens")
        said = self.q("mek", "list", expect=8).stderr
        self.assertIn("more than one append follows", said)
        self.assertIn("qpcseal audit anchor-accept", said)
        size, root = re.search(r"\(anchor (\d+) ([0-9a-f]{64})\)", said).groups()
        before = self.appliance.json("audit", "checkpoint")
        self.assertIn("--yes", self.q("audit", "anchor-accept", expect=2).stderr)
        self.q("mek", "list", expect=8)
        self.assertIn("an auditor has", self.q("audit", "anchor-accept", "--yes").stdout)
        self.assertEqual(self.entry_data(), {"anchor": {"size": int(size), "root": root},
                                             "log": {"size": before["size"], "root": before["root"]}})
        self.q("mek", "generate", "second")
        self.assertIn("nothing to accept", self.q("audit", "anchor-accept", "--yes", expect=2).stderr)

    def test_a_log_that_is_older_is_never_accepted(self):
        shutil.copytree(self.home / "log", self.root / "before")
        self.q("mek", "suspend", "m")
        shutil.rmtree(self.home / "log")
        shutil.copytree(self.root / "before", self.home / "log")
        self.assertIn("rolled back", self.q("audit", "anchor-accept", "--yes", expect=8).stderr)

    def test_officers_accept_the_state_that_they_saw(self):
        appliance = GuardedAppliance()
        self.addCleanup(appliance.close)
        home = appliance.root / "home"
        shutil.copytree(home / "tokens", appliance.root / "tokens-before")
        for name in "ab":
            appliance.qpcseal("mek", "generate", name, *appliance.approved("mek-generate", "--param", f"name={name}"))
        shutil.rmtree(home / "tokens")
        shutil.copytree(appliance.root / "tokens-before", home / "tokens")
        said = appliance.qpcseal("mek", "list", expect=8).stderr
        anchor = re.search(r"\(anchor (.*)\)", said)[1]
        accept = ("audit", "anchor-accept")
        self.assertIn("no request for it", appliance.qpcseal(*accept, "--yes", expect=7).stderr)
        other = appliance.approved("anchor-accept", "--param", "anchor=none")
        self.assertIn("parameter 'anchor'", appliance.qpcseal(*accept, *other, expect=7).stderr)
        appliance.qpcseal(*accept, *appliance.approved("anchor-accept", "--param", f"anchor={anchor}"))
        approval = appliance.json("audit", "show", "--kind", "anchor-accept")["entries"][0]["data"]["approval"]
        self.assertEqual(len(approval["approvers"]), 2)


class Others(Case):
    """As sshd's StrictModes."""

    def refused(self, what, *commands):
        for command in commands or (("mek", "list"), ("doctor",), ("mek", "generate", "other")):
            said = self.q(*command, expect=5).stderr
            self.assertIn(what, said)
            self.assertEqual(said.count("hint: "), 1)
        return said.split("hint: ")[1].splitlines()[0]

    def test_what_others_may_write_is_refused_and_the_hint_mends_it(self):
        token = next(path for path in (self.home / "tokens").rglob("*.object"))
        for path, mode in ((self.home, 0o777), (self.home / "site.toml", 0o666), (self.home / "log", 0o770),
                           (self.home / "log" / "entries.jsonl", 0o620), (self.home / "trust" / "root.pem", 0o602),
                           (self.home / "tokens", 0o707), (token, 0o666), (self.root, 0o777)):
            with self.subTest(path=path):
                path.chmod(mode)
                hint = self.refused(f"{path} may be written by others", ("mek", "list"))
                self.assertEqual(hint, f"chmod go-w {path}")
                subprocess.run(hint, shell=True, check=True)
                self.q("mek", "list")
        subprocess.run(["chmod", "-R", "777", str(self.home)], check=True)
        (self.home / "pin").chmod(0o600)
        subprocess.run(self.refused("may be written by others"), shell=True, check=True)
        self.q("mek", "generate", "other")

    def test_what_others_may_read_is_not(self):
        for path in (self.root, self.home, self.home / "log"):
            path.chmod(0o755)
        self.q("mek", "list")

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files away")
    def test_what_belongs_to_others_is_refused(self):
        os.chown(self.home, 65534, -1)
        before = {path: path.stat().st_mtime_ns for path in self.home.rglob("*")}
        hint = self.refused("belongs to user", ("mek", "list"))
        self.assertRegex(hint, f"^sudo -u [^ ]+ env QPCSEAL_HOME={self.home} qpcseal ...$")
        self.assertEqual({path: path.stat().st_mtime_ns for path in self.home.rglob("*")}, before)
        os.chown(self.home, 0, -1)
        for path in (self.home / "site.toml", self.home / "log" / "checkpoint"):
            os.chown(path, 65534, -1)
            self.assertEqual(self.refused("belongs to user", ("mek", "list")), f"chown root {path}")
            os.chown(path, 0, -1)
        self.q("mek", "list")

    def test_init_makes_no_home_below_such_a_folder(self):
        self.root.chmod(0o777)
        env = dict(self.appliance.env, QPCSEAL_HOME=str(self.root / "second"))
        said = self.q("init", "--embedded", "--insecure-demo", "--appliance-id", "second", "--policy",
                      self.appliance.policy, "--trust", self.appliance.trust, env=env, expect=5).stderr
        self.assertIn("chmod go-w", said)
        self.assertFalse((self.root / "second").exists())

    def test_a_module_that_others_could_exchange_is_not_run(self):
        folder = self.root / "modules"
        folder.mkdir()
        module = module_copy(folder)
        self.edit("^module = .*", f'module = "{module}"')
        self.q("mek", "list")
        for path, mode, back in ((folder, 0o777, 0o755), (module, 0o666, 0o755)):
            path.chmod(mode)
            said = self.q("mek", "list", expect=6).stderr
            self.assertIn("others could exchange the PKCS #11 module", said)
            self.assertIn(f"hint: chmod go-w {path}", said)
            path.chmod(back)
        self.q("mek", "list")


class Places(unittest.TestCase):
    """A home is its folder: wherever it lies, its token and PIN are the ones in it."""

    def appliance_at(self, name):
        appliance = Appliance(cards=1, init=False)
        self.addCleanup(appliance.close)
        home = appliance.root / name
        appliance.env = dict(appliance.env, QPCSEAL_HOME=str(home))
        appliance.init()
        appliance.qpcseal("mek", "generate", "m")
        return appliance, home

    def test_a_path_with_blanks_and_signs_of_softhsm_s_file(self):
        appliance, home = self.appliance_at("a # b = c")
        self.assertTrue(any((home / "tokens").iterdir()))
        self.assertEqual(len(appliance.json("mek", "list")), 1)

    def test_a_moved_home_works(self):
        appliance, home = self.appliance_at("first")
        moved = appliance.root / "moved"
        home.rename(moved)
        self.assertNotIn(str(home), (moved / "site.toml").read_text())
        env = dict(appliance.env, QPCSEAL_HOME=str(moved))
        appliance.qpcseal("mek", "generate", "second", env=env)
        appliance.env = env

    def test_what_is_destroyed_in_a_copy_stays_in_the_original(self):
        appliance, home = self.appliance_at("first")
        copy = appliance.root / "copy"
        shutil.copytree(home, copy)
        in_copy = dict(appliance.env, QPCSEAL_HOME=str(copy))
        appliance.qpcseal("mek", "destroy", "m", env=in_copy)
        self.assertEqual([mek["state"] for mek in appliance.json("mek", "list")], ["ok"])
        shutil.rmtree(copy / "tokens")
        self.assertIn("the home has no token", appliance.qpcseal("mek", "list", env=in_copy, expect=6).stderr)


if __name__ == "__main__":
    unittest.main()
