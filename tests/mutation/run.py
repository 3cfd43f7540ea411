"""Runs the mutants of a build that ci/mutants made: each only by the tests that reach it, unit tests first.

  run.py BUILD TABLE RESULTS [--cli]

RESULTS gets a JSON object a line: the mutant, how many tests reach it, and the test that failed with it ("killer"), or null.
It goes on where an earlier run ended. Which tests reach what is kept beside RESULTS.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
PYTEST = ("/usr/bin/python3", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")
BUDGET = 60  # seconds in which a test for a mutant may begin, those that reach the fewest mutants first
WORKERS = os.cpu_count() or 1


class Case:
    """One test, in whatever way it is run."""

    def __init__(self, name, seconds, reached):
        self.name, self.seconds, self.reached = name, seconds, set(reached)


def limit_of(cases):
    """Seconds after which they have no end."""
    return 6 * sum(case.seconds for case in cases) + 20


class Units:
    """The cases of the unit tests: what each reaches, in a process of its own; against a mutant, those of a program in one."""

    share = 1
    together = 400  # names of cases in one command

    def __init__(self, build):
        listed = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1", "-LE", "long"], capture_output=True,
                                text=True, check=True).stdout
        self.tests = {}  # by name of the case: the program and the folder in which it runs
        for test in json.loads(listed)["tests"]:
            folder = {entry["name"]: entry["value"] for entry in test["properties"]}["WORKING_DIRECTORY"]
            self.tests.update((name, (test["command"][0], folder)) for name in self.cases(test["command"], folder))

    @staticmethod
    def cases(command, folder):
        """Of a suite, as `command` runs it."""
        listed = subprocess.run([*command, "--gtest_list_tests"], cwd=folder, capture_output=True, text=True, check=True).stdout
        suite = ""
        for line in listed.splitlines():
            name = line.split("#")[0].strip()
            if line.startswith("  "):
                yield suite + name
            elif name.endswith("."):
                suite = name

    def run(self, names, more, limit):
        """Of one program: None, or the one that failed."""
        program, folder = self.tests[names[0]]
        try:
            done = subprocess.run([program, f"--gtest_filter={':'.join(names)}", "--gtest_fail_fast"], cwd=folder,
                                  env=dict(os.environ, **more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, timeout=limit, check=False, encoding="utf-8", errors="replace")
        except subprocess.TimeoutExpired:
            return f"{names[0]} or later: no end"
        failed = re.search(r"^\[  FAILED  \] ([^ ,]+)", done.stdout, re.MULTILINE)
        return None if done.returncode == 0 else failed[1] if failed else f"{names[0]} or later: a crash"

    def look(self, out):
        """All cases with what they reach; those that fail without a mutant are left out."""
        def one(name):
            file = out / f"reached-{name.replace('/', '_')[:180]}"
            file.touch()
            began = time.monotonic()
            failed = self.run([name], {"QPCSEAL_MUTANTS_REACHED": str(file)}, 300)
            seen = [number for number, byte in enumerate(file.read_bytes()) if byte]
            file.unlink()
            return None if failed else Case(name, time.monotonic() - began, seen)
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            return [case for case in pool.map(one, self.tests) if case]

    def batches(self, cases):
        by_program = collections.defaultdict(list)
        for case in cases:
            by_program[self.tests[case.name]].append(case)
        return [batch[at:at + self.together] for batch in by_program.values() for at in range(0, len(batch), self.together)]

    def killer(self, batch, mutant, worker):  # pylint: disable=unused-argument
        return self.run([case.name for case in batch], {"QPCSEAL_MUTANT": str(mutant)}, limit_of(batch))


class CommandLine:
    """Tests of tests/cli: each worker has the programs in a folder of its own, beside which the switch is."""

    share = 3

    def __init__(self, build):
        self.builds = []
        for worker in range(WORKERS):
            copy = build.with_name(f"{build.name}-{worker}")
            if not copy.exists():
                shutil.copytree(build, copy, copy_function=os.link, symlinks=True, ignore=shutil.ignore_patterns("*.o", "*.a"))
            (copy / "mutant").mkdir(exist_ok=True)
            self.builds.append(copy)

    def pytest(self, worker, arguments, more, limit):
        env = dict(os.environ, QPCSEAL_BUILD=str(self.builds[worker]), PYTHONPATH=str(TESTS / "mutation"), **more)
        try:
            return subprocess.run([*PYTEST, *arguments], cwd=TESTS / "cli", env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=limit, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def look(self, out):
        files = sorted(path.name for path in (TESTS / "cli").glob("test_*.py"))
        def one(numbered):
            worker, (number, name) = numbered % WORKERS, (numbered, files[numbered])
            listed, began = out / f"cli-{number}", time.monotonic()
            listed.unlink(missing_ok=True)
            self.pytest(worker, [name, "-p", "reached_plugin"], {"QPCSEAL_MUTANTS_OUT": str(listed)}, 3600)
            lines = [json.loads(line) for line in listed.read_text().splitlines()] if listed.exists() else []
            seconds = (time.monotonic() - began) / max(1, len(lines))
            return [Case(line["test"], seconds, line["reached"]) for line in lines]
        cases = []
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            lanes = [pool.submit(lambda lane=lane: [one(n) for n in range(lane, len(files), WORKERS)]) for lane in range(WORKERS)]
            for lane in lanes:
                cases += [case for part in lane.result() for case in part]
        return cases

    @staticmethod
    def batches(cases):
        return [[case] for case in cases]

    def killer(self, batch, mutant, worker):
        (self.builds[worker] / "mutant" / "reached").unlink(missing_ok=True)
        (self.builds[worker] / "mutant" / "on").write_text(f"{mutant}\n")
        try:
            return None if self.pytest(worker, [batch[0].name], {}, limit_of(batch) + 60) else batch[0].name
        finally:
            (self.builds[worker] / "mutant" / "on").unlink()


def look(runner, out):
    """runner.look(), once."""
    kept = out / f"{type(runner).__name__}.json"
    if not kept.exists():
        kept.write_text(json.dumps([(case.name, case.seconds, sorted(case.reached)) for case in runner.look(out)]))
    return [Case(*one) for one in json.loads(kept.read_text())]


def first_killer(way, able, mutant, worker):
    """The test that fails with the mutant, of those that begin within the budget."""
    end = time.monotonic() + BUDGET * way.share
    for batch in way.batches(able):
        if killer := way.killer(batch, mutant, worker):
            return killer
        if time.monotonic() > end:
            break
    return None


def kill(way, cases, mutants, put):
    """Tries each mutant by the tests that reach it."""
    by_mutant = collections.defaultdict(list)
    for case in sorted(cases, key=lambda case: (len(case.reached), case.seconds)):
        for number in case.reached:
            by_mutant[number].append(case)

    def lane(worker):
        for mutant in mutants[worker::WORKERS]:
            able = by_mutant[mutant["n"]]
            put(mutant, len(able), first_killer(way, able, mutant["n"], worker))
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lane, range(WORKERS)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--cli", action="store_true", help="also by the command line tests: hours")
    given = parser.parse_args()
    table = json.loads(given.table.read_text())
    known = {}
    if given.results.exists():
        for line in given.results.read_text().splitlines():
            known[json.loads(line)["n"]] = json.loads(line)
    with open(given.results, "a", encoding="utf-8") as file:
        def put(mutant, reached, killer):
            known[mutant["n"]] = {**mutant, "reached": reached + known.get(mutant["n"], {}).get("reached", 0), "killer": killer}
            file.write(json.dumps(known[mutant["n"]]) + "\n")
            file.flush()
        ways = [Units] + ([CommandLine] if given.cli else [])
        for way in ways:
            left = [mutant for mutant in table if known.get(mutant["n"], {}).get("killer") is None
                    and (way is CommandLine or mutant["n"] not in known)]
            if not left:
                continue
            print(f"{way.__name__}: {len(left)} mutants", flush=True)
            runner = way(given.build)
            kill(runner, look(runner, given.results.parent), left, put)
    alive = [known[mutant["n"]] for mutant in table if known.get(mutant["n"], {}).get("killer") is None]
    for mutant in alive:
        reached = f"{mutant['reached']} tests reach it" if mutant["reached"] else "no test reaches it"
        print(f"{mutant['file']}:{mutant['line']}: {mutant['what']}: {reached}")
    print(f"{len(table)} mutants, {len(table) - len(alive)} killed, {len(alive)} alive")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
