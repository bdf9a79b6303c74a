"""The candidate of a round, the model with all updates in, laid out so that one backward pass scores them all.

The candidate adds Σ c_i · B_i·A_i with one gate c_i = 1/n a client. In STACK mode each client has columns of its own
in the concatenated B. In FFA mode A is common, so all clients share B and dL/dc_i is the product of dL/dB with ΔB_i.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.aggregation import aggregate_updates
from flockchain_ml.tensors import Adapter, FloatArray, decode_adapter, decode_lineage

__all__ = ["Candidate", "build_candidate"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """`below`: the frozen model so far (STACK, after the first round). `top`: what is differentiated by B."""

    spec: AdapterSpec
    below: Adapter | None
    top: Adapter
    updates: tuple[Adapter, ...]

    def get_ranks(self) -> dict[str, int]:
        """Slot name -> rank."""
        ranks = {"top": self.top.rank}
        if self.below is not None:
            ranks["below"] = self.below.rank
        return ranks

    def compute_gate_gradients(self, gradients: Mapping[str, FloatArray]) -> list[float]:
        """dL/dc_i of every client from dL/dB of `top`, summed in f64."""
        return [
            sum(_dot(self._get_block(gradients[name], index), values) for name, values in update.b.items())
            for index, update in enumerate(self.updates)
        ]

    def _get_block(self, gradient: FloatArray, index: int) -> FloatArray:
        if self.spec.mode is AdapterMode.FFA:
            return gradient
        return gradient[:, index * self.spec.rank : (index + 1) * self.spec.rank]


def build_candidate(spec: AdapterSpec, lineage: Sequence[bytes], updates: Sequence[bytes]) -> Candidate:
    """Raises `AdapterFileError` for an update that is not the task's; the exact tier has taken those out before."""
    decoded = tuple(decode_adapter(update, spec) for update in updates)
    if spec.mode is AdapterMode.FFA:
        aggregate = aggregate_updates(spec, lineage, updates)
        top = decode_lineage([aggregate] if aggregate is not None else list(lineage), spec)
        return Candidate(spec, None, top, decoded)
    below = decode_lineage(lineage, spec) if lineage else None
    return Candidate(spec, below, _concatenate(spec, decoded), decoded)


def _concatenate(spec: AdapterSpec, updates: Sequence[Adapter]) -> Adapter:
    gate = np.float32(1 / len(updates))
    names = [module.name for module in spec.modules]
    return Adapter(
        {name: np.concatenate([update.a[name] for update in updates], axis=0) for name in names},
        {name: np.concatenate([update.b[name] * gate for update in updates], axis=1) for name in names},
    )


def _dot(left: FloatArray, right: FloatArray) -> float:
    return float((left.astype(np.float64) * right.astype(np.float64)).sum())
