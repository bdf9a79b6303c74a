"""The report of a devnet: what was measured on the chain and in its rounds, as one JSON document.

Pure: takes observations, gives a dictionary. The figures of the model come from the learning side, which alone knows
how to measure a model; they are put in as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flockchain.primitives.errors import InvalidInput

__all__ = ["BlockSeen", "build_chain_report", "build_report", "compute_percentile", "write_report"]

MODEL_FIELDS = (
    "accuracy",
    "attack_success_rate",
    "accuracy_undefended",
    "attack_success_rate_undefended",
    "accuracy_isolated_best",
)


class ModelReportIncomplete(InvalidInput):
    """The learning side left out a figure."""


@dataclass(frozen=True, slots=True)
class BlockSeen:
    """A finalized block as a reader of a node's event stream met it. Times are Unix milliseconds of one machine."""

    height: int
    epoch: int
    view: int
    timestamp_ms: int  # the proposer's
    seen_ms: int | None  # when the stream delivered it; None if it was finalized before anybody listened


def compute_percentile(values: Sequence[int], percent: int) -> int | None:
    """The smallest value that at least `percent` per cent of `values` do not exceed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def build_chain_report(blocks: Sequence[BlockSeen], validators: int, *, state_roots_equal: bool) -> dict[str, object]:
    """`chain` of the report. Finality is from a block's proposal to its arrival, finalized, at a reader."""
    ordered = sorted(blocks, key=lambda block: block.height)
    last_views = {block.epoch: block.view for block in ordered}  # the greatest of each epoch: views rise with heights
    counts: dict[int, int] = {}
    for block in ordered:
        counts[block.epoch] = counts.get(block.epoch, 0) + 1
    views = sum(last_views.values())
    finality = [max(0, block.seen_ms - block.timestamp_ms) for block in ordered if block.seen_ms is not None]
    span_ms = ordered[-1].timestamp_ms - ordered[0].timestamp_ms if len(ordered) > 1 else 0
    return {
        "validators": validators,
        "height": ordered[-1].height if ordered else 0,
        "views": views,
        "nullified_views": views - sum(counts.values()),
        "state_roots_equal": state_roots_equal,
        "finality_ms": {"p50": compute_percentile(finality, 50), "p99": compute_percentile(finality, 99)},
        "blocks_per_s": round((len(ordered) - 1) * 1000 / span_ms, 3) if span_ms else None,
    }


def build_report(
    *,
    chain: Mapping[str, object],
    rounds: Sequence[Mapping[str, object]],
    model: Mapping[str, object],
    participants: Sequence[Mapping[str, object]],
    seed: int,
    versions: Mapping[str, str],
) -> dict[str, object]:
    """The whole report. `model` must have the fields that readers rely on; it may have more."""
    missing = [name for name in MODEL_FIELDS if name not in model]
    if missing:
        raise ModelReportIncomplete("the model's report lacks figures", missing=", ".join(missing))
    return {
        "chain": dict(chain),
        "rounds": [dict(item) for item in rounds],
        "model": dict(model),
        "participants": [dict(item) for item in participants],
        "seed": seed,
        "versions": dict(versions),
    }


def write_report(file: Path, report: Mapping[str, object]) -> None:
    """Write the report where readers find either the old one or the whole new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".part")
    draft.write_text(json.dumps(report, indent=2, sort_keys=False) + "\n", encoding="utf-8")
    draft.replace(file)
