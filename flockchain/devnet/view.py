"""What a person sees of a running devnet: where the nodes are, how the rounds go, and the table at the end.

Knows rich and the snapshot below. Asks nobody anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

__all__ = ["LiveView", "NodeSeen", "RoundSeen", "Snapshot", "render_snapshot", "render_summary"]

WIDTH = 80
_REDRAWS_PER_S = 4


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """One node, as it last answered; `height` is None while it does not."""

    name: str
    api: str
    height: int | None
    view: int
    peers: int


@dataclass(frozen=True, slots=True)
class RoundSeen:
    """One round, as finalized state has it."""

    number: int
    phase: str
    updates: int
    updates_max: int
    commits: int
    reveals: int
    committee: int
    accepted: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is shown at one moment."""

    title: str
    step: str
    elapsed_s: int
    nodes: tuple[NodeSeen, ...] = ()
    rounds: tuple[RoundSeen, ...] = field(default=())


def render_snapshot(snapshot: Snapshot) -> RenderableType:
    """The moment as a renderable of at most 80 columns."""
    minutes, seconds = divmod(snapshot.elapsed_s, 60)
    head = Text(f"{snapshot.title}  {minutes}:{seconds:02d}  {snapshot.step}", overflow="ellipsis", no_wrap=True)
    parts: list[RenderableType] = [head]
    if snapshot.nodes:
        parts.append(_render_nodes(snapshot.nodes))
    if snapshot.rounds:
        parts.append(_render_rounds(snapshot.rounds))
    return Group(*parts)


def render_summary(report: Mapping[str, object]) -> RenderableType:
    """The table at the end, from the report."""
    table = Table(title="devnet", width=WIDTH, show_header=False)
    table.add_column("figure", ratio=2)
    table.add_column("value", ratio=1, justify="right")
    for name, value in _list_figures(report):
        table.add_row(name, value)
    return table


class LiveView:
    """Redraws the snapshot in place on a terminal; on a pipe, prints a line when the step changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=_REDRAWS_PER_S, transient=True)
        self._last_line = ""

    def __enter__(self) -> LiveView:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Draw the moment."""
        if self._console.is_terminal:
            self._live.update(render_snapshot(snapshot))
            return
        line = _describe(snapshot)
        if line != self._last_line:
            self._console.print(f"{snapshot.elapsed_s:4d} s  {line}", highlight=False, soft_wrap=True)
            self._last_line = line


def _describe(snapshot: Snapshot) -> str:
    if not snapshot.rounds:
        return snapshot.step
    last = snapshot.rounds[-1]
    return f"{snapshot.step}: round {last.number} {last.phase}, {last.updates}/{last.updates_max} updates"


def _render_nodes(nodes: Sequence[NodeSeen]) -> Table:
    table = Table(width=WIDTH, box=None, pad_edge=False)
    for name, ratio in (("node", 3), ("API", 4), ("height", 2), ("view", 2), ("peers", 2)):
        table.add_column(name, justify="left" if ratio > 2 else "right", ratio=ratio)
    for node in nodes:
        where = (str(node.height), str(node.view), str(node.peers)) if node.height is not None else ("-", "-", "-")
        table.add_row(node.name, node.api, *where)
    return table


def _render_rounds(rounds: Sequence[RoundSeen]) -> Table:
    table = Table(width=WIDTH, box=None, pad_edge=False)
    for name in ("round", "phase", "updates", "commits", "reveals", "accepted", "rejected"):
        table.add_column(name, justify="left" if name == "phase" else "right", ratio=1)
    for seen in rounds:
        is_judged = seen.accepted + seen.rejected > 0
        table.add_row(
            str(seen.number),
            seen.phase,
            f"{seen.updates}/{seen.updates_max}",
            f"{seen.commits}/{seen.committee}" if seen.committee else "-",
            f"{seen.reveals}/{seen.committee}" if seen.committee else "-",
            str(seen.accepted) if is_judged else "-",
            str(seen.rejected) if is_judged else "-",
        )
    return table


def _list_figures(report: Mapping[str, object]) -> list[tuple[str, str]]:
    chain = _section(report, "chain")
    model = _section(report, "model")
    rounds = report.get("rounds")
    advanced = [item for item in rounds if item.get("advanced")] if isinstance(rounds, list) else []
    finality = _section(chain, "finality_ms")
    return [
        ("validators", str(chain.get("validators"))),
        ("blocks finalized", str(chain.get("height"))),
        ("views, of which nullified", f"{chain.get('views')}, {chain.get('nullified_views')}"),
        ("equal state roots on all nodes", "yes" if chain.get("state_roots_equal") else "NO"),
        ("finality p50 / p99, ms", f"{finality.get('p50')} / {finality.get('p99')}"),
        ("blocks per second", str(chain.get("blocks_per_s"))),
        ("rounds advanced by certificate", f"{len(advanced)} of {len(rounds) if isinstance(rounds, list) else 0}"),
        ("accuracy: with votes / undefended", _pair(model, "accuracy", "accuracy_undefended")),
        ("accuracy: best isolated trainer", _share(model.get("accuracy_isolated_best"))),
        (
            "attack success: with votes / undefended",
            _pair(model, "attack_success_rate", "attack_success_rate_undefended"),
        ),
    ]


def _section(report: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = report.get(name)
    return section if isinstance(section, Mapping) else {}


def _pair(model: Mapping[str, object], first: str, second: str) -> str:
    return f"{_share(model.get(first))} / {_share(model.get(second))}"


def _share(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "-"
