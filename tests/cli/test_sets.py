# SPDX-License-Identifier: Apache-2.0
"""Sets of models: a served model's folder, sealed under one signed list, bound and loaded as a whole."""

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from appliance import QPCSEAL, Appliance, Failed

CONFIG = b'{"hidden_size": 64}\n'
BIG = bytes(range(256)) * 5000  # over the size up to which files are copied in one batch


class Case(unittest.TestCase):
    cards = 1

    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=cls.cards)
        cls.appliance.qpcseal("mek", "generate", "m")
        cls.qpc = cls.appliance.sample(size=200000)

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def place(self, name):
        return self.appliance.root / f"{self.id().rsplit('.', 1)[1]}-{name}"

    def served(self, count=3, name="served"):
        """As a compiler leaves it: a folder a graph, files of the tokenizer beside."""
        folder = self.place(name)
        for number in range(count):
            graph = folder / f"graph-{number:02}" / "qpcs"
            graph.mkdir(parents=True)
            shutil.copy(self.qpc, graph / "programqpc.bin")
            (graph / "config.json").write_bytes(CONFIG)
        (folder / "tokenizer.bin").write_bytes(BIG)
        (folder / ".git").mkdir()
        (folder / ".git" / "x").write_bytes(b"left out")
        return folder

    def seal(self, *inputs, out="sealed", more=(), expect=0):
        output = self.place(out)
        said = self.appliance.qpcseal("encrypt-model", "--qpc", *inputs, "--mek", "m", "--output-dir", output, *more,
                                      expect=expect)
        return said if expect else output

    def models(self, folder):
        return sorted(folder.rglob("programqpc.bin"))

    def bind(self, sealed, *more, expect=0, name="bind.report"):
        report = self.appliance.attest("m", name=f"{self.id().rsplit('.', 1)[1]}-{name}")
        return self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "m", "--pub-keys",
                                      report, *more, expect=expect)


class Sealing(Case):
    def test_every_model_is_sealed_and_every_other_file_is_there(self):
        served = self.served()
        said = self.seal(served, more=["--json"], expect=0)
        listed = self.appliance.json("inspect", said / "seal.set")
        self.assertEqual(listed["type"], "sealed set")
        paths = [f"graph-{number:02}/qpcs/{name}" for number in range(3) for name in ("config.json", "programqpc.bin")]
        self.assertEqual([file["path"] for file in listed["files"]], [*paths, "tokenizer.bin"])
        self.assertFalse((said / ".git").exists())
        self.assertEqual((said / "tokenizer.bin").read_bytes(), BIG)
        self.assertEqual((said / "graph-01/qpcs/config.json").read_bytes(), CONFIG)
        for path in self.models(said):
            self.assertEqual(self.appliance.json("inspect", path)["model"], served.name)
        entries = self.appliance.json("audit", "show")["entries"][-8:]
        self.assertEqual([entry["kind"] for entry in entries], ["seal-set", *["seal"] * 6, "seal-set"])
        self.assertEqual({entry["data"]["set"] for entry in entries[1:7:2]}, {entries[0]["seq"]})

    def test_several_inputs_lie_under_their_names(self):
        first, second = self.served(1, "first"), self.served(1, "second")
        alone = self.place("alone.qpc")
        shutil.copy(self.qpc, alone)
        sealed = self.seal(first, second, alone, more=["--name", "pair"])
        self.assertTrue((sealed / first.name / "graph-00/qpcs/programqpc.bin").exists())
        self.assertTrue((sealed / second.name / "tokenizer.bin").exists())
        self.assertEqual(self.appliance.json("inspect", sealed / alone.name)["model"], "pair")

    def test_what_is_refused_is_refused_before_anything_is_sealed(self):
        served = self.served(2)
        (served / "zz.bin").write_bytes(self.qpc.read_bytes()[:-1])
        said = self.seal(served, expect=4)
        self.assertIn("'zz.bin' of the set", said.stderr)
        self.assertFalse(self.place("sealed").exists())
        (served / "zz.bin").unlink()
        (served / "link").symlink_to("tokenizer.bin")
        self.assertIn("neither a file nor a folder", self.seal(served, expect=3).stderr)
        (served / "link").unlink()
        (served / "seal.set").write_bytes(b"x")
        self.assertIn("a set has no file 'seal.set'", self.seal(served, expect=2).stderr)
        empty = self.place("empty")
        empty.mkdir()
        self.assertIn("nothing that was given is a QPC", self.seal(empty, expect=2).stderr)
        (served / "seal.set").unlink()
        report = self.appliance.attest("m", name="refused.report")
        self.assertIn("a set is sealed unbound", self.seal(served, more=["--pub-keys", report], expect=2).stderr)

    def test_a_run_that_was_killed_goes_on(self):
        served = self.served(20)
        output = self.place("sealed")
        words = [QPCSEAL, "encrypt-model", "--qpc", str(served), "--mek", "m", "--output-dir", str(output)]
        with subprocess.Popen(words, env=self.appliance.env, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and not (output / "graph-03/qpcs/programqpc.bin").exists():
                time.sleep(0.01)
            run.send_signal(signal.SIGKILL)
        self.assertEqual(run.returncode, -signal.SIGKILL)
        made = {path: path.stat().st_ino for path in self.models(output)}
        self.assertTrue(3 < len(made) < 20, len(made))
        self.assertFalse((output / "seal.set").exists())
        self.assertIn("--skip-existing", self.seal(served, expect=3).stderr)
        said = json.loads(self.appliance.qpcseal(*words[1:], "--skip-existing", "--json").stdout)
        self.assertEqual(sum(model["skipped"] for model in said["models"]), len(made))
        self.assertEqual(len(self.models(output)), 20)
        self.assertEqual({path: path.stat().st_ino for path in made}, made)
        self.assertEqual([entry["outcome"] for entry in self.appliance.json("audit", "show", "--kind", "seal-set")
                          ["entries"][-3:] if entry["phase"] == "result"], ["failed", "ok"])

    def test_only_what_was_made_from_the_input_is_skipped(self):
        served = self.served(2)
        sealed = self.seal(served)
        skip = ["--skip-existing"]
        self.seal(served, more=skip)
        model, other = sealed / "graph-00/qpcs/programqpc.bin", served / "graph-00/qpcs/config.json"
        other.write_bytes(CONFIG + b" ")
        self.assertIn("another content", self.seal(served, more=skip, expect=2).stderr)
        other.write_bytes(CONFIG)
        plain = served / "graph-00/qpcs/programqpc.bin"
        plain.touch()
        later = time.time() + 100
        os.utime(plain, (later, later))
        self.assertIn("changed after it was sealed", self.seal(served, more=skip, expect=2).stderr)
        os.utime(plain, (1, 1))
        shutil.copy(plain, model)
        self.seal(served, more=skip, expect=4)  # not sealed at all
        model.unlink()
        self.seal(served, more=[*skip, "--name", "other"], expect=2)
        self.assertIn("not both", self.seal(served, more=[*skip, "--force"], expect=2).stderr)
        self.seal(served, more=skip)
        self.assertEqual(len(self.models(sealed)), 2)


class Binding(Case):
    def test_in_place_and_loaded(self):
        served = self.served()
        sealed = self.seal(served)
        refused = self.appliance.load(sealed, expect=5)
        self.assertIn("not bound", refused.stderr)
        said = self.bind(sealed)
        self.assertEqual(said.stdout.count("bound "), 3)
        plain = self.place("plain")
        said = self.appliance.load(sealed, out=plain)
        self.assertEqual(said.stdout.count("card 0 loaded"), 3)
        for path in self.models(plain):
            self.appliance.device("compare", self.qpc, path)
        shown = self.appliance.json("inspect", sealed)
        self.assertEqual([file["bound"] for file in shown["files"] if file["kind"] == "model"], [True] * 3)

    def test_into_another_folder(self):
        sealed = self.seal(self.served())
        bound = self.place("bound")
        self.bind(sealed, "--output-dir", bound)
        self.appliance.load(bound)
        self.assertEqual((bound / "seal.set").read_bytes(), (sealed / "seal.set").read_bytes())
        self.assertEqual((bound / "tokenizer.bin").read_bytes(), BIG)

    def test_a_set_that_is_not_whole_is_neither_bound_nor_loaded(self):
        sealed = self.seal(self.served())
        self.bind(sealed)
        model, config = sealed / "graph-01/qpcs/programqpc.bin", sealed / "graph-01/qpcs/config.json"

        def damaged(path, data):
            before = path.read_bytes() if path.exists() else None
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)

            def mend():
                path.unlink(missing_ok=True)
                if before is not None:
                    path.write_bytes(before)
            return mend

        listed = (sealed / "seal.set").read_bytes()
        other = self.models(self.seal(self.served(1, "other"), out="other-sealed"))[0].read_bytes()
        damages = {
            "missing model": (model, None, 4), "missing file": (config, None, 4),
            "another file": (config, b"{}" + CONFIG[2:], 4), "another model": (model, other, 4),
            "one more": (sealed / "more.bin", other, 4), "signature": (sealed / "seal.set", listed[:-1] +
                                                                       bytes([listed[-1] ^ 1]), 5),
            "list": (sealed / "seal.set", listed.replace(b"tokenizer", b"tokenizes"), 4),
            "cut short": (sealed / "seal.set", listed[:-1], 4),
        }
        for name, (path, data, code) in damages.items():
            with self.subTest(name):
                mend = damaged(path, data)
                before = self.appliance.json("audit", "show")["entries"][-1]["seq"]
                report = self.appliance.attest("m", name=name.replace(" ", "-"))
                self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "m", "--force",
                                       "--pub-keys", report, expect=code)
                self.assertEqual(self.appliance.json("audit", "show")["entries"][-1]["seq"], before + 1, "a challenge")
                self.appliance.load(sealed, expect=5)
                if path.name != "seal.set":
                    self.appliance.qpcseal("inspect", sealed, expect=4)
                mend()
        self.appliance.load(sealed)

    def test_containers_in_folders_without_a_list_are_not_left_out(self):
        sealed = self.seal(self.served())
        (sealed / "seal.set").unlink()
        shutil.copy(self.models(sealed)[0], sealed / "top.bin")
        self.assertEqual(self.bind(sealed).stdout.count("bound "), 4)
        for path in [*self.models(sealed), sealed / "top.bin"]:
            self.appliance.load(path)


class Fleet(Case):
    cards = 4

    def test_each_of_four_cards_gets_the_whole_set(self):
        sealed = self.seal(self.served(5))
        reports = [self.appliance.attest("m", device=card, name=f"fleet-{card}") for card in range(4)]
        wrapped, bound = self.place("wrapped"), self.place("bound")
        self.appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", *reports, "--output-dir", wrapped)
        said = self.appliance.json("replace-mek", "--encrypted-qpc", sealed, "--wrapped-meks", wrapped, "--output-dir",
                                   bound)
        self.assertEqual(len(said["outputs"]), 20)
        folders = json.loads((wrapped / "config.json").read_text())["wrapped"]
        for card, row in enumerate(folders):
            self.appliance.load(bound / row["folder"], device=card)
            with self.assertRaises(Failed):
                self.appliance.load(bound / row["folder"], device=(card + 1) % 4)

    def test_one_card_in_place(self):
        sealed = self.seal(self.served(2))
        report = self.appliance.attest("m", device=2, name="single")
        wrapped = self.place("wrapped")
        self.appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", wrapped)
        self.appliance.qpcseal("replace-mek", "--encrypted-qpc", sealed, "--wrapped-meks", wrapped, "--in-place")
        self.appliance.load(sealed, device=2)


if __name__ == "__main__":
    unittest.main()
