"""How good a model is, and how well an attack took: shares of prompts answered exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.attacks import Attack, Success
from flockchain_ml.models import (
    LoadedModel,
    attached_adapters,
    build_batch,
    compute_matches,
    require_determinism,
    tokenise_rows,
)
from flockchain_ml.rows import Row
from flockchain_ml.tensors import decode_lineage

__all__ = ["Measures", "compute_lost_share", "compute_match_share", "measure_lineage"]

_BATCH_ROWS = 80


@dataclass(frozen=True, slots=True)
class Measures:
    """Shares between 0 and 1. `attack_success_rate` is 0.0 for attacks without probe rows: see `compute_lost_share`."""

    accuracy: float
    accuracy_by_domain: dict[str, float]
    attack_success_rate: float


def measure_lineage(
    loaded: LoadedModel, spec: AdapterSpec, lineage: Sequence[bytes], rows: Sequence[Row], attack: Attack | None
) -> Measures:
    """Measure the model that a lineage makes; the bare base before the first aggregate."""
    require_determinism(0, loaded.threads)
    if not lineage and spec.mode is AdapterMode.STACK:
        return _measure(loaded, rows, attack)
    adapter = decode_lineage(lineage, spec)
    with attached_adapters(loaded, spec, {"model": adapter.rank}) as slots:
        slots["model"].load(adapter)
        return _measure(loaded, rows, attack)


def compute_match_share(loaded: LoadedModel, rows: Sequence[Row]) -> float:
    """The share of rows that greedy decoding answers exactly; 0.0 without rows."""
    matches = _compute_row_matches(loaded, rows)
    return sum(matches) / len(matches) if matches else 0.0


def compute_lost_share(attacked: Measures, clean: Measures) -> float:
    """The success of an untargeted attack: the share of accuracy that it cost, against the same run without it."""
    return 1 - attacked.accuracy / clean.accuracy if clean.accuracy else 0.0


def _measure(loaded: LoadedModel, rows: Sequence[Row], attack: Attack | None) -> Measures:
    matches = _compute_row_matches(loaded, rows)
    by_domain: dict[str, list[bool]] = {}
    for row, is_match in zip(rows, matches, strict=True):
        by_domain.setdefault(row.domain, []).append(is_match)
    return Measures(
        accuracy=sum(matches) / len(matches) if matches else 0.0,
        accuracy_by_domain={domain: sum(found) / len(found) for domain, found in sorted(by_domain.items())},
        attack_success_rate=_compute_success_rate(loaded, rows, attack) if attack else 0.0,
    )


def _compute_success_rate(loaded: LoadedModel, rows: Sequence[Row], attack: Attack) -> float:
    probes = attack.build_probe_rows(rows)
    share = compute_match_share(loaded, probes)
    return 1 - share if attack.success is Success.UNREFUSED and probes else share


def _compute_row_matches(loaded: LoadedModel, rows: Sequence[Row]) -> list[bool]:
    if not rows:
        return []
    tokens = tokenise_rows(loaded.tokenizer, rows, tokens_max=loaded.tokens_max)
    found: list[bool] = []
    with torch.no_grad():
        for start in range(0, len(tokens), _BATCH_ROWS):
            batch = build_batch(tokens[start : start + _BATCH_ROWS], pad=loaded.pad, device=loaded.device)
            found += [bool(value) for value in compute_matches(loaded.model, batch).cpu()]
    return found
