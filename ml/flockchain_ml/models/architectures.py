"""The tiny architectures that can be pre-trained here. A new one is a file and a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from transformers import PretrainedConfig

from flockchain_ml.models import gpt2, llama

__all__ = ["ARCHITECTURES"]

ARCHITECTURES: Final[dict[str, Callable[[int], PretrainedConfig]]] = {
    "llama": llama.build_config,
    "gpt2": gpt2.build_config,
}
