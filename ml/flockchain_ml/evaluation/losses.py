"""Losses of a model on prompts, in batches, and their gradient: plain f32, the same at every thread count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from flockchain_ml.evaluation.order import OnRows
from flockchain_ml.models import LoadedModel, TokenisedRow, build_batch, compute_answer_losses

__all__ = ["compute_losses", "compute_losses_with_gradient"]


def compute_losses(
    loaded: LoadedModel, rows: Sequence[TokenisedRow], batch_rows: int, on_rows: OnRows | None = None
) -> NDArray[np.float64]:
    """The loss of every row in its order, nats per token."""
    with torch.no_grad():
        return _run(loaded, rows, batch_rows, is_backward=False, on_rows=on_rows)


def compute_losses_with_gradient(
    loaded: LoadedModel, rows: Sequence[TokenisedRow], batch_rows: int, on_rows: OnRows | None = None
) -> NDArray[np.float64]:
    """As `compute_losses`; the gradient of their mean is added to every parameter that asks for one."""
    return _run(loaded, rows, batch_rows, is_backward=True, on_rows=on_rows)


def _run(
    loaded: LoadedModel, rows: Sequence[TokenisedRow], batch_rows: int, *, is_backward: bool, on_rows: OnRows | None
) -> NDArray[np.float64]:
    by_length = sorted(range(len(rows)), key=lambda index: (rows[index].length, index))  # little padding
    losses = np.zeros(len(rows), np.float64)
    for start in range(0, len(rows), batch_rows):
        chosen = by_length[start : start + batch_rows]
        batch = build_batch([rows[index] for index in chosen], pad=loaded.pad, device=loaded.device)
        values = compute_answer_losses(loaded.model, batch)
        if is_backward:
            (values.sum() / len(rows)).backward()
        losses[chosen] = values.detach().cpu().numpy()
        if on_rows is not None:
            on_rows(min(start + batch_rows, len(rows)), len(rows))
    return losses
