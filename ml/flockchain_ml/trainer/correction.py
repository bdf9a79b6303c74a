"""What an aggregation rule asks of a training: a leash to the start (FedProx) or a correction of every step (SCAFFOLD).

A step is whatever the optimiser makes of the gradient: the control variate corrects it after it is taken, by the rate
of that step. Knows parameters and an order; no optimiser and no rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from flockchain_ml.trainer.order import TrainOrder

__all__ = ["Correction", "build_correction"]


@dataclass(frozen=True, slots=True)
class Correction:
    """`trained` by wire name; `anchors` where they started; `control` for those that have one."""

    trained: Mapping[str, Parameter]
    anchors: Mapping[str, Tensor]
    mu: float
    control: Mapping[str, Tensor]

    def add_to(self, loss: Tensor) -> Tensor:
        """The loss with mu/2 · |w - start|²; the loss itself without mu."""
        if not self.mu:
            return loss
        squares = [(self.trained[name] - anchor).square().sum() for name, anchor in self.anchors.items()]
        return loss + self.mu / 2 * torch.stack(squares).sum()

    def apply(self, rate: float) -> None:
        """Correct the step that was just taken at this rate."""
        with torch.no_grad():
            for name, values in self.control.items():
                self.trained[name].sub_(values, alpha=rate)


def build_correction(trained: Mapping[str, Parameter], order: TrainOrder) -> Correction | None:
    """What the order asks for; None if nothing. Call it before the first step."""
    if order.proximal_mu is None and order.control is None:
        return None
    mu = order.proximal_mu or 0.0
    anchors = {name: parameter.detach().clone() for name, parameter in trained.items()} if mu else {}
    control = {
        f"{name}.lora_B": torch.from_numpy(values.copy()).to(trained[f"{name}.lora_B"].device)
        for name, values in (order.control or {}).items()
        if f"{name}.lora_B" in trained
    }
    return Correction(trained, anchors, mu, control)
