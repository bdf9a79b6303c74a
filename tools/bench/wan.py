"""Measures finality and operations of a hundred validators in ten regions, in virtual time.

    python -m tools.bench.wan --out docs/results/wan.json

Runs one world for each number of absent validators and writes the JSON and, beside it, the page. The same seeds give
the same figures on every machine, but for how long it took.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median_high
from typing import Any, Final

from flockchain.devnet.shipped_chains import find_shipped_genesis
from flockchain.sim.profiles.wan import build_wan_plan
from flockchain.sim.wan.latency import JITTER_PERCENT
from flockchain.sim.wan.regions import REGIONS, compute_one_way_ms
from flockchain.sim.wan.verdict import Verdict, judge_world, list_violations
from flockchain.sim.world import build_world
from tools.bench.results import render_table

_NODES: Final = 100
_SHOWN: Final[tuple[tuple[str, str], ...]] = (
    ("messages", "messages sent, all kinds"),
    ("bytes", "bytes sent, all kinds"),
    ("proposals", "proposals sent"),
    ("votes", "votes sent"),
    ("certificates", "certificates sent"),
    ("checks", "checks of a signature or an aggregate (two pairings each)"),
    ("signatures", "BLS signatures made"),
    ("fsyncs", "fsyncs (journal records and commits)"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 if a world is slower than promised."""
    options = _parse(arguments)
    worlds = [_measure(options.seed, dead, options.seconds) for dead in options.dead]
    figures = {
        "command": "python -m tools.bench.wan --out " + str(options.out),
        "validators": _NODES,
        "jitter_percent": JITTER_PERCENT,
        "virtual_seconds": options.seconds,
        "worlds": worlds,
    }
    options.out.write_text(json.dumps(figures, indent=2) + "\n")
    options.out.with_suffix(".md").write_text(render_wan(figures))
    violations = [each for world in worlds for each in world["violations"]]
    print("\n".join(violations) or f"{len(worlds)} worlds as fast as promised", file=sys.stderr)
    return 1 if violations else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the JSON goes; the page goes beside it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=5, help="of virtual time in each world")
    parser.add_argument("--dead", type=lambda text: [int(part) for part in text.split(",")], default=[0, 12, 30])
    return parser.parse_args(arguments)


def _measure(seed: int, dead: int, seconds: int) -> dict[str, Any]:
    plan = build_wan_plan(random.Random(seed), _NODES, dead, 1000 * seconds)
    started = time.process_time()
    world = build_world(seed, find_shipped_genesis("minimal"), plan, nodes=_NODES)
    world.start()
    world.advance(plan.faults_ms)
    if world.pace is None:
        raise RuntimeError("a world with distances has a meter")
    verdict = judge_world(world, world.pace)
    broken = [str(violation) for violation in (*world.violations, *list_violations(verdict))]
    return {
        "seed": seed,
        "dead": dead,
        "cpu_s": round(time.process_time() - started, 1),
        "trace_hash": world.trace_hash,
        "hop_ms": verdict.hop_ms,
        "leader_timeout_ms": verdict.leader_timeout_ms,
        "finality": _summarise_finality(verdict),
        "absent_leaders_ms": [lost.cost_ms for lost in verdict.lost],
        "absent_leader_most_ms": verdict.leader_timeout_ms + 2 * verdict.hop_ms,
        "operations": {
            name: {"mean": verdict.compute_mean_milli(name) / 1000, "max": verdict.compute_max(name)}
            for name in verdict.list_operations()
        },
        "views": [
            {"view": final.view[1], "leader_region": REGIONS[(plan.regions or ())[final.leader]],
             "quorum_ms": final.quorum_ms, "quorum_bound_ms": final.quorum_bound_ms,
             "slowest_ms": final.slowest_ms, "slowest_bound_ms": final.slowest_bound_ms}
            for final in verdict.finals
        ],
        "violations": broken,
    }  # fmt: skip


def _summarise_finality(verdict: Verdict) -> dict[str, Any]:
    finals = verdict.finals
    return {
        "views": len(finals),
        "quorum_ms": median_high([final.quorum_ms for final in finals]),
        "quorum_bound_ms": median_high([final.quorum_bound_ms for final in finals]),
        "median_node_ms": median_high([final.median_ms for final in finals]),
        "median_node_bound_ms": median_high([final.median_bound_ms for final in finals]),
        "slowest_node_ms": max(final.slowest_ms for final in finals),
        "ratio_median": median_high([final.permille for final in finals]) / 1000,
        "ratio_max": max(final.permille for final in finals) / 1000,
    }


def render_wan(figures: dict[str, Any]) -> str:
    """The page."""
    worlds = figures["worlds"]
    finality = [
        (world["dead"], each["views"], each["quorum_bound_ms"], each["quorum_ms"], each["median_node_bound_ms"],
         each["median_node_ms"], each["slowest_node_ms"], each["ratio_median"], each["ratio_max"])
        for world in worlds for each in (world["finality"],)
    ]  # fmt: skip
    absent = [
        (world["dead"], len(costs), world["hop_ms"], world["absent_leader_most_ms"], max(costs, default="-"),
         sum(cost < world["leader_timeout_ms"] for cost in costs))
        for world in worlds for costs in (world["absent_leaders_ms"],)
    ]  # fmt: skip
    operations = [
        (
            label,
            *(f"{world['operations'][name]['mean']:,.2f} / {world['operations'][name]['max']:,}" for world in worlds),
        )
        for name, label in _SHOWN
    ]
    return _PAGE.format(
        command=figures["command"],
        seconds=figures["virtual_seconds"],
        jitter=figures["jitter_percent"],
        regions=", ".join(REGIONS),
        most=max(compute_one_way_ms(here, there) for here in range(len(REGIONS)) for there in range(len(REGIONS))),
        finality=render_table(
            ("down", "views", "bound, quorum ms", "measured", "bound, median node ms", "measured", "slowest node ms",
             "ratio, median", "ratio, worst view"), finality),
        absent=render_table(
            ("down", "views lost", "hop ms", "most allowed ms", "dearest ms", "not waited for"), absent),
        operations=render_table(("a node in a view, mean / max", *(f"{world['dead']} down" for world in worlds)),
                                operations),
    )  # fmt: skip


_PAGE: Final = """# A hundred validators around the world

    {command}

The node's own replica, a hundred of them in one process, ten in each of ten regions ({regions}), with stakes
between 60 and 140, all linked to all. Time is virtual: {seconds} s of it in each world. A message takes half of the
round trip between its regions (`flockchain/sim/wan/regions.py`: of the order that the clouds' public tables show,
rounded; at most {most} ms), and up to {jitter} % more, drawn anew for each message. The same seed gives the same
figures everywhere.

## Finality

{finality}

From the moment in which the leader sends its proposal to the moment in which the block is committed. *Quorum*: by
nodes with more than 2/3 of all stake. The *bound* is what no protocol of three hops can do better, computed from
distances and stakes alone (`flockchain/sim/wan/bounds.py`), for the leader of each view by itself:

- proposed(i) = the distance from the leader to i;
- notarized(j) = the first moment at which votes with more than 2/3 of the stake can be at j, if i votes at proposed(i);
- final(j) = the same once more, if i votes again at notarized(i).

The *ratio* is measured over bound, both at the quorum, view by view; it must be at most 1.2 in every view. The
medians of this table are over views. Judged are all views that every live node entered and left, but the first.

## Absent leaders

{absent}

What a view without a proposal costs: from a quorum's entering it to a quorum's entering the next. A *hop* is the
time in which a quorum has heard from a quorum that speaks at once; allowed are one leader's time-out and two hops.
A leader that was not heard from in ten views is *not waited for* (R15 in `flockchain/consensus/README.md`): its
view costs about a hop. Where that column is 0 the world was too short for it; `tests/scenarios/test_wan.py` has it
with twenty validators.

## Operations

{operations}

Counted at the live nodes in the views above, from entering a view to entering another; the maximum is the leader's,
whose proposal goes to all. A check is one product of two pairings: the leader's signature on the proposal, the
quorum of NOTARIZE, the quorum of FINALIZE, and the leader's reveal when the block is executed; each quorum is
checked once, as an aggregate. An fsync is a journal record or a commit: NOTARIZE, FINALIZE, the block.

## What this does not show

Only the network takes time here: execution, signatures and disks take none, which is why their operations are
counted. There is no bandwidth either: a block of a megabyte takes as long as an empty one, though its leader has to
send it 99 times. The blocks of these worlds hold a few transfers. Packets are not lost; `swarm` and the tests with
real processes do that.
"""

if __name__ == "__main__":
    sys.exit(main())
