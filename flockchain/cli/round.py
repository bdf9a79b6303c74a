"""`flockchain round`: how a round of a task goes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flockchain.cli.connection import HomeOption, NodeOption, connect
from flockchain.cli.output import Output, OutputFormat, print_record, print_rows, to_plain
from flockchain.cli.task import TaskArgument

__all__ = ["app", "show"]

app = typer.Typer(name="round", help="Rounds: who submitted, who judged, what was found.", no_args_is_help=True)


@app.command("show")
def show(
    task: TaskArgument,
    number: Annotated[int | None, typer.Argument(metavar="[ROUND]", min=0, help="[default: the current one]")] = None,
    home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """One round: its phase, its updates and their verdicts."""
    with connect(node, home) as client:
        record = client.rounds.get(task, number)
    if output is OutputFormat.JSON:
        print_record(record, output)
        return
    plain: Any = to_plain(record)
    lists = ("updates", "committee", "audit_positions", "commits", "reveals", "verdicts", "certified")
    counts = {name: len(plain[name]) for name in ("updates", "committee", "commits", "reveals")}
    print_record({name: value for name, value in plain.items() if name not in lists} | counts, output)
    typer.echo("")
    verdicts = {(verdict["trainer"], verdict["blob"]): verdict for verdict in plain["verdicts"]}
    rows = [update | verdicts.get((update["trainer"], update["blob"]), {}) for update in plain["updates"]]
    print_rows(rows, ["trainer", "size_bytes", "median_score", "reputation", "reason"], output, empty="no updates")
