"""The command that hunts every mutant; see `__main__`. Its exit code is 1 if any survives."""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from functools import partial

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Kill, build_mutant_world, hunt

__all__ = ["main"]

_SEEDS_MAX = 300


def main() -> int:
    """Print a line a mutant as it is done with, and how many were killed last of all."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--seeds", type=int, default=_SEEDS_MAX, help="worlds a mutant may survive")
    parser.add_argument("--only", default="", help="names, with commas")
    parser.add_argument("--output", choices=("human", "json", "table"), default="human")
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else [mutant.name for mutant in MUTANTS]
    if unknown := set(names) - {mutant.name for mutant in MUTANTS}:
        parser.error(f"there is no mutant {', '.join(sorted(unknown))}")
    results = []
    with multiprocessing.get_context("spawn").Pool(chosen.jobs) as pool:
        for result in pool.imap_unordered(partial(_hunt, seeds=chosen.seeds), names):
            results.append(result)
            if chosen.output == "human":
                print(_describe(result), flush=True)
    killed = sum(result["seed"] is not None for result in results)
    if chosen.output == "json":
        print(json.dumps({"mutants": results, "killed": killed, "total": len(results)}, indent=2))
    elif chosen.output == "table":
        print("\n".join(_tabulate(sorted(results, key=lambda result: names.index(str(result["name"]))))))
    else:
        print(f"{killed} of {len(results)} mutants killed")
    return int(killed < len(results))


def _hunt(name: str, seeds: int) -> dict[str, object]:
    mutant = next(each for each in MUTANTS if each.name == name)
    found, seconds = hunt(mutant, range(seeds))
    if found is not None and build_mutant_world(mutant.profile, found.seed).run().violations:
        found = None  # that world breaks promises by itself: this kills nothing
    kill = found or Kill("", "", -1)
    return {
        "name": name, "rule": mutant.rule, "profile": mutant.profile, "killed_by": kill.promise, "seen": kill.seen,
        "seed": None if found is None else kill.seed, "seconds": round(seconds, 1),
    }  # fmt: skip


def _tabulate(results: Sequence[dict[str, object]]) -> Iterator[str]:
    """The rows of docs/results/mutants.md."""
    yield "| mutant | the rule that it breaks | profile | killed by | at seed |"
    yield "| --- | --- | --- | --- | ---: |"
    for result in results:
        yield "| {name} | {rule} | {profile} | {killed_by} | {seed} |".format(**result)


def _describe(result: dict[str, object]) -> str:
    where = f"{result['name']:26} {result['profile']:16}"
    if result["seed"] is None:
        return f"{where} SURVIVES ({result['seconds']} s)"
    return (
        f"{where} killed by {result['killed_by']!r} at seed {result['seed']} in {result['seconds']} s: {result['seen']}"
    )
