"""What int16 costs a trained update, and what the exact residual check costs a committee member.

Used by `tools.bench.aggregation`. Torch is imported only when a model is trained.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flockchain.exact import compute_aggregate, compute_residuals, encode_update
from flockchain.primitives.learning import AdapterMode, AdapterSpec, ModuleShape
from flockchain.primitives.numbers import Hash

__all__ = ["measure_precision", "measure_residual_check"]

_FEATURES: Final = 4096
_RANK: Final = 16
_UPDATES: Final = 10
_SEED: Final = 7


@dataclass(slots=True)
class _Last:
    """Keeps ΔB of the last step, before it becomes integers."""

    modules: tuple[str, ...]
    deltas: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def record(self, deltas: Mapping[str, NDArray[np.float32]]) -> None:
        self.deltas = {name: values.copy() for name, values in deltas.items()}


def measure_residual_check() -> dict[str, Any]:
    """Processor seconds of a proposal and of its check, for one module of a usual size."""
    from flockchain_ml.aggregation.refactorisation import propose_factors

    spec = AdapterSpec(
        _RANK, 2 * _RANK, AdapterMode.STACK, Hash(bytes(32)), (ModuleShape("m", _FEATURES, _FEATURES, 14, 14),)
    )
    rng = np.random.default_rng(1)
    shapes = {"m.lora_A": (_RANK, _FEATURES), "m.lora_B": (_FEATURES, _RANK)}
    updates = [
        encode_update({name: rng.integers(-3000, 3000, shape).astype(np.int16) for name, shape in shapes.items()}, spec)
        for _ in range(_UPDATES)
    ]
    stack = compute_aggregate(spec, None, updates)
    proposal = propose_factors(spec, [stack])
    return {
        "features": _FEATURES, "rank": _RANK, "updates": _UPDATES,
        "propose_cpu_s": _time(lambda: propose_factors(spec, [stack])),
        "check_cpu_s": _time(lambda: compute_residuals(spec, [stack], proposal)),
    }  # fmt: skip


def measure_precision() -> dict[str, Any]:
    """Train one update of the demonstration's scenario, and compare its floats with its bytes."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from flockchain_ml.experiments.scenario import DEMO
    from flockchain_ml.models import get_tiny_folder, load_model
    from flockchain_ml.tensors import decode_adapter, decode_lineage
    from flockchain_ml.trainer import TrainOrder, train_update

    loaded, scenario = load_model(get_tiny_folder()), replace(DEMO, malicious=0)
    spec = scenario.build_spec(loaded, _SEED)
    last = _Last(tuple(module.name for module in spec.modules))
    order = TrainOrder(
        spec=spec, lineage=(), rows=scenario.build_shard(_SEED, 0), round=0, seed=_SEED, settings=scenario.training
    )
    wire = decode_adapter(train_update(loaded, order, recorder=last).update, spec)
    plain = replace(wire, b=last.deltas)
    errors = {
        name: float(np.linalg.norm((plain.b[name] - wire.b[name]).astype(np.float64) @ wire.a[name])
                    / np.linalg.norm(plain.b[name].astype(np.float64) @ wire.a[name]))
        for name in last.modules
    }  # fmt: skip
    rows = scenario.build_test(_SEED)
    found = {
        name: _measure_model(loaded, spec, adapter, rows)
        for name, adapter in (("base", decode_lineage((), spec)), ("f32", plain), ("int16", wire))
    }
    worst = max(errors, key=lambda name: errors[name])
    return {
        "steps": scenario.training.steps, "rank": spec.rank, "modules": len(spec.modules), "rows": len(rows),
        "b_scale_bits": scenario.b_scale_bits, "loss_base": round(found["base"][0], 6),
        "loss_f32": round(found["f32"][0], 6), "loss_int16": round(found["int16"][0], 6),
        "loss_change": float(f"{found['int16'][0] - found['f32'][0]:.2e}"),
        "accuracy_f32": found["f32"][1], "accuracy_int16": found["int16"][1],
        "accuracy_change": round(found["int16"][1] - found["f32"][1], 6),
        "error_median": statistics.median(errors.values()), "error_worst": errors[worst], "worst_module": worst,
        "error_by_module": {name: float(f"{value:.3e}") for name, value in errors.items()},
    }  # fmt: skip


def _measure_model(loaded: Any, spec: AdapterSpec, adapter: Any, rows: Any) -> tuple[float, float]:
    """Mean loss in nats, and the share of rows answered exactly, with this adapter in."""
    from flockchain_ml.evaluation import compute_match_share
    from flockchain_ml.evaluation.losses import compute_losses
    from flockchain_ml.models import attached_adapters, require_determinism, tokenise_rows

    require_determinism(0, loaded.threads)
    tokens = tokenise_rows(loaded.tokenizer, rows, tokens_max=loaded.tokens_max)
    with attached_adapters(loaded, spec, {"model": adapter.rank}) as slots:
        slots["model"].load(adapter)
        return float(compute_losses(loaded, tokens, 80).mean()), compute_match_share(loaded, rows)


def _time(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return round(statistics.median(times), 3)
