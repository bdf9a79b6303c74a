"""What an aggregation rule asks of a training: a leash to the start (FedProx) or a correction of every step (SCAFFOLD).

A step is whatever the optimiser makes of the gradient: the control variate corrects it after it is taken, by the rate
of that step. Both are elementwise, so that clients with different terms train together. Knows no optimiser and no rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flockchain_ml.models import Stack
from flockchain_ml.trainer.order import TrainOrder

__all__ = ["Correction", "build_correction"]


@dataclass(frozen=True, slots=True)
class Correction:
    """`anchors`: where the clients started; `mu` [clients, 1]; `control` as the stack's values. None: nobody asks."""

    stack: Stack
    anchors: Tensor
    mu: Tensor | None
    control: Tensor | None

    def add_leash(self) -> None:
        """Add the gradient of mu/2 · |w - start|²."""
        if self.mu is not None:
            self.stack.gradients.add_(self.mu * (self.stack.values - self.anchors))

    def apply(self, rate: float) -> None:
        """Correct the step that was just taken at this rate."""
        if self.control is not None:
            self.stack.values.sub_(self.control, alpha=rate)


def build_correction(stack: Stack, orders: Sequence[TrainOrder]) -> Correction | None:
    """What the clients' orders ask for; None if nothing. Call it before the first step."""
    leashes = [order.proximal_mu or 0.0 for order in orders]
    has_control = any(order.control is not None for order in orders)
    if not any(leashes) and not has_control:
        return None
    mu = torch.tensor(leashes, device=stack.values.device)[:, None] if any(leashes) else None
    control = _build_control(stack, orders) if has_control else None
    return Correction(stack, stack.values.clone(), mu, control)


def _build_control(stack: Stack, orders: Sequence[TrainOrder]) -> Tensor:
    """A client without a control variate, and a tensor that has none, get zeros."""
    parts = []
    for name, tensor in stack.tensors.items():
        part = torch.zeros_like(tensor)
        for at, order in enumerate(orders):
            values = (order.control or {}).get(name.removesuffix(".lora_B"))
            if values is not None:
                part[at] = torch.from_numpy(values.copy())
        parts.append(part.flatten(1))
    return torch.cat(parts, dim=1)
