"""`flockchain trainer` and `flockchain evaluator`: verbs of the learning side, found by entry point when asked for.

Knows their names and the group of entry points. The verbs themselves need torch and live in `flockchain_ml.worker`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from flockchain.cli.exit_codes import NotInstalled

__all__ = ["ENTRY_POINTS", "NEEDED", "LearningGroup", "evaluator", "load_learning_module", "trainer"]

ENTRY_POINTS: Final = "flockchain.cli"
NEEDED: Final = ("torch", "transformers", "peft")
_WORKER: Final = "flockchain_ml.worker"


class LearningGroup(TyperGroup):
    """A noun whose verbs are loaded when one of them is looked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return self._load().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self._load().get_command(ctx, cmd_name)

    def _load(self) -> TyperGroup:
        require_learning_side(self.name or "")
        for found in entry_points(group=ENTRY_POINTS, name=self.name or ""):
            verbs: typer.Typer = found.load()
            verbs.rich_markup_mode = None
            group = get_group(verbs)
            self.commands = group.commands
            return group
        raise NotInstalled("no installed package offers this verb", verb=self.name, group=ENTRY_POINTS)


def load_learning_module(name: str) -> Any:
    """A module of the learning side by name, for a verb that cannot do without it. Raises `NotInstalled`."""
    require_learning_side(name)
    return import_module(f"{_WORKER}.{name}")


def require_learning_side(verb: str) -> None:
    """Raise `NotInstalled` unless what the learning side needs is here. Imports nothing of it."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise NotInstalled("this verb needs the learning side", verb=verb, missing=", ".join(missing))


trainer = typer.Typer(name="trainer", help="Train a task's model for a reward.", cls=LearningGroup)
evaluator = typer.Typer(name="evaluator", help="Judge updates for a validator.", cls=LearningGroup)


@trainer.callback()
def _trainer() -> None:
    """Train a task's model for a reward."""


@evaluator.callback()
def _evaluator() -> None:
    """Judge updates for a validator."""
