"""LoRA adapters on a base model, by peft: which layers, their shapes, and setting their weights.

A `Slot` is one named adapter; its A and B are plain parameters that the trainer optimises and the
evaluator differentiates. Knows nothing of fixed point: `tensors.py` and `exact` do that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import Parameter

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.numbers import Hash
from flockchain_ml.models.loader import LoadedModel
from flockchain_ml.tensors import Adapter, FloatArray, build_module_shape

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # imported by peft, it speaks of kernels nobody asked for
from peft import LoraConfig, PeftModel, TaskType  # noqa: E402

__all__ = ["AdapterUnfit", "Slot", "attached_adapters", "build_adapter_spec", "find_linear_modules", "require_fit"]


class AdapterUnfit(InvalidInput):
    """An adapter's shape does not fit the base model."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One adapter of a model. A is [rank, in], B is [out, rank]; the layer adds (alpha / rank) · B·A."""

    rank: int
    a: Mapping[str, Parameter]
    b: Mapping[str, Parameter]

    def load(self, adapter: Adapter) -> None:
        """Copy an adapter's weights in."""
        _copy(self.a, adapter.a)
        _copy(self.b, adapter.b)

    def read(self) -> Adapter:
        """A copy of the weights."""
        return Adapter(_read(self.a), _read(self.b))


def find_linear_modules(model: Any) -> dict[str, tuple[int, int]]:
    """Name -> (out, in) of every linear layer that an adapter may sit on; the output head is none of them."""
    head = model.get_output_embeddings()
    found = {}
    for name, module in model.named_modules():
        shape = _get_linear_shape(module)
        if shape is not None and module is not head:
            found[name] = shape
    return found


def build_adapter_spec(
    loaded: LoadedModel,
    *,
    targets: Sequence[str],
    rank: int,
    alpha: int,
    mode: AdapterMode,
    a_seed: Hash,
    b_scale_bits: int,
) -> AdapterSpec:
    """The spec over every linear layer whose name ends with one of `targets`, e.g. "q_proj"."""
    modules = tuple(
        build_module_shape(name, shape, mode=mode, b_scale_bits=b_scale_bits)
        for name, shape in sorted(find_linear_modules(loaded.model).items())
        if any(name == target or name.endswith("." + target) for target in targets)
    )
    if not modules:
        raise AdapterUnfit("no linear layer of the base has such a name", targets=",".join(targets))
    return AdapterSpec(rank=rank, alpha=alpha, mode=mode, a_seed=a_seed, modules=modules)


@contextmanager
def attached_adapters(loaded: LoadedModel, spec: AdapterSpec, ranks: Mapping[str, int]) -> Iterator[dict[str, Slot]]:
    """Put adapters of these ranks on the base, all active, and take them off again at the end.

    Ranks are multiples of the spec's; the factor alpha / rank of the spec holds for each of them.
    """
    require_fit(loaded, spec)
    names = [module.name for module in spec.modules]
    has_transposed = any(_is_transposed(module) for module in loaded.model.modules())
    wrapped: Any = None
    for slot, rank in ranks.items():
        config = LoraConfig(
            r=rank,
            lora_alpha=spec.alpha * rank // spec.rank,
            target_modules=names,
            lora_dropout=0.0,
            fan_in_fan_out=has_transposed,
            bias="none",
            task_type=TaskType.CAUSAL_LM,
        )
        if wrapped is None:
            wrapped = PeftModel(loaded.model, config, adapter_name=slot)
        else:
            wrapped.add_adapter(slot, config)
    try:
        wrapped.base_model.set_adapter(list(ranks))
        yield {slot: _build_slot(wrapped, spec, slot, rank) for slot, rank in ranks.items()}
    finally:
        wrapped.unload()
        if hasattr(loaded.model, "peft_config"):
            del loaded.model.peft_config


def _build_slot(wrapped: Any, spec: AdapterSpec, slot: str, rank: int) -> Slot:
    layers = dict(wrapped.base_model.model.named_modules())
    a = {module.name: layers[module.name].lora_A[slot].weight for module in spec.modules}
    b = {module.name: layers[module.name].lora_B[slot].weight for module in spec.modules}
    for parameter in (*a.values(), *b.values()):
        parameter.requires_grad_(False)
    return Slot(rank, a, b)


def _copy(parameters: Mapping[str, Parameter], arrays: Mapping[str, FloatArray]) -> None:
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(np.array(arrays[name])))


def _read(parameters: Mapping[str, Parameter]) -> dict[str, FloatArray]:
    return {name: value.detach().cpu().numpy().copy() for name, value in parameters.items()}


def require_fit(loaded: LoadedModel, spec: AdapterSpec) -> None:
    """Refuse an adapter whose layers are not the base's. Raises `AdapterUnfit`."""
    found = find_linear_modules(loaded.model)
    for module in spec.modules:
        if found.get(module.name) != (module.out_features, module.in_features):
            raise AdapterUnfit(
                "the base has no such layer",
                name=module.name,
                wanted=(module.out_features, module.in_features),
                found=found.get(module.name),
            )


def _get_linear_shape(module: Any) -> tuple[int, int] | None:
    if isinstance(module, torch.nn.Linear):  # bitsandbytes' linear layers are subclasses
        return module.out_features, module.in_features
    if _is_transposed(module):
        return int(module.weight.shape[1]), int(module.weight.shape[0])
    return None


def _is_transposed(module: Any) -> bool:
    """Whether this is GPT-2's linear layer, whose weight is [in, out]."""
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf")
