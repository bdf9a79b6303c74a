"""`flockchain`: the table of nouns and verbs, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from flockchain.cli import (
    devnet,
    init,
    keys,
    light,
    model,
    round,
    sim,
    stake,
    start,
    state,
    status,
    task,
    tx,
    update,
    workers,
)
from flockchain.cli.exit_codes import HINTS, ExitCode, get_exit_code
from flockchain.cli.output import print_error
from flockchain.primitives.errors import FlockchainError

__all__ = ["app", "main", "run"]

app = typer.Typer(
    name="flockchain",
    help="Fine-tune language models together, on a chain that checks the work.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# A new verb is a file here and a line below.
app.command("init")(init.init)
app.command("start")(start.start)
app.command("status")(status.status)
for _noun in (
    keys.app, tx.app, stake.app, task.app, round.app, update.app, model.app, workers.trainer, workers.evaluator,
    state.app, light.app, devnet.app, sim.app,
):  # fmt: skip
    app.add_typer(_noun)

_INTERRUPTED: Final = int(ExitCode.INTERRUPTED)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"flockchain {version('flockchain')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fine-tune language models together, on a chain that checks the work."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Only mistakes of our own get out as exceptions."""
    is_json = _asks_for_json(arguments)
    try:
        result: Any = get_command(app).main(args=list(arguments), prog_name="flockchain", standalone_mode=False)
    except typer.TyperException as error:
        return _report_usage(error, is_json=is_json)
    except typer.Abort:
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads any more; the interpreter must not complain at its end
        return int(ExitCode.OK)
    except (FlockchainError, OSError) as error:
        code = get_exit_code(error)
        if code is ExitCode.INTERNAL:
            raise
        print_error(error, hint=getattr(error, "hint", None) or HINTS.get(code), is_json=is_json)
        return int(code)
    return result if isinstance(result, int) else int(ExitCode.OK)


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def _report_usage(error: typer.TyperException, *, is_json: bool) -> int:
    """A command line that does not parse: one line, and where its help is."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message)
        return int(ExitCode.INVALID)
    path = context.command_path if context is not None else "flockchain"
    print_error(RuntimeError(message.replace("\n", " ").rstrip(".")), hint=f"{path} --help", is_json=is_json)
    return int(ExitCode.INVALID)


def _asks_for_json(arguments: Sequence[str]) -> bool:
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return any((name in ("--output", "-o") and value == "json") or name == "--output=json" for name, value in pairs)
