"""The three trials of a network under load: lost packets, a partition that heals, validators that are killed.

Each takes a running network, does its harm, and returns its figures; whether anything was lost or signed twice is asked
once, over the whole run, by `judge`.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from tools.chaos.faults import HEALTHY, Faults
from tools.chaos.network import OBSERVER, ChaosNetwork
from tools.chaos.verdict import Votes, check_chain, compute_percentile, read_final

__all__ = ["Say", "judge", "run_kills", "run_loss", "run_partition"]

Say = Callable[[str], None]
_IN_FLIGHT_S = 3.0
_PROGRESS_S = 120.0  # without a block for so long, a network has stopped
_TOGETHER = (1, 1, 1, 1, 1, 1, 2, 2, 2, 4)  # how many are killed at a time
_LEAD_MAX = 3  # kills by which one validator may be ahead of another
_STRIKES_AGAIN_PERCENT = 50
_STRIKES_AGAIN_S = 2.0


def run_loss(network: ChaosNetwork, loss_percent: int, healthy_s: float, lossy_s: float, say: Say) -> dict[str, Any]:
    """Finality without loss for `healthy_s`, then with it for `lossy_s`."""
    rates, before = {}, {}
    for percent, seconds in ((0, healthy_s), (loss_percent, lossy_s)):
        before = network.fabric.apply(Faults(loss_permille=10 * percent))
        begun_ms = time.time_ns() // 1_000_000
        _pass_time(network, seconds)
        ended_ms = time.time_ns() // 1_000_000
        rates[percent] = _measure(network, begun_ms, ended_ms)
        say(f"{percent} % loss for {seconds:.0f} s: {rates[percent]}")
    after = network.fabric.apply(HEALTHY)
    counts = {kind: after[kind] - before[kind] for kind in after}  # while packets were lost
    return {"loss_percent": loss_percent, "seconds": lossy_s, "healthy": rates[0], "lossy": rates[loss_percent],
            "frames": counts}  # fmt: skip


def run_partition(network: ChaosNetwork, seconds: float, say: Say) -> dict[str, Any]:
    """Two and two for `seconds`, in which nothing may become final; then how long until something does everywhere.

    What was on its way when the network fell apart may still become final in the first `_IN_FLIGHT_S`.
    """
    names = network.names
    half = len(names) // 2
    network.fabric.apply(Faults(groups=(names[:half], names[half:])))
    _pass_time(network, _IN_FLIGHT_S)
    before = network.get_greatest()
    _pass_time(network, seconds - _IN_FLIGHT_S)
    height = network.get_greatest()
    network.fabric.apply(HEALTHY)
    first_s = network.wait_until(lambda: network.get_greatest() > height, "the healed network goes on", _PROGRESS_S)
    all_s = first_s + network.wait_until(
        lambda: min(map(network.get_height, names)) > height, "every validator goes on", _PROGRESS_S
    )
    say(f"partition of {seconds:.0f} s: a block {first_s:.2f} s after it healed, everywhere after {all_s:.2f} s")
    return {"seconds": seconds, "blocks_during": height - before, "first_block_s": round(first_s, 2),
            "everywhere_s": round(all_s, 2)}  # fmt: skip


def run_kills(network: ChaosNetwork, kills: int, seed: int, votes: Votes, say: Say) -> dict[str, Any]:
    """SIGKILL one, two or all validators at a random moment and start them again; `kills` in all.

    Sometimes the next round waits until they finalize again, sometimes it strikes while they start or catch up.
    """
    draw = random.Random(seed)
    done, rounds, waits = 0, 0, []
    per_name = dict.fromkeys(network.names, 0)
    begun = time.monotonic()
    while done < kills:
        spared = [name for name in network.names if per_name[name] > min(per_name.values()) + _LEAD_MAX]
        order = sorted(network.names, key=lambda name: (name in spared, draw.random()))
        victims = order[: min(draw.choice(_TOGETHER), kills - done)]
        for name in victims:
            network.kill(name)
            per_name[name] += 1
        done += len(victims)
        votes.hear(network.get_records(OBSERVER))
        for name in victims:
            copy = network.copy_journal(name, network.folder / "journals" / f"{name}-{network.starts[name]}")
            votes.read_journal(copy, network.get_index(name))
            shutil.rmtree(copy)
        _pass_time(network, draw.random() * 0.5, are_all_alive=False)
        heights = {name: network.get_height(name) for name in victims}
        for name in victims:
            network.start(name)
        rounds += 1
        if rounds % 10 == 0:
            say(f"{done} of {kills} kills, height {network.get_greatest()}")
        if done < kills and draw.randrange(100) < _STRIKES_AGAIN_PERCENT:
            _pass_time(network, draw.random() * _STRIKES_AGAIN_S)
            continue
        waits.append(_wait_for_new_blocks(network, heights))
        _pass_time(network, draw.random() * 0.5)
    _wait_for_new_blocks(network, {name: network.get_height(name) for name in network.names})
    return {
        "kills": done, "rounds": rounds, "recoveries_awaited": len(waits), "kills_by_validator": per_name,
        "seconds": round(time.monotonic() - begun, 1),
        "recovery_s": {f"p{at}": round(compute_percentile(waits, at), 1) for at in (50, 99)},
        "slowest_recovery_s": round(max(waits, default=0.0), 1),
    }  # fmt: skip


def _wait_for_new_blocks(network: ChaosNetwork, heights: Mapping[str, int]) -> float:
    """Until each of these validators reports a block above its height; the seconds that it took."""
    return network.wait_until(
        lambda: all(network.get_height(name) > height for name, height in heights.items()),
        f"{', '.join(heights)} finalize again", _PROGRESS_S,
    )  # fmt: skip


def judge(network: ChaosNetwork, votes: Votes, say: Say) -> dict[str, Any]:
    """Compare everything that was reported during the run with what every validator holds now."""
    network.stop_witnesses()
    height = network.get_greatest()
    records = {name: network.get_records(name) for name in network.names}
    ours = [digest for file in records.values() for record in read_final(file) for digest in record["ours"]]
    asked = network.folder / "extrinsics"
    asked.write_text("\n".join(ours), encoding="ascii")
    audits = network.ask_all("tools.chaos.audit", "--height", str(height), "--extrinsics", str(asked))
    chain = check_chain(records, audits)
    votes.hear(network.get_records(OBSERVER))
    contradictions = votes.find_contradictions()
    say(
        f"{chain.blocks} blocks, {chain.extrinsics} extrinsics reported as final, {votes.count} votes: "
        f"{len(chain.faults)} lost, {len(contradictions)} contradictions"
    )
    return {
        "height": height, "block_reports": chain.reports, "extrinsics_reported_final": chain.extrinsics,
        "votes_seen": votes.count, "journals_read": votes.journals, "lost": chain.faults,
        "signed_twice": contradictions, "said_before_written": votes.unjournaled,
    }  # fmt: skip


def _pass_time(network: ChaosNetwork, seconds: float, *, are_all_alive: bool = True) -> None:
    """Wait; when all are to be alive, notice at once who is not."""
    if not are_all_alive:
        time.sleep(seconds)
        return
    ends = time.monotonic() + seconds
    network.wait_until(lambda: time.monotonic() >= ends, "time passes", seconds + 10)


def _measure(network: ChaosNetwork, begun_ms: int, ended_ms: int) -> dict[str, float]:
    """Blocks a minute, the longest wait for one, and transfers a second that became final, at the first validator."""
    heard = read_final(network.get_records(network.names[0]))
    within = [record for record in heard if begun_ms <= record["at_ms"] <= ended_ms]
    times = [begun_ms, *(record["at_ms"] for record in within), ended_ms]
    seconds = (ended_ms - begun_ms) / 1000
    return {
        "blocks_per_minute": round(60 * len(within) / seconds, 1),
        "longest_gap_s": round(max(after - before for before, after in pairwise(times)) / 1000, 1),
        "transfers_per_s": round(sum(record["extrinsics"] for record in within) / seconds, 1),
    }
