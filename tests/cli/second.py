"""More appliances beside a first one, each with a token of its own."""

import json
import subprocess

from appliance import QPCSEAL


class Second:
    """Another appliance with a token of its own; trust, cards and policy, but for its name, are the first one's."""

    def __init__(self, first, name):
        self.first = first
        self.home = first.root / name
        self.env = dict(first.env, QPCSEAL_HOME=str(self.home))
        policy = first.root / f"policy-{name}.toml"
        policy.write_text(first.policy.read_text().replace('appliance = "test"', f'appliance = "{name}"'))
        self.qpcseal("init", "--embedded", "--insecure-demo", "--appliance-id", name, "--policy", policy,
                     "--trust", first.trust)

    def qpcseal(self, *arguments, **more):
        return self.first.qpcseal(*arguments, env=self.env, **more)

    def json(self, *arguments, **more):
        return json.loads(self.qpcseal(*arguments, "--json", **more).stdout)


def killed(env, call, when, *arguments):
    """Runs qpcseal and kills it at its `when`th system call `call`; its exit code, 0 where it ended before."""
    return subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e",
                           f"inject={call}:signal=KILL:when={when}", QPCSEAL, *map(str, arguments)], env=env,
                          check=False, capture_output=True).returncode
