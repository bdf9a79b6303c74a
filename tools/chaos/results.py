"""The figures of a chaos run as a page for people."""

from __future__ import annotations

from typing import Any

__all__ = ["render"]


def render(figures: dict[str, Any]) -> str:
    """Markdown: what was done, what came of it, how it is done again."""
    verdict, timeouts = figures["verdict"], figures["timeouts"]
    lines = [
        "# Real validators under real faults", "",
        f"{figures['load']['validators']} `flockchain start` processes "
        f"({'each in a network namespace of its own' if figures['fabric'] == 'namespaces' else 'behind TCP proxies'}), "
        f"{figures['load']['transfers_per_s_and_validator']} transfers a second into each all the time, "
        f"{figures['seconds']} s in all. Time-outs of the genesis: {timeouts['leader_ms']} ms to the proposal, "
        f"{timeouts['view_ms']} ms to a certificate.", "",
        f"    {figures['command']}", "", _describe_machine(figures["machine"]), "",
    ]  # fmt: skip
    if "loss" in figures:
        lines += _render_loss(figures["loss"])
    if figures["partitions"]:
        lines += _render_partitions(figures["partitions"], timeouts)
    if "kills" in figures:
        lines += _render_kills(figures["kills"])
    lines += [
        "## Nothing lost, nothing signed twice", "",
        f"Beside each validator, outside of its process, a client wrote down every block and every transfer of its own "
        f"that the validator reported as final: {verdict['block_reports']} reports of blocks and "
        f"{verdict['extrinsics_reported_final']} transfers up to height {verdict['height']}. In the end every "
        f"validator was asked for each of them: **{len(verdict['lost'])} missing or different.**", "",
        f"An observer that was everybody's peer wrote down every vote, and each killed validator's journal was read "
        f"({verdict['journals_read']} copies): {verdict['votes_seen']} different votes, "
        f"**{len(verdict['signed_twice'])} that contradict another of the same validator**, and "
        f"{len(verdict['said_before_written'])} that were heard before they were in the journal.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _render_loss(loss: dict[str, Any]) -> list[str]:
    rows = [
        f"| {percent} % | {rates['blocks_per_minute']} | {rates['longest_gap_s']} | {rates['transfers_per_s']} |"
        for percent, rates in ((0, loss["healthy"]), (loss["loss_percent"], loss["lossy"]))
    ]
    return [
        f"## {loss['loss_percent']} % of all packets lost", "",
        f"Over {loss['seconds']:.0f} s each. Frames while packets were lost: {loss['frames']}.", "",
        "| loss | blocks a minute | longest time without a block, s | transfers final a second |",
        "|---|---|---|---|", *rows, "",
    ]  # fmt: skip


def _render_partitions(partitions: list[dict[str, Any]], timeouts: dict[str, int]) -> list[str]:
    rows = [
        f"| {each['seconds']:.0f} | {each['blocks_during']} | {each['first_block_s']} | {each['everywhere_s']} |"
        for each in partitions
    ]
    return [
        "## Partition, two and two", "",
        f"The limit is two time-outs of a view, {2 * timeouts['view_ms'] / 1000:.0f} s. Without a quorum nobody gets "
        "further than the views that were under way, so no time-out has grown when the network heals. But one view may "
        "be split, signed NOTARIZE by one half and NULLIFY by the other; it ends only when it has timed out for the "
        "first half too. So the worst case is to connect, one repetition of what was said "
        f"({timeouts['retry_ms']} ms), one time-out, and a block.", "",
        "| partition, s | blocks final during it | first block after it healed, s | on every validator, s |",
        "|---|---|---|---|", *rows, "",
    ]  # fmt: skip


def _render_kills(kills: dict[str, Any]) -> list[str]:
    spread = ", ".join(str(count) for count in kills["kills_by_validator"].values())
    recovery = kills["recovery_s"]
    return [
        f"## {kills['kills']} times `kill -9`", "",
        f"One, two or all four validators at a random moment, in {kills['rounds']} rounds over {kills['seconds']:.0f} "
        f"s; by validator: {spread}. In half of the rounds the next kill strikes while they start or catch up. In the "
        f"other {kills['recoveries_awaited']}, from the start of the killed ones until all of them report a new final "
        f"block: median {recovery['p50']} s, 99th percentile {recovery['p99']} s, "
        f"slowest {kills['slowest_recovery_s']} s.", "",
    ]  # fmt: skip


def _describe_machine(machine: dict[str, Any]) -> str:
    return "Machine: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in machine.items()) + "."
