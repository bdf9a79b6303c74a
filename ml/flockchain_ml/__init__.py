"""The learning side of flockchain: data, models, training, evaluation, attacks and experiments.

Knows torch and tensors; of the chain it knows only the records of `flockchain.primitives` and the integer
arithmetic of `flockchain.exact`. The chain never imports it.
"""

from __future__ import annotations

__all__: list[str] = []
