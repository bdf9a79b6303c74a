"""`flockchain sim`: run the node's own code on seeded networks and check what must hold in each."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flockchain.cli.exit_codes import CheckFailed, UserMistake
from flockchain.cli.output import Output, OutputFormat, print_note, print_record

if TYPE_CHECKING:
    from flockchain.sim.world import WorldReport

__all__ = ["app", "parse_seeds", "run"]

app = typer.Typer(name="sim", help="Seeded networks that run the node's own code.", no_args_is_help=True)

_PROGRESS_EVERY_S: Final = (30.0, 2.0)  # in a log, on a terminal


@app.callback()
def _sim() -> None:
    """Seeded networks that run the node's own code."""


@app.command("run")
def run(
    seeds: Annotated[str, typer.Option("--seeds", metavar="A..B", help="Seeds to run, both included.")] = "1..20",
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes at a time.")] = 1,
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            help="What goes wrong: calm, swarm, twins, epoch, sync, learning, small_committee, uneven, wan, or an "
            "adversary's name; all: swarm, twins, epoch, sync and learning in turn.",
        ),
    ] = "swarm",
    crypto: Annotated[str, typer.Option("--crypto", help="fast: simulated signatures; real: BLS.")] = "fast",
    trace: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help="Write the story of a single seed, line by line.")
    ] = None,
    output: Output = OutputFormat.HUMAN,
) -> None:
    """Run one world a seed; the same seed gives the same trace hash.

    Exit code 8 if a check does not hold, or if 200 worlds of a profile or more miss something that it is for.
    """
    from flockchain.devnet.shipped_chains import find_shipped_genesis
    from flockchain.sim.swarm import find_missing_marks, run_swarm

    first, last = parse_seeds(seeds)
    if crypto not in ("fast", "real"):
        raise UserMistake("signatures are fast or real", got=crypto)
    if trace is not None and first != last:
        raise UserMistake("a trace is of one seed", got=seeds)
    replay = f"--profile {profile} --crypto {crypto}"
    template = find_shipped_genesis("minimal")
    reports: Iterable[WorldReport] = run_swarm(first, last, template, profile, jobs, crypto, trace)
    if output is OutputFormat.HUMAN:
        reports = _tell(reports, last - first + 1, replay)
    done = list(reports)
    missing = find_missing_marks(done)
    if output is OutputFormat.JSON:
        print_record({**_summarise(done), "missing_marks": missing}, output)
    else:
        _print_summary(done)
    broken = [report.seed for report in done if report.violations]
    if broken:
        sentence = "what must hold did not in every world"
        raise CheckFailed(sentence, worlds=len(broken), replay=f"flockchain sim run --seeds {broken[0]} {replay}")
    if missing:
        raise CheckFailed("so many worlds should have been through more", missing=", ".join(missing))


def parse_seeds(text: str) -> tuple[int, int]:
    """`A..B`, both included, or one number."""
    first, dots, last = text.partition("..")
    try:
        bounds = int(first), int(last if dots else first)
    except ValueError:
        raise UserMistake("seeds are written A..B, both included", got=text) from None
    if bounds[0] < 0 or bounds[1] < bounds[0]:
        raise UserMistake("seeds go from a number to the same or a greater one", got=text)
    return bounds


def _tell(reports: Iterable[WorldReport], total: int, replay: str) -> Iterator[WorldReport]:
    """Pass the reports on, with a line for each violation and, now and then, one that counts."""
    every_s = _PROGRESS_EVERY_S[sys.stderr.isatty()]
    told_s = time.monotonic()
    broken = 0
    for count, report in enumerate(reports, start=1):
        broken += bool(report.violations)
        for violation in report.violations:
            print_note(f"seed {report.seed}: {violation}  (flockchain sim run --seeds {report.seed} {replay})")
        if time.monotonic() - told_s >= every_s:
            told_s = time.monotonic()
            print_note(f"{count} of {total} worlds, {broken} with violations")
        yield report


def _summarise(reports: Sequence[WorldReport]) -> dict[str, object]:
    """Lists in the order of the seeds; a world's height is what all nodes of its healed core have finalized."""
    return {
        "seeds": [report.seed for report in reports],
        "profiles": [report.profile for report in reports],
        "violations": [
            {"seed": report.seed, "violation": violation} for report in reports for violation in report.violations
        ],
        "trace_hashes": [report.trace_hash for report in reports],
        "finalized_heights": [report.height for report in reports],
        "finalized_heights_by_node": [report.finalized_heights for report in reports],
        "marks": _add_up(reports),
    }


def _print_summary(reports: Sequence[WorldReport]) -> None:
    heights = sorted(report.height for report in reports)
    record = {
        "seeds": f"{reports[0].seed}..{reports[-1].seed}",
        "violations": sum(len(report.violations) for report in reports),
        "least height": heights[0],
        "median height": heights[len(heights) // 2],
        "marks": ", ".join(f"{name} {count}" for name, count in _add_up(reports).items()),
    }
    print_record(record, OutputFormat.HUMAN)


def _add_up(reports: Sequence[WorldReport]) -> dict[str, int]:
    """How often each thing that a test wants to see happened, over all worlds."""
    total: dict[str, int] = {}
    for report in reports:
        for name, count in report.marks.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))
