"""The guide's table says what the rules' cards say."""

from __future__ import annotations

from pathlib import Path

from flockchain_ml.aggregation import RULES, AggregationRule

GUIDE = Path(__file__).parents[4] / "docs" / "guide" / "aggregation-rules.md"


def build_row(name: str, rule: AggregationRule) -> str:
    card = rule.card
    modes = "" if len(card.modes) == 2 else f" ({' '.join(mode.name for mode in card.modes)} only)"
    told = ", ".join(sorted(kind.value for kind in card.told))
    exact = "yes" if card.is_exact else ""
    cells = [f"`{name}`{modes}", card.paper, told, card.state, card.asks, exact, card.weights]
    return "| " + " | ".join(cell or "–" for cell in cells) + " |"


def test_every_rule_has_its_row_and_every_row_its_rule() -> None:
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("| rule | paper |")) + 2
    rows = lines[start : lines.index("", start)]
    assert rows == [build_row(name, rule) for name, rule in RULES.items()]
