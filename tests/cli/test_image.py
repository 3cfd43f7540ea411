"""The running image: in doctor and status, in the site facts, in plans and records; and what is refused under another one."""

import json
import os
import subprocess
import unittest

from appliance import QPCSEAL, Appliance
from ceremony_support import script
from running_image import VERITY, ImagedAppliance, ImagedGuarded, ImagedSite, machine

A, B = "a1" * 32, "b2" * 32
NEEDS_ROOT = unittest.skipUnless(os.geteuid() == 0, "mounts over the kernel's files, which takes root")


class NoImage(unittest.TestCase):
    def setUp(self):
        self.site = Appliance(cards=1)
        self.addCleanup(self.site.close)

    def test_nothing_is_demanded(self):
        self.site.qpcseal("mek", "generate", "m")
        for command in ("doctor", "status"):
            said = self.site.json(command)
            self.assertEqual((said["image"], said["image_words"], said["healthy"]), (None, None, True))
            self.assertIn("running image: none\n", self.site.qpcseal(command).stdout)
        self.assertNotIn("image", self.site.json("site", "show")["facts"])
        self.assertRegex(self.site.qpcseal("site", "show").stdout, "image that must run +none\n")
        said = self.site.qpcseal("site", "change", "--image", "running", "--yes", expect=2).stderr
        self.assertIn("--image running: no image runs here", said)

    def test_variables_say_nothing(self):
        names = ("roothash", "ROOTHASH", "IMAGE", "QPCSEAL_IMAGE", "QPCSEAL_ROOTHASH", "QPCSEAL_CMDLINE", "PROC_CMDLINE",
                 "SYSTEMD_PROC_CMDLINE", "SYSFS_PATH", "QPCSEAL_SYS", "QPCSEAL_PROC", "QPCSEAL_ROOT")
        for value in (f"roothash={A}", A, str(self.site.root)):
            env = dict(self.site.env, **dict.fromkeys(names, value))
            said = json.loads(self.site.qpcseal("status", "--json", env=env).stdout)
            self.assertEqual((said["image"], said.get("image_refused")), (None, None), value)


@NEEDS_ROOT
class Claims(unittest.TestCase):
    """What does not count is no image, and is said."""

    @classmethod
    def setUpClass(cls):
        cls.site = Appliance(cards=1)
        cls.addClassCleanup(cls.site.close)

    def say(self, line, uuid=VERITY, command=("status", "--json"), expect=0):
        done = subprocess.run([str(part) for part in (*machine(self.site.root, line, uuid), QPCSEAL, *command)],
                              env=self.site.env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def test_one_that_counts(self):
        said = json.loads(self.say(f"quiet roothash={A}").stdout)
        self.assertEqual(said["image"], A)
        self.assertEqual(len(said["image_words"].split(" ")), 32)
        self.assertNotIn("image_refused", said)

    def test_those_that_do_not(self):
        for line, uuid, why in ((f"roothash={A} roothash={A}", VERITY, "more than once"),
                                (f"roothash={A[1:]}", VERITY, "no word with 64 hex digits"),
                                (f'x="y roothash={A}"', VERITY, "no word with 64 hex digits"),
                                (f"roothash={A} systemd.verity_root_options=ignore-corruption", VERITY, "ignore corruption"),
                                (f"roothash={A}", "CRYPT-LUKS2-0123-root", "not on dm-verity")):
            with self.subTest(line):
                said = json.loads(self.say(line, uuid).stdout)
                self.assertEqual(said["image"], None)
                self.assertIn(why, said["image_refused"])
                for command in ("doctor", "status"):
                    text = self.say(line, uuid, (command,)).stdout
                    self.assertRegex(text, "image +warning +no image")
                    self.assertIn("running image: none", text)

    def test_init_takes_none(self):
        other = Appliance(cards=1, init=False)
        self.addCleanup(other.close)
        line = machine(other.root, f"roothash={A} roothash={B}")
        done = subprocess.run([*map(str, line), QPCSEAL, "init", "--embedded", "--insecure-demo", "--appliance-id", "test",
                               "--policy", str(other.policy), "--trust", str(other.trust)], env=other.env,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("warning: no image goes into the site's facts: the kernel's command line has roothash= more than once",
                      " ".join(done.stderr.split()))
        self.assertNotIn("image", other.json("site", "show")["facts"])


@NEEDS_ROOT
class Facts(unittest.TestCase):
    def setUp(self):
        self.site = ImagedAppliance(A)
        self.addCleanup(self.site.close)

    def size(self):
        return self.site.json("audit", "checkpoint")["size"]

    def test_init_names_the_image_that_runs(self):
        self.assertEqual(self.site.json("site", "show")["facts"]["image"], A)
        self.assertEqual(self.site.json("audit", "show", "--kind", "genesis")["entries"][0]["data"]["site"]["image"], A)
        self.assertRegex(self.site.qpcseal("site", "show").stdout, f"image that must run +{A}\n")
        self.site.qpcseal("mek", "generate", "m")
        for command in ("doctor", "status"):
            said = self.site.json(command)
            self.assertEqual((said["image"], said["healthy"]), (A, True))
            text = self.site.qpcseal(command).stdout
            self.assertIn(f"running image: {A}\n  ", text)
            self.assertIn(said["image_words"], " ".join(text.split()))
            self.assertRegex(text, "image +fine +it is the one of the site's facts")

    def test_under_another_one_nothing_is_done_but_what_stops_a_key(self):
        self.site.qpcseal("mek", "generate", "m")
        size = self.size()
        for image, runs, option in ((B, f"image {B}", "running"), (None, "no image", "none")):
            self.site.image = image
            for command in (("mek", "generate", "n"), ("mek", "list"), ("mek", "rotate", "m"),
                            ("attest", "request", "--mek", "m", "-o", self.site.root / "request"), ("audit", "rotate-key"),
                            ("mek", "destroy", "m")):
                said = self.site.qpcseal(*command, expect=5).stderr
                self.assertIn(f"the site's facts name image {A}, and {runs} runs here", said, command)
                self.assertIn(f"'qpcseal site change --image {option}'", said)
            error = self.site.json_error("mek", "list")
            self.assertEqual((error["code"], error["exit_code"]), ("other-image", 5))
            self.assertEqual(error["findings"], [{"id": "IMG-SITE", "claim": "image", "observed": image or "none",
                                                  "expected": A, "rule": "the site's facts"}])
            self.assertEqual(self.size(), size)
            for command in ("doctor", "status"):
                said = self.site.json(command, expect=5)
                self.assertEqual((said["image"], said["healthy"]), (image, False))
                self.assertIn("the next command would be refused", self.site.qpcseal(command, expect=5).stdout)
                (check,) = (check for check in said["checks"] if check["id"] == "image")
                self.assertEqual(check["health"], "fault")
                self.assertIn(f"'qpcseal site change --image {option}'", check["hint"])
        self.site.qpcseal("mek", "suspend", "m")
        self.assertEqual(self.size(), size + 1)
        self.site.image = A
        self.assertEqual(self.site.json("mek", "list")[0]["state"], "suspended")

    def test_the_named_command_mends_it(self):
        self.site.image = B
        change = ("site", "change", "--image", "running")
        self.assertIn("--yes", self.site.qpcseal(*change, expect=2).stderr)
        self.site.qpcseal("mek", "generate", "m", expect=5)
        self.site.qpcseal(*change, "--yes")
        self.site.qpcseal("mek", "generate", "m")
        (entry,) = self.site.json("audit", "show", "--kind", "site")["entries"]
        self.assertEqual((entry["data"]["old"]["image"], entry["data"]["new"]["image"]), (A, B))
        self.assertTrue(self.site.json("doctor")["healthy"])
        self.site.image = A
        self.site.qpcseal("mek", "list", expect=5)
        self.site.image = None
        self.site.qpcseal("mek", "list", expect=5)
        self.site.qpcseal("site", "change", "--image", "none", "--yes")
        self.site.qpcseal("mek", "list")
        self.assertNotIn("image", self.site.json("site", "show")["facts"])
        self.assertIn("nothing changes", self.site.qpcseal("site", "change", "--image", "none", "--yes", expect=2).stderr)

    def test_the_next_image_can_be_named_before_it_runs(self):
        self.site.qpcseal("site", "change", "--image", B, "--yes")
        self.site.qpcseal("mek", "list", expect=5)
        self.site.image = B
        self.site.qpcseal("mek", "list")
        for bad in ("any", A[1:], A.upper(), ""):
            said = self.site.qpcseal("site", "change", f"--image={bad}", "--yes", expect=2).stderr
            self.assertRegex(said, "no root hash|--image")
        self.assertEqual(self.site.json("site", "show")["facts"]["image"], B)


@NEEDS_ROOT
class Officers(unittest.TestCase):
    def test_agree_to_another_image(self):
        site = ImagedGuarded(A)
        self.addCleanup(site.close)
        self.assertIn(f"\nimage: {A}\n", site.qpcseal("genesis", "show").stdout)
        site.image = B
        change = ("site", "change", "--image", "running")
        said = site.qpcseal(*change, "--yes", expect=7).stderr
        self.assertIn("no request for it", said)
        for image in (A, "none"):
            other = site.approved("site-change", "--param", f"image={image}")
            self.assertIn("parameter 'image'", site.qpcseal(*change, *other, expect=7).stderr)
        site.qpcseal("mek", "list", expect=5)
        site.qpcseal(*change, *site.approved("site-change", "--param", f"image={B}"))
        site.qpcseal("mek", "list")
        (entry,) = site.json("audit", "show", "--kind", "site")["entries"]
        self.assertEqual(len(entry["data"]["approval"]["approvers"]), 2)


@NEEDS_ROOT
class Plans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = ImagedSite(None)  # whose facts demand no image: the plan alone does
        cls.addClassCleanup(cls.site.close)

    def setUp(self):
        self.site.image = A
        self.name = self.id().rsplit(".", 1)[1].replace("test_", "")[:50]
        self.folder = self.site.root / self.name
        self.plan = self.site.plan("first-key", self.folder, ceremony=self.name, mek=self.name,
                                   output=self.name + ".checkpoint")
        self.plan.write_text(self.plan.read_text().replace("rehearsed = true", f'rehearsed = true\nimage = "{A}"'))

    def run_it(self, *rehearsal, expect=0, out="record", command="run", stdin=None):
        signatures = self.site.sign_plan(self.plan) if command == "run" else []
        done = self.site.qpcseal("ceremony", command, self.plan, "--dir", self.folder, "-o", self.folder / out, *rehearsal,
                                 *signatures, expect=expect, stdin=stdin or script())
        return done.stdout + done.stderr

    def record(self, folder):
        return json.loads((self.folder / folder / "record.json").read_text())

    def size(self):
        return self.site.json("audit", "checkpoint")["size"]

    def test_begins_under_its_image_alone(self):
        rehearsal = self.site.rehearse(self.plan, self.folder)
        size = self.size()
        for image, runs in ((B, f"image {B}"), (None, "no image")):
            self.site.image = image
            said = self.run_it(*rehearsal, expect=5)
            self.assertIn(f"the plan demands image {A}, and {runs} runs here", said)
            self.assertIn(f"IMG-PLAN: image is {image or 'none'}, expected {A}", said)
            self.assertNotIn("type Yes", said)
            said = self.site.qpcseal("ceremony", "lint", self.plan, "--dir", self.folder, expect=5).stdout
            self.assertIn(f"WRONG: the plan demands image {A}, and {runs} runs here", " ".join(said.split()))
        self.assertEqual(self.size(), size)
        self.site.image = A
        self.site.qpcseal("ceremony", "lint", self.plan, "--dir", self.folder)
        self.run_it(*rehearsal)
        record = self.record("record")
        self.assertEqual(record["environment"]["image"], A)
        self.assertEqual(record["comparison"], [])
        self.assertIn(A, (self.folder / "record" / "record.html").read_text().replace("<wbr>", ""))
        checked = self.site.json("ceremony", "check", self.folder / "record" / "record.json")
        self.assertEqual((checked["verified"], checked["image"]), (True, A))

    def test_a_rehearsal_says_the_difference(self):
        self.site.image = B
        out = self.folder / "rehearsal"
        said = self.site.json("ceremony", "rehearse", self.plan, "--dir", self.folder, "-o", out)
        self.assertEqual(said["complaints"], [f"the plan demands image {A}, and image {B} runs here"])
        self.assertEqual(self.record("rehearsal")["environment"]["image"], B)
        self.site.image = A
        said = self.run_it("--rehearsal", out / "record.json")
        sentence = f"The running image (root hash): '{B}' in the rehearsal, '{A}' in the ceremony."
        self.assertIn(sentence, said.replace("\n", " "))
        self.assertEqual(self.record("record")["comparison"], [sentence])

    def test_goes_on_under_the_image_that_it_began_with(self):
        rehearsal = self.site.rehearse(self.plan, self.folder)
        self.run_it(*rehearsal, expect=2, stdin="Yes\ndone\nW.W.\n\nstop\n")
        size = self.size()
        for image, runs in ((B, f"image {B}"), (None, "no image")):
            self.site.image = image
            said = self.run_it(expect=5, command="resume")
            self.assertIn(f"the ceremony began under image {A}, and {runs} runs here", said)
            self.assertIn("IMG-BEGUN", said)
        self.assertEqual(self.size(), size)
        self.site.image = A
        self.run_it(command="resume", stdin="go\nW.W.\n\n" * 20)
        self.assertEqual(self.record("record")["outcome"]["result"], "complete")

    def test_a_plan_that_demands_none_names_what_ran(self):
        self.plan.write_text(self.plan.read_text().replace(f'image = "{A}"\n', ""))
        self.site.image = None
        self.run_it(*self.site.rehearse(self.plan, self.folder))
        self.assertIsNone(self.record("record")["environment"]["image"])
        self.assertIsNone(self.site.json("ceremony", "check", self.folder / "record" / "record.json")["image"])

    def test_a_record_under_another_image_is_found_by_a_check(self):
        """A rehearsal in an appliance's own log is the one ceremony that may be under another image than its plan's."""
        trial = ImagedAppliance(None)
        self.addCleanup(trial.close)
        aud = trial.json("audit", "show", "--kind", "genesis")["entries"][0]["data"]["aud"]
        self.plan.write_text(self.plan.read_text().replace(self.site.aud, aud))
        trial.image = B
        trial.qpcseal("ceremony", "rehearse", "--on-this-appliance", self.plan, "--dir", self.folder, "-o", self.folder / "trial")
        said = trial.qpcseal("ceremony", "check", self.folder / "trial" / "record.json", expect=5).stderr
        self.assertIn(f"the ceremony ran under image {B}, and its plan demands {A}", said)
        self.assertIn("IMG-RECORD", said)


if __name__ == "__main__":
    unittest.main()
