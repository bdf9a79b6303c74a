"""Adapters of several clients on one base, for one forward and one backward that serve them all.

The trained tensors of all clients are one matrix with a line a client, so that an optimiser is elementwise over it.
Every product of a client's tokens with its own tensors is made by itself: others change neither its shape nor its bits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.models.adapters import require_fit
from flockchain_ml.models.loader import LoadedModel
from flockchain_ml.tensors import Adapter, FloatArray

__all__ = ["Stack", "attached_stack"]


@dataclass(slots=True)
class Stack:
    """The clients' adapters. `values`, `gradients`: [clients, trained numbers]; `tensors`, `slopes`: parts of them.

    A part has its wire name ("q_proj.lora_B") and is [clients, ...]. `held`: B that differ from client to client and
    are not trained. `tokens`: how many of the flattened inputs are each client's; set it before every forward.
    """

    values: Tensor
    gradients: Tensor
    tensors: dict[str, Tensor]
    slopes: dict[str, Tensor]
    held: dict[str, Tensor]
    frozen_a: dict[str, Tensor]
    tokens: list[int] = field(default_factory=list)

    def get_tensor(self, name: str) -> Tensor:
        """A tensor of all clients, trained or held."""
        return self.tensors[name] if name in self.tensors else self.held[name]

    def read(self, name: str, client: int) -> FloatArray:
        """A copy of one tensor of one client."""
        values: FloatArray = self.get_tensor(name)[client].detach().cpu().numpy().copy()
        return values

    def move(self, client: int, change: Mapping[str, FloatArray]) -> None:
        """Add a change to a client's tensors."""
        with torch.no_grad():
            for name, values in change.items():
                tensor = self.get_tensor(name)
                tensor[client].add_(torch.from_numpy(values).to(tensor.device))


@contextmanager
def attached_stack(
    loaded: LoadedModel,
    spec: AdapterSpec,
    start: Adapter,
    *,
    clients: int,
    below: Adapter | None = None,
    held: Collection[str] = (),
) -> Iterator[Stack]:
    """Put `clients` adapters on the base, all at this start, and take them off again at the end.

    FFA trains B, STACK trains A and B. `below`: an adapter under all of them, not trained. Raises `AdapterUnfit`.
    """
    require_fit(loaded, spec)
    stack = _build_stack(start, spec, clients, frozenset(held), loaded.device)
    layers = dict(loaded.model.named_modules())
    hooks = []
    try:
        for module in spec.modules:
            under = None if below is None else _load_pair(below, module.name, loaded.device)
            hook = _build_hook(stack, module.name, spec.alpha / spec.rank, under)
            hooks.append(layers[module.name].register_forward_hook(hook))
        yield stack
    finally:
        for hook in hooks:
            hook.remove()


def _build_stack(start: Adapter, spec: AdapterSpec, clients: int, held: frozenset[str], device: str) -> Stack:
    arrays = {f"{name}.lora_B": values for name, values in start.b.items()}
    frozen_a: dict[str, Tensor] = {}
    if spec.mode is AdapterMode.STACK:
        arrays |= {f"{name}.lora_A": values for name, values in start.a.items()}
    else:
        frozen_a = {f"{name}.lora_A": torch.from_numpy(values.copy()).to(device) for name, values in start.a.items()}
    tensors = {name: torch.from_numpy(values.copy()).to(device) for name, values in arrays.items()}
    fixed = {
        name: tensors.pop(name)[None].repeat(clients, *(1 for _ in arrays[name].shape))
        for name in sorted(held & set(tensors))
    }
    values = torch.cat([tensor.flatten() for tensor in tensors.values()])[None].repeat(clients, 1)
    gradients = torch.zeros_like(values)
    values.grad = gradients  # which backward writes itself
    parts, slopes = (
        {
            name: part.view(clients, *tensor.shape)
            for (name, tensor), part in zip(
                tensors.items(), whole.split([tensor.numel() for tensor in tensors.values()], dim=1), strict=True
            )
        }
        for whole in (values, gradients)
    )
    for part in parts.values():
        part.requires_grad_(True)
    return Stack(values, gradients, parts, slopes, fixed, frozen_a)


def _load_pair(adapter: Adapter, name: str, device: str) -> tuple[Tensor, Tensor]:
    a, b = (torch.from_numpy(part[name].copy()).to(device) for part in (adapter.a, adapter.b))
    return a, b


def _build_hook(stack: Stack, name: str, scale: float, under: tuple[Tensor, Tensor] | None) -> Any:
    inner, outer = f"{name}.lora_A", f"{name}.lora_B"
    a = None if inner in stack.frozen_a else _build_weights(stack, inner)
    b = _build_weights(stack, outer)
    multiply: Any = _PerClient.apply

    def add(_: Any, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        inputs = arguments[0]
        if under is not None:
            output = output + functional.linear(functional.linear(inputs, under[0]), under[1]) * scale
        if a is None:
            narrow = functional.linear(inputs, stack.frozen_a[inner])
        else:
            narrow = multiply(None, inputs, a.whole, a, 1.0, stack.tokens)
        result: Tensor = multiply(output, narrow, b.whole, b, scale, stack.tokens)
        return result

    return add


@dataclass(frozen=True, slots=True)
class _Weights:
    """One tensor of all clients, and for each client: it, it turned, and its gradient, or none where it is held."""

    whole: Tensor
    own: tuple[Tensor, ...]
    turned: tuple[Tensor, ...]
    slopes: tuple[Tensor, ...] | None


def _build_weights(stack: Stack, name: str) -> _Weights:
    whole = stack.get_tensor(name)
    slopes = stack.slopes[name].unbind() if name in stack.slopes else None
    own = whole.detach()
    return _Weights(whole, own.unbind(), own.mT.unbind(), slopes)


class _PerClient(torch.autograd.Function):
    """base + scale · inputs · weightsᵀ, each client's tokens by its own weights; no base: the product alone.

    Backward adds the weights' gradient to their slopes in place. `whole` tells autograd that there is something to do.
    """

    @staticmethod
    def forward(
        ctx: Any, base: Tensor | None, inputs: Tensor, whole: Tensor, weights: _Weights, scale: float,
        tokens: list[int],
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(inputs)
        ctx.weights, ctx.scale, ctx.tokens = weights, scale, tokens
        result = inputs.new_empty((*inputs.shape[:-1], whole.shape[1]))
        outs, own = _split(result, tokens), _split(inputs, tokens)
        if base is None:
            for out, mine, turned in zip(outs, own, weights.turned, strict=True):
                torch.mm(mine, turned, out=out)
        else:
            for out, under, mine, turned in zip(outs, _split(base, tokens), own, weights.turned, strict=True):
                torch.addmm(under, mine, turned, alpha=scale, out=out)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inputs,) = ctx.saved_tensors
        gradient, scale, tokens, weights = gradients[0], ctx.scale, ctx.tokens, ctx.weights
        arriving = _split(gradient.contiguous(), tokens)
        if weights.slopes is not None:
            for slope, above, mine in zip(weights.slopes, arriving, _split(inputs, tokens), strict=True):
                slope.addmm_(above.t(), mine, alpha=scale)
        to_inputs = None
        if ctx.needs_input_grad[1]:
            to_inputs = inputs.new_empty(inputs.shape)
            for below, above, own in zip(_split(to_inputs, tokens), arriving, weights.own, strict=True):
                torch.addmm(below, above, own, beta=0, alpha=scale, out=below)
        return gradient if ctx.needs_input_grad[0] else None, to_inputs, None, None, None, None


def _split(tensor: Tensor, tokens: list[int]) -> tuple[Tensor, ...]:
    """The clients' parts of what has a line of numbers for every token."""
    parts: tuple[Tensor, ...] = torch.split_with_sizes(tensor.reshape(-1, tensor.shape[-1]), tokens)
    return parts
