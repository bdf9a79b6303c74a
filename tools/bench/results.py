"""Figures as Markdown: what was run, on what, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["render_machine", "render_startup", "render_sync", "render_table", "render_transfers"]

_HEADINGS = (
    "offered /s", "final /s", "p50 ms", "p99 ms", "block p50 ms", "block p99 ms", "blocks /s", "nullified",
    "CPU ms a transfer",
)  # fmt: skip


def render_transfers(figures: Mapping[str, Any]) -> str:
    """The figures of `tools.bench.transfers`: for each rate the run whose p50 is the median."""
    runs = figures["runs"]
    rates = sorted({run["offered_per_s"] for run in runs})
    chosen = [_choose_median([run for run in runs if run["offered_per_s"] == rate]) for rate in rates]
    rows = [
        (
            run["offered_per_s"], run["finalized_per_s"], run["transfer_finality_ms"]["p50"],
            run["transfer_finality_ms"]["p99"], run["block_finality_ms"]["p50"], run["block_finality_ms"]["p99"],
            run["blocks_per_s"], run["nullified_views"],
            round(run["validators_cpu_s"] * 1000 / max(1, run["transfers"]), 2),
        )
        for run in chosen
    ]  # fmt: skip
    lost = sum(run["lost"] for run in runs)
    lines = [
        "# Transfers",
        "",
        f"{figures['validators']} validators as processes on loopback, {figures['senders']} senders, each transfer",
        "handed to one node and final when that node says so. The load generator shares the cores.",
        f"Medians of {len(runs) // len(rates)} runs.",
        "",
        f"    {figures['command']}",
        "",
        render_machine(figures["machine"]),
        "",
        render_table(_HEADINGS, rows),
        "",
        f"Transfers that did not become final: {lost}. CPU is that of all validators together.",
        "",
    ]
    return "\n".join(lines)


def render_startup(figures: Mapping[str, Any]) -> str:
    """The figures of `tools.bench.startup`."""
    names = {
        "help_s": "`flockchain --help`", "init_s": "`flockchain init`",
        "first_block_s": "`init` and `start` to the first finalized block",
    }  # fmt: skip
    rows = [
        (name, item["median"], item["least"], item["most"], item["bound"] or "-")
        for name, item in ((names[key], figures[key]) for key in names)
    ]
    lines = [
        "# Start",
        "",
        f"A chain of one validator, {figures['first_block_s']['runs']} runs, seconds.",
        "",
        f"    {figures['command']}",
        "",
        render_machine(figures["machine"]),
        "",
        render_table(("what", "median", "least", "most", "bound"), rows),
        "",
    ]
    return "\n".join(lines)


def render_sync(figures: Mapping[str, Any]) -> str:
    """The figures of `tools.bench.sync`."""
    bounds = {"state": "under 30 s", "blocks": "over 200 blocks/s"}
    rows = [
        (
            run["way"], run["seconds"], run["blocks_per_s"], run["snapshot_height"] or "-", run["cpu_s"],
            bounds[run["way"]], "yes" if run["is_within_bound"] else "NO",
        )
        for run in figures["runs"]
    ]  # fmt: skip
    lines = [
        "# Catching up",
        "",
        f"A node with an empty data folder, and one that has {figures['blocks']} blocks with "
        f"{figures['transfers_per_block']} transfers each,",
        f"{figures['accounts']} accounts, epochs of {figures['epoch_blocks']} blocks; real processes on loopback that",
        "share the cores. Seconds from the start of the empty node's process to the tip as its API tells it.",
        "",
        f"    {figures['command']}",
        "",
        render_machine(figures["machine"]),
        "",
        "Both nodes went before other work on the machine (`--nice`)." if figures["nice"] < 0 else "",
        "",
        render_table(("by", "seconds", "blocks/s", "snapshot at", "CPU s, both", "bound", "within"), rows),
        "",
    ]
    return "\n".join(lines)


def render_machine(machine: Mapping[str, Any]) -> str:
    """One sentence on the machine."""
    return (
        f"Machine: {machine['cores']} cores, CPython {machine['python']}, load average {machine['load_1min']} before "
        f"the run, fsync {machine['fsync_ms']} ms, 20,000 SHA-256 in a Python loop {machine['hash_loop_ms']} ms."
    )


def render_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown, numbers to the right."""
    lines = [" | ".join(headings), " | ".join("---:" for _ in headings)]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _choose_median(runs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return sorted(runs, key=lambda run: run["transfer_finality_ms"]["p50"])[len(runs) // 2]
