"""Many cards: requests and reports in one trip, keys that follow each other, and releases to a whole fleet."""

import hashlib
import json
import os
import shutil
import unittest

import cbor2

from appliance import Appliance, ATTEST, run
from fleet_support import FleetDesk, TOOL


def courier(appliance, folder, *more, expect=0):
    """One trip of the courier with all that `attest request` put into `folder`."""
    return run(ATTEST, "--batch", folder / "batch", *more, env=appliance.env, expect=expect)


class Trip(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=4)
        cls.appliance.qpcseal("mek", "generate", "resnet50")
        cls.appliance.serve()

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def folder(self, name):
        return self.appliance.root / f"{self.id().rsplit('.', 1)[1]}-{name}"

    def request(self, folder, *more, expect=0):
        return self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "--port", self.appliance.port,
                                      "-o", folder, *more, expect=expect)

    def checkpoints(self):
        return self.appliance.qpcseal("audit", "checkpoint").stdout

    def entries(self):
        return (self.appliance.root / "home" / "log" / "entries.jsonl").read_text().splitlines()

    def test_four_cards_in_one_trip(self):
        trip = self.folder("trip")
        before = len(self.entries())
        said = self.request(trip, "--host", "127.0.0.1", "--device", "0-3")
        self.assertIn("qpcseal-attest --batch", said.stdout)
        made = self.entries()[before:]
        self.assertEqual(len(made), 4)
        self.assertEqual(len({json.loads(line)["txn"] for line in made}), 1, "one transaction, one checkpoint")
        self.assertEqual(sorted(path.name for path in trip.iterdir()),
                         sorted([f"127.0.0.1-{n}.request" for n in range(4)] + ["batch"]))
        courier(self.appliance, trip)
        cards = set()
        for number in range(4):
            verdict = self.appliance.json("attest", "verify", trip / f"127.0.0.1-{number}.report")
            self.assertTrue(verdict["allowed"])
            cards.add(verdict["card"]["ueid"])
        self.assertEqual(len(cards), 4)

    def test_a_list_and_two_hosts(self):
        trip = self.folder("trip")
        made = self.appliance.json("attest", "request", "--mek", "resnet50", "--host", "127.0.0.1", "::1",
                                   "--device", "0,2", "-o", trip)
        self.assertEqual(made["requests"], ["127.0.0.1-0.request", "127.0.0.1-2.request", "__1-0.request",
                                            "__1-2.request"])
        lines = (trip / "batch").read_text().splitlines()
        self.assertEqual(lines[2], "::1 62473 0 __1-0.request __1-0.report")

    def test_one_card_stays_one_file(self):
        path = self.folder("one")
        self.request(path, "--host", "127.0.0.1", "--device", "1")
        self.assertTrue(path.is_file())

    def test_what_cannot_be(self):
        for bad in (["--device", "0-3"], ["--host", "a", "--device", "3-0"], ["--host", "a", "--device", "0,0"],
                    ["--host", "a b", "--device", "0-1"], ["--host", "a", "a", "--device", "0"],
                    ["--host", "../etc", "--device", "0-1"], ["--host", "a", "b"],
                    ["--host", "a", "--device", "0-1", "--ueid", "01" * 17]):
            before = self.entries()
            self.request(self.folder("bad"), *bad, expect=2)
            self.assertEqual(self.entries(), before, "a challenge for nothing")

    def test_existing_files_are_kept_and_nothing_is_logged(self):
        trip = self.folder("trip")
        self.request(trip, "--host", "127.0.0.1", "--device", "0-1")
        before = self.entries()
        kept = (trip / "127.0.0.1-1.request").read_bytes()
        self.request(trip, "--host", "127.0.0.1", "--device", "1-2", expect=3)
        self.assertEqual(self.entries(), before)
        self.assertFalse((trip / "127.0.0.1-2.request").exists())
        self.request(trip, "--host", "127.0.0.1", "--device", "1-2", "--force")
        self.assertNotEqual((trip / "127.0.0.1-1.request").read_bytes(), kept)

    def test_a_card_that_does_not_answer(self):
        trip = self.folder("trip")
        self.request(trip, "--host", "127.0.0.1", "--device", "3-4")
        said = courier(self.appliance, trip, expect=5)
        self.assertIn("card 4", said.stderr)
        self.assertTrue((trip / "127.0.0.1-3.report").exists(), "the others are brought all the same")


class Neighbours(unittest.TestCase):
    """A card that answers the challenges of others; the requests say which card is asked."""

    def setUp(self):
        self.site = Appliance(cards=3)
        self.addCleanup(self.site.close)
        self.site.serve()
        self.site.qpcseal("mek", "generate", "m")
        self.trip = self.site.root / "trip"
        self.trip.mkdir()

    def answer(self, request, card, name):
        run(ATTEST, "--ip", "127.0.0.1", "--port", self.site.port, "--device", card, "-i", request, "-o", self.trip / name,
            env=self.site.env)

    def ask(self, card, *more):
        """Both answers to one request: the card's own, and the first card's, whose host took the card's name out of it."""
        request, stripped = self.trip / f"{card}.request", self.trip / f"{card}.stripped"
        self.site.qpcseal("attest", "request", "--mek", "m", *more, "-o", request)
        self.answer(request, card, f"b{card}.report")
        members = cbor2.loads(request.read_bytes())
        members[5] = None
        stripped.write_bytes(cbor2.dumps(members, canonical=True))
        self.answer(stripped, 0, f"a{card}.report")

    def ueid(self, card):
        return json.loads((self.site.cards / "cards" / str(card) / "config.json").read_text())["ueid"]

    def wrap(self, reports, expect):
        return self.site.json("wrap-mek", "--mek", "m", "--pub-keys", *reports, "--skip-denied", "--output-dir",
                              self.site.root / f"out-{expect}-{len(reports)}", expect=expect)

    def test_bar_nobody_whose_challenge_names_its_card(self):
        for card in (1, 2):
            self.ask(card, "--ueid", self.ueid(card))
        early = self.wrap([self.trip / "a1.report"], expect=5)
        self.assertEqual([one["id"] for one in early["denied"][0]["findings"]], ["POL-CHALLENGE-UEID"])
        refused, = self.site.json("audit", "show", "--kind", "refused")["entries"]
        self.assertEqual((refused["data"]["ueid"], refused["data"]["findings"][0]["id"]), (self.ueid(0), "POL-CHALLENGE-UEID"))
        said = self.wrap([self.trip], expect=5)
        self.assertEqual([(card["ueid"], card["earlier"]) for card in said["released"]],
                         [(self.ueid(card), False) for card in (1, 2)])
        self.assertEqual({one["id"] for card in said["denied"] for one in card["findings"]}, {"POL-CHALLENGE-UEID"})

    def test_bar_nobody_by_many_answers(self):
        for card in (1, 2):
            self.ask(card)
        said = self.wrap([self.trip], expect=5)
        self.assertEqual([card["ueid"] for card in said["released"]], [self.ueid(card) for card in (1, 2)])
        for card in said["denied"]:
            self.assertEqual([one["id"] for one in card["findings"]], ["POL-CARD-TWICE", "POL-CHALLENGE-TWICE"])


class Generations(unittest.TestCase):
    def setUp(self):
        self.appliance = Appliance()
        self.addCleanup(self.appliance.close)
        self.appliance.qpcseal("mek", "generate", "resnet50")
        self.model = self.appliance.sample()

    def seal(self, mek, name, *more, expect=0):
        out = self.appliance.root / name
        result = self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", mek, "--output-dir", out, *more,
                                        expect=expect)
        return out / "programqpc.bin", result

    def mek_of(self, container):
        return self.appliance.json("inspect", container)["mek_id"]

    def test_the_bare_name_means_the_newest_generation(self):
        old, _ = self.seal("resnet50", "old")
        made = self.appliance.json("mek", "rotate", "resnet50")
        self.assertEqual((made["label"], made["replaces"]), ("resnet50#2", "resnet50#1"))
        new, _ = self.seal("resnet50", "new")
        self.assertEqual(self.mek_of(new), made["id"])
        self.assertNotEqual(self.mek_of(old), made["id"])

    def test_an_old_generation_seals_nothing_but_is_released(self):
        old, _ = self.seal("resnet50", "old")
        self.appliance.qpcseal("mek", "rotate", "resnet50")
        _, refused = self.seal("resnet50#1", "refused", expect=5)
        self.assertIn("resnet50#2", refused.stderr)
        report = self.appliance.attest("resnet50#1")
        wrong = self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", old.parent, "--mek", "resnet50",
                                       "--pub-keys", report, expect=5)
        self.assertIn("sealed under", wrong.stderr)
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", old.parent, "--mek", "resnet50#1",
                               "--pub-keys", report)
        self.appliance.load(old)

    def test_what_was_replaced_does_not_come_back(self):
        self.appliance.qpcseal("mek", "rotate", "resnet50")
        self.appliance.qpcseal("mek", "suspend", "resnet50")
        self.seal("resnet50#1", "refused", expect=5)
        self.seal("resnet50", "suspended", expect=5)

    def test_destroying_wants_the_generation(self):
        self.appliance.qpcseal("mek", "rotate", "resnet50")
        refused = self.appliance.qpcseal("mek", "destroy", "resnet50", expect=2)
        self.assertIn("resnet50#2", refused.stderr)
        self.appliance.qpcseal("mek", "destroy", "resnet50#1")
        self.assertEqual([key["label"] for key in self.appliance.json("mek", "list")], ["resnet50#2"])

    def test_what_cannot_be_rotated(self):
        for name, code in (("nosuch", 2), ("resnet50#1", 2), ("", 2)):
            self.appliance.qpcseal("mek", "rotate", name, expect=code)
        self.appliance.qpcseal("mek", "generate", "resnet50", expect=2)

    def test_a_policy_that_does_not_allow_it(self):
        appliance = Appliance(cards=1, policy_edit=lambda text: text.replace("mek-rotate = 0\n", ""))
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        appliance.qpcseal("mek", "rotate", "m", expect=5)
        self.assertEqual([key["label"] for key in appliance.json("mek", "list")], ["m#1"])

    def test_a_compromised_key(self):
        report = self.appliance.attest("resnet50", device=1, name="a.dat",
                                       request=("--host", "node7", "--device", "1"))
        self.seal("resnet50", "bound", "--pub-keys", report, "--model-version", "7", "--name", "classifier")
        plan = self.appliance.json("plan", "compromise", "resnet50#1")
        container, = plan["containers"]
        card, = plan["cards"]
        self.assertEqual((container["model"], container["model_version"], container["sealed_again_under"]),
                         ("classifier", 7, None))
        self.assertEqual((card["host"], card["device"], card["containers"]), ("node7", 1, [container["seal_id"]]))
        commands = [command for step in plan["steps"] for command in step["commands"]]
        rotate = next(i for i, c in enumerate(commands) if c == "qpcseal mek rotate resnet50")
        seal = next(i for i, c in enumerate(commands) if "--name classifier --model-version 8" in c)
        reset = next(i for i, c in enumerate(commands) if "soc_reset" in c and "node7" in c)
        attest = next(i for i, c in enumerate(commands) if "--host node7 --device 1 -o trip-node7/" in c)
        self.assertEqual(sorted([rotate, seal, reset, attest]), [rotate, seal, reset, attest])
        self.assertIn("qpcseal mek destroy resnet50#1", commands[-1])

    def test_a_plan_shrinks_as_it_is_carried_out(self):
        report = self.appliance.attest("resnet50", name="a.dat", request=("--host", "node7", "--device", "0"))
        self.seal("resnet50", "bound", "--pub-keys", report, "--name", "classifier")
        self.appliance.qpcseal("mek", "rotate", "resnet50")
        report = self.appliance.attest("resnet50", name="b.dat", request=("--host", "node7", "--device", "0"))
        self.seal("resnet50", "again", "--pub-keys", report, "--name", "classifier", "--model-version", "1")
        plan = self.appliance.json("plan", "compromise", "resnet50#1")
        self.assertEqual(plan["successor"], "resnet50#2")
        self.assertEqual(plan["containers"][0]["sealed_again_under"], "resnet50#2")
        card, = plan["cards"]
        self.assertEqual((card["newer_key_since"], card["reset_since"]), (True, False))
        text = self.commands(plan)
        self.assertIn("soc_reset", text, "the card holds both keys until it is reset")
        for gone in ("rotate", "encrypt-model", "attest"):
            self.assertNotIn(gone, text)
        self.appliance.device("reset", "--dir", self.appliance.cards, "--device", 0)
        report = self.appliance.attest("resnet50", name="c.dat", request=("--host", "node7", "--device", "0"))
        self.seal("resnet50", "bound-again", "--pub-keys", report, "--name", "classifier", "--model-version", "2")
        self.assertNotIn("soc_reset", self.commands(self.appliance.json("plan", "compromise", "resnet50#1")))
        self.appliance.qpcseal("mek", "destroy", "resnet50#1")
        self.assertNotIn("mek destroy", self.commands(self.appliance.json("plan", "compromise", "resnet50#1")))

    @staticmethod
    def commands(plan):
        return " ".join(command for step in plan["steps"] for command in step["commands"])

    def test_which_key_is_meant(self):
        self.appliance.qpcseal("plan", "compromise", "nosuch", expect=2)
        self.appliance.qpcseal("plan", "compromise", "resnet50")
        self.appliance.qpcseal("mek", "rotate", "resnet50")
        result = self.appliance.qpcseal("plan", "compromise", "resnet50", expect=2)
        self.assertIn("resnet50#1, resnet50#2", result.stderr)


class Fleet(FleetDesk):
    """wrap-mek --skip-denied: more reports than fit one batch, most of them good."""

    CARDS = 700  # two batches

    @classmethod
    def make_home(cls):
        cls.qpcseal("init", "--embedded", "--insecure-demo", "--appliance-id", "fleet", "--policy",
                    cls.root / "policy.toml", "--trust", cls.root / "trust")

    def test_the_good_are_served_and_the_denied_listed(self):
        trip = self.reports("some", 8)
        bad, garbage = trip / "node-3.report", trip / "node-5.report"
        spoiled = bytearray(bad.read_bytes())
        spoiled[-1] ^= 1
        bad.write_bytes(spoiled)
        garbage.write_bytes(b"\xa0")
        result = self.wrap(trip, "--json", expect=5)
        said = json.loads(result.stdout)
        self.assertEqual({os.path.basename(card["report"]) for card in said["denied"]}, {bad.name, garbage.name})
        self.assertTrue(all(card.get("findings") or "not an attestation report" in card["error"] for card in said["denied"]))
        self.assertEqual(len(said["released"]), 6)
        self.check_outputs(trip / "wrapped", 6)
        self.assertFalse((trip / "wrapped" / "node-3").exists())
        again = json.loads(self.wrap(trip, "--json", expect=5).stdout)
        self.assertTrue(all(card["earlier"] for card in again["released"]))

    def test_without_the_flag_one_denied_report_stops_all(self):
        trip = self.reports("all", 4)
        (trip / "node-2.report").write_bytes(b"\xa0")
        self.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", trip, "--output-dir", trip / "wrapped", expect=4)
        self.assertFalse((trip / "wrapped").exists())

    def test_two_reports_of_one_card(self):
        trip = self.reports("twice", 2)
        shutil.copy(trip / "node-0.report", trip / "copy.report")
        before = len(self.entries())
        result = self.wrap(trip, expect=5)
        self.assertIn("the same report as", result.stdout)
        self.assertEqual(sum(entry["kind"] == "release" for entry in self.entries()[before:]), 6, "one for each card")
        self.check_outputs(trip / "wrapped", 2)

    def test_a_run_goes_on_with_what_was_wrapped(self):
        """Killed when the files are there and the log has no results: nothing is wrapped for a challenge twice."""
        trip = self.reports("same", 3)
        self.wrap_killed(trip, "fdatasync:when=3")
        out = trip / "wrapped"
        names = [f"node-{i}" for i in range(3)]
        digests = [hashlib.sha256((trip / f"{name}.report").read_bytes()).hexdigest() for name in names]
        before = [(out / f".{digest}.new" / "MEK.encrypt").read_bytes() for digest in digests]
        self.wrap_killed(trip, "fdatasync:when=1")
        self.wrap(trip)
        self.assertEqual([(out / name / "MEK.encrypt").read_bytes() for name in names], before)
        self.check_outputs(out, 3)
        self.assertFalse((self.root / "home" / "wrapped").exists())

    def test_another_card_in_the_same_place(self):
        """Served under HOST-DEVICE by an earlier run, before that name was of two cards."""
        first = self.reports("place", 2)
        self.wrap(first, out=self.root / "place-out")
        second = self.root / "place-2"
        self.qpcseal("attest", "request", "--mek", "m", "--host", "node", "--device", "0-2", "-o", second)
        batch = (second / "batch").read_text().splitlines()
        (second / "batch").write_text("\n".join([batch[2], batch[1], batch[0]]) + "\n")  # another card answers as 0
        run(TOOL, "answer", self.root, second)
        for name in ("node-1", "node-2"):
            (second / f"{name}.report").unlink()
        said = json.loads(self.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", first, second, "--output-dir",
                                       self.root / "place-out", "--skip-denied", "--json").stdout)
        self.assertEqual((len(said["released"]), said["denied"]), (3, []))
        self.assertEqual([card["folder"] for card in said["released"]][:2], ["node-0", "node-1"])

    def test_outputs_of_others_are_kept(self):
        trip = self.reports("kept", 2)
        (trip / "wrapped" / "node-1").mkdir(parents=True)
        (trip / "wrapped" / "node-1" / "MEK.encrypt").write_text("mine")
        before = len(self.entries())
        self.assertIn("node-1 exists", self.wrap(trip, expect=5).stdout)
        self.assertEqual(sum(entry["kind"] == "release" for entry in self.entries()[before:]), 3, "of the other one")
        self.assertEqual((trip / "wrapped" / "node-1" / "MEK.encrypt").read_text(), "mine")
        self.wrap(trip, "--force")

    def test_an_output_that_is_no_fleets_or_another_keys_is_kept(self):
        trip, out = self.reports("no-fleet", 2), self.root / "no-fleet-out"
        out.mkdir()
        (out / "MEK.encrypt").write_text("mine")
        before = len(self.entries())
        self.assertIn("holds one card's wrapped MEK", self.wrap(trip, out=out, expect=3).stderr)
        self.assertEqual(sum(entry["kind"] == "release" for entry in self.entries()[before:]), 0)
        self.assertEqual([path.name for path in out.iterdir()], ["MEK.encrypt"])
        (out / "MEK.encrypt").unlink()
        self.wrap(trip, out=out)
        self.qpcseal("mek", "generate", "other")
        other = self.root / "other-key"
        self.qpcseal("attest", "request", "--mek", "other", "--host", "node", "--device", "2-3", "-o", other)
        run(TOOL, "answer", self.root, other)
        said = self.qpcseal("wrap-mek", "--mek", "other", "--pub-keys", other, "--output-dir", out, "--skip-denied", expect=3)
        self.assertIn("holds wrapped MEKs of another key", said.stderr)
        self.check_outputs(out, 2)

    def test_an_output_where_every_card_is_taken_is_kept(self):
        trip = self.reports("taken", 2)
        for name in ("node-0", "node-1"):
            (trip / "wrapped" / name).mkdir(parents=True)
            (trip / "wrapped" / name / "MEK.encrypt").write_text("mine")
        said = self.wrap(trip, expect=3).stderr
        self.assertIn("node-1 exists", said)
        self.assertIn("name another output, or replace it with --force", said)
        self.assertFalse((trip / "wrapped" / "config.json").exists())

    def test_a_report_that_claims_another_card_is_its_own_fault(self):
        """Unsigned reports that claim node-0's challenge and card stop nobody and rename nothing."""
        trip = self.reports("claims", 3)
        report = (trip / "node-0.report").read_bytes()
        forged = bytearray(report)
        forged[-1] ^= 1
        (trip / "node-1.report").write_bytes(forged)
        result = self.wrap(trip, expect=5)
        self.assertIn("ATT-SIGNATURE", result.stdout)
        self.assertIn("for 2 of 3 cards", result.stdout)
        self.check_outputs(trip / "wrapped", 2)

    def test_files_of_an_earlier_run_are_held_against_the_log(self):
        trip = self.reports("earlier", 2)
        self.wrap(trip)
        out = trip / "wrapped"
        config = out / "node-0" / "config.json"
        config.write_text(config.read_text().replace('"node"', '"evil"').replace("ecdh", "xxxx"))
        self.wrap(trip)
        index = (out / "config.json").read_text()
        self.assertNotIn("evil", index)
        self.assertNotIn("xxxx", index)
        for name in ("MEK.encrypt", "MEK.pub"):
            file = out / "node-0" / name
            good = file.read_bytes()
            file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
            digests = [hashlib.sha256(content).hexdigest() for content in (good, file.read_bytes())]
            before = {named: named.read_text() for named in (config, out / "config.json")}
            for named, text in before.items():
                named.write_text(text.replace(*digests))
            self.assertIn("node-0", self.wrap(trip, expect=5).stdout)
            for named, text in before.items():
                named.write_text(text)
            file.write_bytes(good)
        self.wrap(trip)

    def test_a_list_of_reports(self):
        trip = self.reports("list", 3)
        (trip / "list").write_text("# two of three\nnode-0.report\n\nnode-2.report\n")
        self.wrap("@" + str(trip / "list"), out=trip / "wrapped")
        self.check_outputs(trip / "wrapped", 2)
        (trip / "empty").write_text("# none\n")
        self.wrap("@" + str(trip / "empty"), out=trip / "more", expect=2)

    def test_a_list_names_files_beside_it_alone(self):
        trip = self.reports("elsewhere", 2)
        entries, kept = len(self.entries()), sorted((self.root / "home" / "reports").iterdir())
        (trip / "linked.report").symlink_to(self.root / "home" / "pin")
        for line, code in ((str(self.root / "home" / "pin"), 4), ("../elsewhere/node-0.report", 4), ("./node-0.report", 4),
                           (".", 4), ("..", 4), (".hidden", 4), ("a/node-0.report", 4)):
            (trip / "list").write_text(f"node-0.report\n{line}\n")
            said = self.wrap("@" + str(trip / "list"), out=trip / "wrapped", expect=code).stderr
            self.assertIn("list:2: ", said, line)
            self.assertIn("is not the name of a file beside the list", said, line)
        (trip / "list").write_text("linked.report\n")
        self.wrap("@" + str(trip / "list"), out=trip / "wrapped", expect=5)
        self.assertEqual(len(self.entries()), entries)
        self.assertEqual(sorted((self.root / "home" / "reports").iterdir()), kept)

    def test_what_is_no_report_is_neither_kept_nor_named(self):
        trip = self.reports("none", 2)
        secret = trip / "secret.report"
        secret.write_text("24681357\n")
        said = json.loads(self.wrap(trip, "--json", expect=5).stdout)
        self.assertEqual((len(said["released"]), len(said["denied"])), (2, 1))
        self.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", secret, "--output-dir", trip / "one", expect=4)
        digest = hashlib.sha256(secret.read_bytes()).hexdigest()
        self.assertNotIn(digest, (self.root / "home" / "log" / "entries.jsonl").read_text())
        self.assertFalse((self.root / "home" / "reports" / f"{digest}.report").exists())

    def test_killed_and_run_again(self):
        """Killed while reports are kept, while outputs get their names, at the intents and at the results."""
        trip = self.reports("killed", self.CARDS)
        for place in ("rename:when=40", "renameat2:when=100", "fdatasync:when=1", "fdatasync:when=3"):
            self.wrap_killed(trip, place)
        said = json.loads(self.wrap(trip, "--json").stdout)
        self.assertEqual(len(said["released"]), self.CARDS)
        self.check_outputs(trip / "wrapped", self.CARDS)
        intents, done = self.releases()
        mine = [card["nonce"] for card in json.loads((trip / "wrapped" / "config.json").read_text())["wrapped"]]
        self.assertEqual({intents[nonce] for nonce in mine}, {1}, "a challenge served twice")
        self.assertEqual({done[nonce] for nonce in mine}, {1})


if __name__ == "__main__":
    unittest.main()
