"""Homes are backed up, looked at and restored; what nobody vouches for goes neither in nor out."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import unittest

from appliance import Appliance, GuardedAppliance, QPCSEAL
from test_audit_keys import Case, Witness

MACHINE = ("tokens", "tokens.guard", "pin", "lock", "site.toml")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def header(name, size):
    """The one form of a ustar header that the program writes and reads."""
    def put(at, text):
        block[at:at + len(text)] = text

    block = bytearray(512)
    folder, file = name.rsplit("/", 1) if len(name) > 100 else ("", name)
    for at, text in ((0, file.encode()), (100, b"0000600\0" + b"0000000\0" * 2), (124, b"%011o\0" % size),
                     (136, b"0" * 11), (148, b" " * 8), (156, b"0"), (257, b"ustar\00000"), (345, folder.encode())):
        put(at, text)
    put(148, b"%06o\0 " % sum(block))
    return bytes(block)


def write_archive(path, members):
    path.write_bytes(b"".join(header(name, len(content)) + content + bytes(-len(content) % 512)
                              for name, content in members) + bytes(1024))


def read_archive(path):
    with tarfile.open(path) as archive:
        return [(item.name, archive.extractfile(item).read()) for item in archive]


def encoded(manifest):
    return json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()


def forge(source, target, without=(), **changes):
    """A backup with files put in, replaced or left out, and a manifest that lists them all."""
    members = dict(read_archive(source))
    manifest = json.loads(members.pop("manifest.json"))
    members = {name: data for name, data in members.items() if name not in without} | changes.pop("files", {})
    manifest["files"] = [{"name": name, "sha256": sha256(data), "size": len(data)}
                         for name, data in sorted(members.items())]
    write_archive(target, [("manifest.json", encoded(manifest)), *sorted(members.items())])


def state(home):
    """What a restore replaces."""
    return {path.relative_to(home): path.read_bytes() for path in home.rglob("*")
            if path.is_file() and path.relative_to(home).parts[0] not in MACHINE
            and not path.relative_to(home).parts[0].startswith("before-restore-")}


class HomeCase(Case):
    def setUp(self):
        super().setUp()
        self.q("mek", "generate", "resnet50")
        self.backup = self.appliance.root / "home.tar"
        self.said = self.appliance.json("home", "backup", "-o", self.backup)

    def elsewhere(self, name="second"):
        """The environment of another machine's user, and the home there."""
        home = self.appliance.root / name
        return {**self.appliance.env, "QPCSEAL_HOME": str(home)}, home

    def refused(self, words, code, *more, file=None):
        before = state(self.home)
        said = self.q("home", "restore", file or self.backup, "--force", *more, expect=code).stderr
        self.assertIn(words, said)
        self.assertEqual(state(self.home), before, "a refused restore changed the home")
        return said


class Backup(HomeCase):
    def test_is_an_archive_that_any_tar_reads_and_holds_no_secret(self):
        members = read_archive(self.backup)
        manifest, files = json.loads(members[0][1]), dict(members[1:])
        self.assertEqual([name for name, _ in members], ["manifest.json"] + [item["name"] for item in manifest["files"]])
        for item in manifest["files"]:
            content = files[item["name"]]
            self.assertEqual((len(content), sha256(content)), (item["size"], item["sha256"]))
            self.assertEqual(content, (self.home / item["name"]).read_bytes())
        for part in ("policy.toml", "log/entries.jsonl", "log/checkpoint", "trust/root.pem"):
            self.assertIn(part, files)
        self.assertFalse([name for name in files if name.split("/")[0] in MACHINE])
        self.assertNotIn((self.home / "pin").read_bytes().strip(), self.backup.read_bytes())
        self.assertEqual(os.stat(self.backup).st_mode & 0o777, 0o600)
        self.q("home", "backup", "-o", self.backup, expect=3)

    def test_leaves_out_what_nothing_vouches_for(self):
        junk = {"reports/" + sha256(b"junk") + ".report": b"junk", "approvals/" + sha256(b"sig") + ".sig": b"sig",
                "reports/notes": b"x", "notes": b"mine", ".hidden": b"x", "log/snapshot": b"x",
                "collateral.json": b"{}\n"}
        (self.home / "witness").mkdir(exist_ok=True)
        for name, data in junk.items():
            (self.home / name).write_bytes(data)
        said = self.appliance.json("home", "backup", "-o", self.backup, "--force")
        self.assertFalse(set(junk) & {name for name, _ in read_archive(self.backup)})
        self.assertEqual(set(said["left_out"]), {name for name in junk if name.endswith((".report", ".sig", ".json"))})
        self.q("home", "verify", self.backup)

    def test_is_refused_where_the_home_is_not_what_its_log_says(self):
        for name, change in (("policy.toml", lambda path: path.write_text("serial = 1\n")),
                             ("policy.toml", lambda path: path.unlink()),
                             ("trust/root.pem", lambda path: path.unlink()),
                             ("trust/more.pem", lambda path: shutil.copy(self.home / "trust/root.pem", path))):
            saved = self.appliance.root / "saved"
            shutil.rmtree(saved, ignore_errors=True)
            shutil.copytree(self.home, saved)
            change(self.home / name)
            said = self.q("home", "backup", "-o", self.appliance.root / "none.tar", expect=5).stderr
            self.assertIn("what the log says is not there: " + name.split("/", maxsplit=1)[0], said)
            self.assertFalse((self.appliance.root / "none.tar").exists())
            shutil.rmtree(self.home)
            shutil.copytree(saved, self.home)

    def test_has_no_lines_behind_the_checkpoint(self):
        entries = self.home / "log" / "entries.jsonl"
        covered = entries.read_bytes()
        entries.write_bytes(covered + b'{"cut')
        self.q("home", "backup", "-o", self.backup, "--force")
        self.assertEqual(dict(read_archive(self.backup))["log/entries.jsonl"], covered)
        self.q("mek", "list")  # the tail is quarantined, and an entry names it
        self.q("home", "backup", "-o", self.backup, "--force")
        kept = [(name, data) for name, data in read_archive(self.backup) if "quarantine" in name]
        self.assertEqual([data for _, data in kept], [b'{"cut'])
        forge(self.backup, self.backup, files={kept[0][0]: b"other"})
        self.refused("nothing in the log vouches for " + kept[0][0], 4)


class Verify(HomeCase):
    def test_says_what_is_in_it_and_writes_nothing(self):
        env, home = self.elsewhere()
        said = json.loads(self.q("home", "verify", self.backup, "--key", self.key(), "--json", env=env).stdout)
        self.assertFalse(home.exists())
        self.assertEqual((said["log"]["size"], said["log"]["root"]), (self.said["log"]["size"], self.said["log"]["root"]))
        self.assertEqual((said["appliance"], said["log"]["key"]), ("test", self.key()))
        kinds = {item["kind"]: item for item in said["contents"]}
        self.assertEqual(set(kinds), {"log", "policy", "trust", "approvals"})
        self.assertEqual(sum(item["files"] for item in kinds.values()), said["files"])
        self.assertTrue(all(item["vouched_by"] and item["bytes"] for item in kinds.values()))
        text = self.q("home", "verify", self.backup).stdout
        self.assertIn("compare it with the one that you keep elsewhere", text)

    def test_refuses_a_log_of_another_key_and_damage(self):
        other = Appliance()
        self.addCleanup(other.close)
        stranger = other.qpcseal("trust", "show", "--log-key").stdout.strip()
        self.q("home", "verify", self.backup, "--key", stranger, expect=5)
        self.refused("signed for another key", 5, "--key", stranger)
        good = dict(read_archive(self.backup))
        forge(self.backup, self.backup, files={
            "log/entries.jsonl": good["log/entries.jsonl"].replace(b'"resnet50', b'"resnet51')})
        self.q("home", "verify", self.backup, expect=8)
        self.backup.write_bytes(b"nonsense" * 1000)
        self.q("home", "verify", self.backup, expect=4)
        self.q("home", "verify", self.appliance.root / "none", expect=3)


class Forged(HomeCase):
    """Somebody had the stick: every file that they put in or exchange is refused."""

    def test_files_of_the_machine(self):
        for name in ("site.toml", "pin", "lock", "tokens/softhsm2.conf", "wrapped/x", "log/snapshot", "reports/evil.so",
                     "approvals/x", "trust/.hidden", "trust/a/b", "witness/x.note", ".restore/x", "more"):
            forge(self.backup, self.appliance.root / "evil.tar", files={name: b"evil"})
            self.refused("a file that no backup has: " + name, 4, file=self.appliance.root / "evil.tar")
            self.q("home", "verify", self.appliance.root / "evil.tar", expect=4)

    def test_files_that_nothing_vouches_for(self):
        evil = sha256(b"evil")
        root = (self.home / "trust" / "root.pem").read_bytes()
        for name, data, words in (
                (f"reports/{evil}.report", b"evil", ""), (f"approvals/{evil}.sig", b"evil", ""),
                (f"approvals/{evil}.signed", b"evil", ""), (f"approvals/{evil}.officers", b"evil", ""),
                (f"approvals/{evil}.request", b"evil", ""), (f"approvals/{evil}.reports", b"evil", ""),
                (f"approvals/{evil}.plan", b"evil", ""), (f"approvals/{evil}.rehearsal", b"evil", ""),
                (f"approvals/{evil}.genesis", b"evil", ""), (f"approvals/{evil}.trust", b"evil", ""),
                ("officers", b"mallory namespaces=...", ""), ("collateral.json", b"{}\n", ""),
                ("witness/00000000.note", b"note", ""), ("log/quarantine-0011223344556677.jsonl", b"x", ""),
                ("policy.toml", b"serial = 9\n", "not there: policy.toml"),
                ("trust/more.pem", root, "not there: trust/"), ("trust/root.pem", b"evil", "not there: trust/")):
            with self.subTest(name):
                forge(self.backup, self.appliance.root / "evil.tar", files={name: data})
                words = words or f"nothing in the log vouches for {name}"
                self.refused(words, 4, file=self.appliance.root / "evil.tar")
                self.assertIn(words, self.q("home", "verify", self.appliance.root / "evil.tar", expect=4).stderr)

    def test_a_file_that_is_larger_than_any_that_is_looked_into(self):
        large = bytes((16 << 20) + 1)
        for data, words in ((large, "larger than any such file"), (large[:-1], "nothing in the log vouches")):
            forge(self.backup, self.appliance.root / "evil.tar", files={"witness/00000000.note": data})
            self.refused(words, 4, file=self.appliance.root / "evil.tar")

    def test_files_that_are_left_out(self):
        for name, code in (("policy.toml", 4), ("trust/root.pem", 4), ("log/checkpoint", 4), ("log/entries.jsonl", 4)):
            forge(self.backup, self.appliance.root / "evil.tar", without=(name,))
            self.refused("", code, file=self.appliance.root / "evil.tar")

    def test_no_module_of_the_stick_is_named(self):
        """A new machine: site.toml is made from what the machine says, whatever lies on the stick."""
        env, home = self.elsewhere()
        self.q("home", "restore", self.backup, env=env)
        self.assertIn("libsofthsm2.so", (home / "site.toml").read_text())

    def test_a_manifest_that_does_not_fit(self):
        good = read_archive(self.backup)
        write_archive(self.backup, good)
        self.q("home", "restore", self.backup, "--force")

        def with_manifest(**change):
            return [("manifest.json", encoded({**json.loads(good[0][1]), **change})), *good[1:]]

        manifest = json.loads(good[0][1])
        log, (name, content) = manifest["log"], good[-1]
        changed = bytes([content[0] ^ 1]) + content[1:]
        for members, words in (
                (with_manifest(type="qpcseal-receipt"), "not a backup of a home"),
                (with_manifest(v=1), "a backup of a home in format 1"),
                ([], "not a backup of a home"),
                (good[1:], "not a backup of a home"),
                (with_manifest(log={**log, "size": log["size"] + 1}), "its log is not the one that the manifest"),
                (with_manifest(log={**log, "root": "0" * 64}), "its log is not the one that the manifest"),
                (with_manifest(files=manifest["files"] + manifest["files"][-1:]) + [good[-1]], "stands twice"),
                (good[:-1], f"'{name}' is not where the manifest says"),
                (good[:-2] + [good[-1], good[-2]], "is not where the manifest says"),
                (good[:-1] + [(name, content + b"x")], f"'{name}' is not where the manifest says"),
                (good[:-1] + [(name, changed)], f"'{name}' is not the file that the manifest names"),
                (good + [("more", b"x")], "a file that the manifest does not name")):
            write_archive(self.backup, members)
            self.refused(words, 4)
        size = (64 << 20) + 1  # more than a manifest may have; a hole
        self.backup.write_bytes(header("manifest.json", size))
        os.truncate(self.backup, 1536 + size + -size % 512)
        self.refused("not a backup of a home", 4)
        self.q("mek", "list")

    def test_damage_anywhere_changes_nothing(self):
        good, before = self.backup.read_bytes(), state(self.home)
        offsets = list(range(0, 1024, 61)) + list(range(1024, len(good) - 1024, 4999))
        spoiled = [good[:at] + bytes([good[at] ^ 1]) + good[at + 1:] for at in offsets]
        spoiled += [good[:size] for size in (0, 100, 512, 1024, len(good) // 2, len(good) - 512)] + [good + b"\0"]
        for number, data in enumerate(spoiled):
            self.backup.write_bytes(data)
            done = subprocess.run([QPCSEAL, "home", "restore", self.backup, "--force"], env=self.appliance.env,
                                  capture_output=True, check=False)
            self.assertIn(done.returncode, (4, 8), number)
        self.assertEqual(state(self.home), before)

    def test_names_that_lead_elsewhere(self):
        for name in ("../evil", "/evil", "log/../../evil", "a//b", "trust/../pin"):
            data = b"evil"
            manifest = encoded({"files": [{"name": name, "sha256": sha256(data), "size": 4}],
                                "log": {"root": "", "size": 0}, "software": "x", "time": 1, "type": "qpcseal-home",
                                "v": 2})
            write_archive(self.backup, [("manifest.json", manifest), (name, data)])
            self.refused("a file that no backup has", 4)
            self.assertFalse((self.appliance.root / "evil").exists())


class Restore(HomeCase):
    def test_comes_back(self):
        before = self.q("audit", "show").stdout
        for path in self.home.iterdir():
            if path.name not in ("tokens", "pin", "lock"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.q("mek", "list", expect=3)
        self.q("home", "restore", self.backup, "--key", Witness().vkey, expect=4)
        said = self.appliance.json("home", "restore", self.backup)
        self.assertTrue(said["site"]["new"])
        self.assertEqual(said["site"]["module_sha256"], sha256(open(said["site"]["module"], "rb").read()))
        self.assertEqual(self.q("audit", "show").stdout, before)
        self.q("mek", "generate", "second")

    def test_releases_after_a_restore_that_brought_no_reports(self):
        report = self.appliance.attest("resnet50")
        self.q("home", "backup", "-o", self.backup, "--force")
        shutil.rmtree(self.home / "reports")
        said = self.appliance.json("home", "restore", self.backup, "--force")
        self.assertIn("before-restore-", said["aside"])
        for folder in ("reports", "approvals", "witness", "log", "trust"):
            self.assertEqual((self.home / folder).stat().st_mode & 0o777, 0o700, folder)
        for path in (self.home / "log").iterdir():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        self.q("wrap-mek", "--mek", "resnet50", "--pub-keys", report, "--output-dir", self.appliance.root / "out")

    def test_a_file_in_force_that_was_lost_comes_back_at_the_next_start(self):
        """A backup could not help: its log may be shorter than the home's."""
        self.q("mek", "generate", "later")
        bundle = self.appliance.root / "bundle"
        self.q("trust", "bundle", "--serial", 1, "--trust", self.appliance.trust, "-o", bundle)
        self.q("trust", "import", bundle)
        self.q("mek", "list")
        for name in ("policy.toml", "collateral.json", "trust"):
            with self.subTest(name=name):
                path = self.home / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                said = self.q("mek", "list").stderr
                self.assertIn("was gone; it is put back as the log names it", said)
                self.assertNotIn("was gone", self.q("mek", "list").stderr)
        self.q("audit", "verify")
        self.q("home", "backup", "-o", self.backup, "--force")
        (self.home / "policy.toml").unlink()
        (kept,) = [path for path in (self.home / "approvals").glob("*.signed") if b"qpcseal-collateral" not in
                   path.read_bytes()]
        kept.write_bytes(kept.read_bytes() + b"# changed\n")
        self.assertIn("policy.toml: No such file", self.q("mek", "list", expect=3).stderr)

    def test_a_damaged_file_names_the_way_on(self):
        notes = self.home / "witness"
        notes.mkdir(exist_ok=True)
        for path, code in ((self.home / "policy.toml", 5), (self.home / "trust" / "root.pem", 4), (notes / "0a.note", 4)):
            with self.subTest(path=path):
                path.write_bytes(b"damaged")
                said = self.q("mek", "list", expect=code).stderr
                self.assertIn(str(path.parent), said)
                self.assertIn("hint: move ", said)
                path.unlink()
                self.q("mek", "list")
        (copy,) = (self.home / "approvals").glob("*.trust")
        copy.write_bytes(b"damaged")
        self.q("mek", "list")  # whose folder is whole

    def test_site_toml_that_was_lost_is_made_anew(self):
        (self.home / "site.toml").unlink()
        said = self.q("mek", "list", expect=3).stderr
        self.assertIn("home restore FILE --force", said)
        self.q("home", "backup", "-o", self.backup, "--force")
        self.q("home", "restore", self.backup, "--force")
        self.q("mek", "list")

    def test_folders_are_made_at_the_next_start_too(self):
        for folder in ("reports", "approvals", "witness"):
            shutil.rmtree(self.home / folder, ignore_errors=True)
        report = self.appliance.attest("resnet50")
        self.q("wrap-mek", "--mek", "resnet50", "--pub-keys", report, "--output-dir", self.appliance.root / "out")

    def test_the_machine_keeps_its_own_files(self):
        kept = {name: (self.home / name).read_bytes() for name in ("site.toml", "pin")}
        tokens = sorted(path.relative_to(self.home) for path in (self.home / "tokens").rglob("*"))
        (self.home / "notes").write_text("mine")
        for _ in range(2):  # within a second
            self.q("home", "restore", self.backup, "--force")
        self.assertEqual(kept, {name: (self.home / name).read_bytes() for name in kept})
        self.assertEqual((self.home / "notes").read_text(), "mine")
        self.assertEqual(tokens, sorted(path.relative_to(self.home) for path in (self.home / "tokens").rglob("*")))
        self.assertEqual(len(list(self.home.glob("before-restore-*"))), 2)
        self.assertEqual([path.name for path in self.home.glob("tokens/**/token.object")], ["token.object"])
        self.assertFalse([path for path in self.home.parent.iterdir() if "restoring" in path.name])
        self.q("mek", "generate", "second")

    def test_needs_force_over_a_home_with_a_log(self):
        self.assertIn("--force", self.q("home", "restore", self.backup, expect=3).stderr)

    def test_a_longer_log_is_never_replaced(self):
        self.q("mek", "generate", "second")
        said = self.refused("the audit log would be rolled back: it has", 8)
        self.assertIn("Keep this home", said)
        self.q("mek", "list")

    def test_a_longer_log_that_is_damaged_is_not_replaced_either(self):
        self.q("mek", "generate", "second")
        entries, checkpoint = self.home / "log" / "entries.jsonl", self.home / "log" / "checkpoint"
        whole, note = entries.read_bytes(), checkpoint.read_bytes()
        entries.write_bytes(whole[:-10])
        self.refused("the home's checkpoint has", 8)
        entries.unlink()
        self.refused("the home's checkpoint has", 8)
        entries.write_bytes(whole)
        checkpoint.unlink()
        self.refused("no checkpoint for them", 8)
        checkpoint.write_bytes(note)
        self.q("mek", "list")

    def test_a_damaged_log_that_is_no_longer_is_replaced(self):
        entries = self.home / "log" / "entries.jsonl"
        entries.write_bytes(entries.read_bytes()[:-10])
        self.q("mek", "list", expect=8)
        self.q("home", "restore", self.backup, "--force")
        self.q("mek", "list")

    def test_an_older_log_of_the_same_appliance_is_replaced(self):
        saved = self.appliance.root / "saved"
        shutil.copytree(self.home / "log", saved)
        self.q("mek", "generate", "second")
        self.q("home", "backup", "-o", self.backup, "--force")
        shutil.rmtree(self.home / "log")
        shutil.copytree(saved, self.home / "log")
        self.q("home", "restore", self.backup, "--force")
        self.assertIn("second#1", self.q("mek", "list").stdout)

    def test_another_appliance_is_not_replaced(self):
        other = Appliance()
        self.addCleanup(other.close)
        other.qpcseal("mek", "generate", "a")
        other.qpcseal("mek", "generate", "b")
        theirs = self.appliance.root / "theirs.tar"
        other.qpcseal("home", "backup", "-o", theirs)
        self.refused("one of them is another appliance's, or was rewritten", 8, file=theirs)

    def test_an_older_one_is_refused_by_what_a_witness_saw(self):
        witness = Witness()
        self.q("audit", "witness", "trust", witness.vkey)
        note = self.appliance.root / "cosigned"
        note.write_text(witness.cosign(self.checkpoint().read_text()))
        self.q("audit", "witness", "import", note)
        later = self.appliance.root / "later.tar"
        self.q("home", "backup", "-o", later)
        self.assertIn("witness", {item["kind"] for item in self.appliance.json("home", "verify", later)["contents"]})
        shutil.rmtree(self.home / "log")  # the note alone remembers
        self.refused("rolled back", 8)
        name = next(name for name, _ in read_archive(later) if name.startswith("witness/"))
        evil = self.appliance.root / "evil.tar"
        forge(later, evil, files={name: note.read_bytes()[:-5]})
        self.q("home", "verify", evil, expect=4)
        self.q("home", "restore", later, "--force")
        self.q("mek", "list")

    def test_options_for_a_machine_without_site_toml(self):
        env, home = self.elsewhere()
        self.assertIn("absolute path", self.q("home", "restore", self.backup, "--module", "x.so", env=env,
                                              expect=2).stderr)
        self.assertFalse(home.exists())
        module = self.appliance.root / "module.so"
        module.write_bytes(b"not the module")
        said = json.loads(self.q("home", "restore", self.backup, "--module", module, "--token", "other", "--pin-source",
                                 "file:/x", "--json", env=env).stdout)
        self.assertEqual(said["site"]["module_sha256"], sha256(b"not the module"))
        site = (home / "site.toml").read_text()
        for word in (str(module), '"other"', '"file:/x"'):
            self.assertIn(word, site)
        self.assertIn("site.toml", self.q("home", "restore", self.backup, "--module", module, "--force", env=env,
                                          expect=2).stderr)
        self.q("audit", "verify", env=env)
        self.q("mek", "list", env=env, expect=3)

    def test_the_embedded_token_is_taken_only_where_the_log_says_so(self):
        env, home = self.elsewhere()
        said = self.q("home", "restore", self.backup, env=env).stdout
        self.assertIn("it is taken for the embedded token", said)
        shutil.rmtree(home)
        # The next module of an upgrade: the log pins it, and this machine has another one.
        module = self.appliance.root / "next.so"
        softhsm = self.appliance.json("site", "show")["module"]
        shutil.copy(softhsm, module)
        with open(module, "ab") as file:
            file.write(b"\0")
        self.q("site", "change", "--module", module, "--yes")
        self.q("home", "backup", "-o", self.backup, "--force")
        said = self.q("home", "restore", self.backup, env=env, expect=2).stderr
        self.assertIn("the log pins another module than", said)
        self.assertIn("--embedded takes", said)
        self.assertFalse(home.exists())
        said = json.loads(self.q("home", "restore", self.backup, "--embedded", "--json", env=env).stdout)
        self.assertEqual((said["site"]["embedded"], said["site"]["module"]), (True, softhsm))
        shutil.rmtree(home)
        self.q("home", "restore", self.backup, "--embedded", "--module", module, env=env, expect=2)
        said = json.loads(self.q("home", "restore", self.backup, "--module", module, "--json", env=env).stdout)
        self.assertEqual((said["site"]["embedded"], said["site"]["module"]), (False, str(module)))

    def test_a_home_behind_a_link(self):
        link = self.appliance.root / "link"
        link.symlink_to(self.home)
        env = {**self.appliance.env, "QPCSEAL_HOME": str(link)}
        self.q("home", "restore", self.backup, "--force", env=env)
        self.assertTrue(link.is_symlink())
        self.q("mek", "list", env=env)


class Officers(unittest.TestCase):
    """What officers signed comes back whole, and proves as much as before."""

    def test_everything_comes_back(self):
        appliance = GuardedAppliance(guarded=("release", "mek-generate"))
        self.addCleanup(appliance.close)
        anna, bela, carl = appliance.officers
        appliance.qpcseal("mek", "generate", "m", *appliance.approved("mek-generate", "--param", "name=m"))
        policy = appliance.root / "next.toml"
        policy.write_text(appliance.policy.read_text().replace("serial = 1\n", "serial = 2\n"))
        appliance.qpcseal("policy", "install", policy, "--approval", anna.sign(policy, "policy"),
                          carl.sign(policy, "policy"))
        bundle = appliance.root / "bundle"
        appliance.qpcseal("trust", "bundle", "--serial", 1, "--trust", appliance.trust, "-o", bundle)
        appliance.qpcseal("trust", "import", bundle, "--approval", bela.sign(bundle, "collateral"))
        report = appliance.attest("m")
        appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", appliance.root / "out",
                          *appliance.approved("release", "--mek", "m", "--report", report))
        listed = appliance.root / "listed"
        listed.write_text(anna.line() + bela.line() + carl.line() + "# again\n")
        appliance.change_officers(listed)
        backup = appliance.root / "home.tar"
        said = appliance.json("home", "backup", "-o", backup)
        self.assertEqual(said["left_out"], [])
        home = appliance.root / "home"
        kept = {path.relative_to(home).as_posix() for folder in ("approvals", "reports") for path in
                (home / folder).iterdir()}
        names = {name for name, _ in read_archive(backup)}
        self.assertLessEqual(kept, names)
        self.assertEqual({name.rsplit(".", 1)[1] for name in names if name.startswith("approvals/")},
                         {"signed", "officers", "trust", "request", "genesis", "sig"})
        self.assertLessEqual({"officers", "collateral.json"}, names)
        evil = appliance.root / "evil.tar"
        for name in sorted(name for name in kept if name.endswith(".sig")):
            spoiled = dict(read_archive(backup))[name] + b"\n"
            forge(backup, evil, without=(name,), files={f"approvals/{sha256(spoiled)}.sig": spoiled})
            self.assertIn("nothing in the log vouches", appliance.qpcseal("home", "verify", evil, expect=4).stderr)
        for name in ("officers", "collateral.json"):
            forge(backup, evil, without=(name,))
            self.assertIn("not there: " + name, appliance.qpcseal("home", "verify", evil, expect=4).stderr)
        other = {**appliance.env, "QPCSEAL_HOME": str(appliance.root / "second")}
        appliance.qpcseal("home", "restore", backup, env=other)
        entry = [e["seq"] for e in appliance.json("audit", "show")["entries"]
                 if e["kind"] == "release" and e.get("outcome") == "ok"][0]
        proof = appliance.root / "proof"
        appliance.qpcseal("audit", "receipt", entry, "--bundle", "-o", proof, env=other)
        key = appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        self.assertIn("anna", appliance.qpcseal("audit", "check-receipt", proof, "--key", key, env=other).stdout)


if __name__ == "__main__":
    unittest.main()
