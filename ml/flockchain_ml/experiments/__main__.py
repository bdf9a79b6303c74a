"""The experiments: `python -m flockchain_ml.experiments list`, `run NAME`, `tables DIR`.

Parses, runs, prints; decides nothing. The answer goes to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from flockchain.cli.exit_codes import HINTS, ExitCode, UserMistake, get_exit_code
from flockchain.cli.output import Output, OutputFormat, print_error, print_note, print_record, print_rows
from flockchain.primitives.errors import Fault, FlockchainError
from flockchain_ml.experiments.grid import EXPERIMENTS, FIRST_SEED, Choice, build_cells, find_experiment
from flockchain_ml.experiments.runner import Outcome, Plan, run_cells
from flockchain_ml.experiments.tables import DEVNET_FILE, write_tables
from flockchain_ml.models import get_tiny_folder

__all__ = ["CellsFailed", "main"]

app = typer.Typer(
    name="experiments", help="Tables over the same trainer, evaluation, rules and attacks as the network.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip

_INTERRUPTED: Final = int(ExitCode.INTERRUPTED)
_REPORT_FIELDS: Final = ("chain", "rounds")
ReportOption = Annotated[
    Path | None, typer.Option("--devnet-report", metavar="FILE", help="A devnet's report, for what a chain adds.")
]


class CellsFailed(Fault):
    """Some cells gave no result; the others are there."""


@app.command("list")
def list_experiments(output: Output = OutputFormat.HUMAN) -> None:
    """Name the experiments and what each runs unless asked for less."""
    rows = [
        {
            "name": one.name, "sentence": one.sentence, "rules": one.rules, "attacks": one.attacks,
            "ratios": one.ratios, "rounds": one.rounds, "known_rules": one.get_known(),
        }
        for one in EXPERIMENTS.values()
    ]  # fmt: skip
    print_rows(rows, ("name", "sentence"), output, empty="there are no experiments")


@app.command("run")
def run_experiment(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An experiment, or `all`.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Cells, tables and plots; an unfinished one goes on.")
    ],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help=f"How many, from {FIRST_SEED} on.")] = 5,
    seed_list: Annotated[str, typer.Option("--seed-list", metavar="1,2", help="These seeds instead.")] = "",
    rules: Annotated[str, typer.Option("--rules", metavar="A,B", help="Only these.")] = "",
    attacks: Annotated[str, typer.Option("--attacks", metavar="A,B", help="Only these.")] = "",
    ratios: Annotated[str, typer.Option("--ratios", metavar="0,30", help="Only these shares, in per cent.")] = "",
    rounds: Annotated[int, typer.Option("--rounds", min=0, help="Rounds of a run. [0: the experiment's own]")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes, of one thread each.")] = 1,
    base: Annotated[Path | None, typer.Option("--base", metavar="DIR", help="A base model. [the tiny one]")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny settings: does it run? The figures say nothing.")
    ] = False,
    recompute: Annotated[bool, typer.Option("--recompute", help="Compute cells that are there again.")] = False,
    devnet_report: ReportOption = None,
    output: Output = OutputFormat.HUMAN,
) -> None:
    """Run the cells that are not there yet, then write tables.md and the plots."""
    chosen = Choice(
        seeds=_parse_numbers(seed_list, "--seed-list") or tuple(range(FIRST_SEED, FIRST_SEED + seeds)),
        rules=_parse_names(rules), attacks=_parse_names(attacks), ratios=_parse_numbers(ratios, "--ratios") or None,
        rounds=rounds or None, is_quick=quick,
    )  # fmt: skip
    experiments = tuple(EXPERIMENTS.values()) if name == "all" else (find_experiment(name),)
    cells = [cell for experiment in experiments for cell in build_cells(experiment, chosen)]
    if devnet_report is not None:
        _keep_report(devnet_report, out)
    print_note(f"seeds {', '.join(str(seed) for seed in chosen.seeds)}; {len(cells)} cells into {out}")
    plan = Plan(out, base or get_tiny_folder(), jobs, recompute)
    outcome = run_cells(cells, plan, print_note)
    files = write_tables(out, EXPERIMENTS) if outcome.done or outcome.skipped else ()
    print_record(_describe(chosen.seeds, outcome, files), output)
    if outcome.failed:
        raise CellsFailed("cells failed", failed=len(outcome.failed), cells=", ".join(outcome.failed))


@app.command("tables")
def rebuild_tables(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `run --out` was given.")],
    devnet_report: ReportOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Write tables.md and the plots again from the cells that are there."""
    if devnet_report is not None:
        _keep_report(devnet_report, folder)
    files = write_tables(folder, EXPERIMENTS)
    print_record({"files": [str(file) for file in files]}, output)


def main(arguments: Sequence[str]) -> int:
    """One command line; returns the exit code. Only mistakes of our own get out as exceptions."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    is_json = any((name in ("--output", "-o") and value == "json") or name == "--output=json" for name, value in pairs)
    try:
        get_command(app).main(args=list(arguments), prog_name="experiments", standalone_mode=False)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message())
        else:
            message = error.format_message().replace("\n", " ").rstrip(".")
            print_error(RuntimeError(message), hint="experiments --help", is_json=is_json)
        return int(ExitCode.INVALID)
    except (typer.Abort, KeyboardInterrupt):
        print_note("interrupted; the same command goes on from here")
        return _INTERRUPTED
    except (FlockchainError, OSError) as error:
        code = get_exit_code(error)
        if code is ExitCode.INTERNAL:
            raise
        print_error(error, hint=getattr(error, "hint", None) or HINTS.get(code), is_json=is_json)
        return int(code)
    return int(ExitCode.OK)


def _describe(seeds: tuple[int, ...], outcome: Outcome, files: Sequence[Path]) -> dict[str, Any]:
    return {
        "seeds": list(seeds), "done": len(outcome.done), "skipped": len(outcome.skipped),
        "failed": len(outcome.failed), "failures": dict(outcome.failed), "files": [str(file) for file in files],
    }  # fmt: skip


def _keep_report(file: Path, folder: Path) -> None:
    """The report's part that tables are made of, beside the cells."""
    try:
        report = json.loads(file.read_bytes())
        kept = {name: report[name] for name in _REPORT_FIELDS}
    except (ValueError, KeyError, TypeError) as error:
        raise UserMistake("this is no devnet's report", file=file, hint="`make devnet` writes one") from error
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DEVNET_FILE).write_text(json.dumps(kept) + "\n", encoding="utf-8")


def _parse_names(text: str) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in text.split(",") if part.strip()) or None


def _parse_numbers(text: str, option: str) -> tuple[int, ...]:
    parts = _parse_names(text) or ()
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UserMistake("a list of numbers is written 1,2,3", option=option, got=text)
    return tuple(int(part) for part in parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
