"""An appliance whose keys may leave once, three or four times, and once to a card; and the commands that release them."""

import json
import re
import shutil
import subprocess

import points
import holders
from appliance import QPCSEAL, Appliance
from cryptography.hazmat.primitives import serialization

CARDS = 4
LIMITS = {"one": 1, "three": 3, "four": 4}  # max_releases of the key of that name


def limited(text):
    """The policy with a rule for each key, and one release to a card."""
    head, rule, rest = re.split(r"(?ms)^(\[\[mek\]\]\n.*?)(?=^\[)", text, maxsplit=1)
    rules = [re.sub(r"(?m)^max_releases = \d+$", f"max_releases = {limit}",
                    rule.replace('labels = ["*"]', f'labels = ["{name}#*"]')) for name, limit in LIMITS.items()]
    return re.sub(r"(?m)^max_releases_per_card = \d+$", "max_releases_per_card = 1", head + "".join(rules) + rest)


class World:
    """An appliance with its keys, reports of the cards for each, and a sealed model; a copy of it for each point."""

    def __init__(self, token=None):
        self.appliance = appliance = Appliance(cards=CARDS, token=token, policy_edit=limited)
        self.root, self.env = appliance.root, appliance.env
        self.reports, nonces = {}, []
        for name in LIMITS:
            appliance.qpcseal("mek", "generate", name)
            self.reports[name] = [appliance.attest(name, card, name=f"{name}-{card}.dat") for card in range(CARDS)]
        for request in self.root.glob("*.request"):
            nonces.append(bytes.fromhex(json.loads(self.run("inspect", request, "--json").stdout)["nonce"]))
        self.model = appliance.sample(size=20000)
        appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "one", "--output-dir", self.root / "pristine-sealed")
        self.recovery = self.root / "recovery.key"
        appliance.qpcseal("recovery-key", "new", "-o", self.recovery)
        self.vkey = appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        seal_key = serialization.load_pem_public_key((self.root / "seal-key.pem").read_bytes())
        cards = [holders.Card(appliance.cards, number) for number in range(CARDS)]
        self.new_holders = lambda: holders.Holders(cards, nonces, seal_key)
        self.folders = [self.root / "home", self.root / "sealed", self.root / "out", self.root / "another"]
        if token:
            appliance.token.close()
            shutil.copytree(self.root / "token" / "tokens", self.root / "pristine-tokens")
        shutil.copytree(self.root / "home", self.root / "pristine-home")

    def reset(self):
        points.copy_over(self.root / "pristine-home", self.root / "home")
        points.copy_over(self.root / "pristine-sealed", self.root / "sealed")
        for name in ("out", "another"):
            shutil.rmtree(self.root / name, ignore_errors=True)

    def run(self, *command):
        return subprocess.run([QPCSEAL, *map(str, command)], env=self.env, capture_output=True, text=True, timeout=120,
                              check=False)

    def ids(self):
        """By the keys' names."""
        return {one["label"].split("#")[0]: one["id"] for one in json.loads(self.run("mek", "list", "--json").stdout)}


class Scenario:
    def __init__(self, world, key, cards, make, make_rest=None):
        """`make`: the command, of the reports. `make_rest`: what OPERATIONS.md says to give where it says that an output
        is there."""
        reports = [world.reports[key][card] for card in cards]
        self.key, self.limit = key, LIMITS[key]
        self.other = next((report for report in world.reports[key] if report not in reports), None)
        self.command = make(reports)
        self.rest = make_rest(reports) if make_rest else None


def scenarios(world):
    out, sealed = world.root / "out", world.root / "sealed"
    return {
        "bind in place": Scenario(world, "one", [0], lambda reports: (
            "encrypt-with-session-keys", "--input-dir", sealed, "--mek", "one", "--pub-keys", *reports)),
        "bind elsewhere": Scenario(world, "one", [0], lambda reports: (
            "encrypt-with-session-keys", "--input-dir", sealed, "--mek", "one", "--output-dir", out, "--pub-keys", *reports)),
        "seal and bind": Scenario(world, "one", [0], lambda reports: (
            "encrypt-model", "--qpc", world.model, "--mek", "one", "--output-dir", out, "--threads", "1", "--pub-keys",
            *reports), lambda reports: (
            "encrypt-with-session-keys", "--input-dir", out, "--mek", "one", "--pub-keys", *reports)),
        "wrap for 4": Scenario(world, "four", range(4), lambda reports: (
            "wrap-mek", "--mek", "four", "--output-dir", out, "--pub-keys", *reports)),
        "wrap for 3 of 4": Scenario(world, "three", range(4), lambda reports: (
            "wrap-mek", "--mek", "three", "--output-dir", out, "--skip-denied", "--pub-keys", *reports)),
    }
