#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What commands cost over a long log, thousands of archived reports, and many keys.

  cmake --preset bench && cmake --build --preset bench --target qpcseal qpcseal-attest qpcseal-device fleet_cards
  QPCSEAL_BUILD=$PWD/build/bench /usr/bin/python3 tests/bench/scale.py [--entries 300000] [--reports 10000] [--meks 1000]

The log is grown by requests for challenges, in the home of an appliance with the embedded token.
"""

import argparse
import pathlib
import shutil
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))

from appliance import QPCSEAL, Appliance, run  # noqa: E402
from fleet_support import TOOL, FleetDesk  # noqa: E402
from long_log import cost, grow, long_log  # noqa: E402

CARDS = 1000  # of one host: their numbers end at 1023


def head():
    print("| command | seconds | of processor time | MiB |\n|---|---|---|---|", flush=True)


def row(env, name, *arguments, rounds=3, before=lambda: None):
    costs = []
    for _ in range(rounds):
        before()
        costs.append(cost(env, *arguments))
    wall, cpu, _ = (statistics.median(column) for column in zip(*costs))
    print(f"| {name} | {wall:.2f} | {cpu:.2f} | {max(one[2] for one in costs):.0f} |", flush=True)


def over_a_long_log(entries):
    appliance = long_log(entries)
    out = appliance.root / "out"
    log = appliance.root / "home" / "log"
    try:
        appliance.qpcseal("audit", "receipt", "1", "-o", appliance.root / "small", timeout=600)
        print(f"\n{grow(appliance, 0)} entries, {(log / 'entries.jsonl').stat().st_size >> 20} MiB, snapshot "
              f"{(log / 'snapshot').stat().st_size >> 20} MiB\n")
        head()
        row(appliance.env, "`inspect` of a receipt", "inspect", appliance.root / "small")
        row(appliance.env, "start (`mek list`)", "mek", "list")
        row(appliance.env, "`audit show`", "audit", "show", rounds=1)
        row(appliance.env, "`audit show --json`", "audit", "show", "--json", rounds=1)
        row(appliance.env, "`audit report`", "audit", "report", "-o", out, rounds=1)
        row(appliance.env, "`audit verify`", "audit", "verify", rounds=1)
        row(appliance.env, "`audit verify --quick`", "audit", "verify", "--quick")
        row(appliance.env, "`audit receipt`", "audit", "receipt", "1", "-o", out, "--force", rounds=1)
        row(appliance.env, "`plan compromise`", "plan", "compromise", "m", rounds=1)
        row(appliance.env, "`home backup`", "home", "backup", "-o", out, "--force", rounds=1)
    finally:
        appliance.close()


def over_many_reports(reports):
    hosts, cards = max(1, reports // CARDS), min(reports, CARDS)

    class Desk(FleetDesk):
        CARDS = hosts * cards

        @classmethod
        def make_home(cls):
            cls.qpcseal("init", "--embedded", "--insecure-demo", "--appliance-id", "bench", "--policy",
                        cls.root / "policy.toml", "--trust", cls.root / "trust")

    Desk.setUpClass()
    try:
        desk = Desk()
        trip = Desk.root / "trip"
        names = [part for number in range(hosts) for part in ("--host", f"node-{number:02}")]
        Desk.qpcseal("attest", "request", "--mek", "m", *names, "--device", f"0-{cards - 1}", "-o", trip)
        run(TOOL, "answer", Desk.root, trip)
        run(QPCSEAL, *desk.wrap_command(trip), env=Desk.env, timeout=3600)
        policy = Desk.root / "policy.toml"
        print(f"\n{Desk.CARDS} archived reports\n")
        head()
        row(Desk.env, "`policy diff` of a policy with itself", "policy", "diff", policy, policy, rounds=1)
        row(Desk.env, "`audit report`", "audit", "report", "-o", Desk.root / "page", rounds=1)
    finally:
        Desk.tearDownClass()


def over_many_keys(meks):
    appliance = Appliance(cards=1)
    try:
        for number in range(meks):
            appliance.qpcseal("mek", "generate", f"m{number}")
        print(f"\n{meks} keys\n")
        head()
        row(appliance.env, "start (`mek list`)", "mek", "list")
        row(appliance.env, "a key by its label (`mek show`)", "mek", "show", "m1#1")
        row(appliance.env, "a key by its name (`mek show`)", "mek", "show", "m1")
        folder = appliance.root / "request"
        row(appliance.env, "`attest request`", "attest", "request", "--mek", "m1#1", "-o", folder,
            before=lambda: shutil.rmtree(folder, ignore_errors=True) or folder.unlink(missing_ok=True))
    finally:
        appliance.close()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--entries", type=int, default=300000)
    options.add_argument("--reports", type=int, default=10000)
    options.add_argument("--meks", type=int, default=1000)
    wanted = options.parse_args()
    if wanted.entries:
        over_a_long_log(wanted.entries)
    if wanted.reports:
        over_many_reports(wanted.reports)
    if wanted.meks:
        over_many_keys(wanted.meks)


if __name__ == "__main__":
    main()
