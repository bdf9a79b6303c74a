"""The view fits 80 columns and says what is going on, on a terminal and on a pipe."""

from __future__ import annotations

import io

from rich.console import Console

from flockchain.devnet.view import LiveView, NodeSeen, RoundSeen, Snapshot, render_snapshot, render_summary

SNAPSHOT = Snapshot(
    title="devnet-7", step="rounds are running", elapsed_s=75,
    nodes=tuple(NodeSeen(f"validator-{at}", "127.0.0.1:9701", 12 if at else None, 14, 3) for at in range(4)),
    rounds=(RoundSeen(0, "advanced", 8, 8, 4, 4, 4, 5, 3), RoundSeen(1, "submit", 2, 8, 0, 0, 0, 0, 0)),
)  # fmt: skip


def _draw(renderable: object) -> list[str]:
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    console.print(renderable)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_a_snapshot_fits_eighty_columns_and_names_every_node_and_round() -> None:
    lines = _draw(render_snapshot(SNAPSHOT))
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "1:15" in text
    assert all(f"validator-{at}" in text for at in range(4))
    assert "advanced" in text
    assert "2/8" in text


def test_a_pipe_gets_a_line_only_when_something_changed() -> None:
    sink = io.StringIO()
    with LiveView(Console(width=80, file=sink, force_terminal=False)) as view:
        view.show(SNAPSHOT)
        view.show(SNAPSHOT)
    assert sink.getvalue().splitlines() == ["  75 s  rounds are running: round 1 submit, 2/8 updates"]


def test_the_summary_shows_the_figures_of_the_report() -> None:
    report = {
        "chain": {"validators": 4, "height": 90, "views": 95, "nullified_views": 5, "state_roots_equal": False,
                  "finality_ms": {"p50": 40, "p99": 90}, "blocks_per_s": 3.5},
        "rounds": [{"advanced": True}, {"advanced": False}],
        "model": {"accuracy": 0.81, "accuracy_undefended": 0.8, "attack_success_rate": 0.02,
                  "attack_success_rate_undefended": 0.7, "accuracy_isolated_best": 0.63},
    }  # fmt: skip
    text = "\n".join(_draw(render_summary(report)))
    for shown in ("95, 5", "NO", "40 / 90", "1 of 2", "0.810 / 0.800", "0.630", "0.020 / 0.700"):
        assert shown in text
