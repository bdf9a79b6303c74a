"""Load any local Hugging Face causal language model, without network, pickle or remote code."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils import logging as transformers_logging

from flockchain.primitives.errors import Fault
from flockchain.primitives.numbers import Hash
from flockchain_ml.models.folder import FolderRefused, compute_folder_digest

__all__ = ["LoadedModel", "Quantisation", "get_tiny_folder", "load_model"]

_TOKENS_MAX_DEFAULT: Final = 2048


class Quantisation(StrEnum):
    """How a trainer holds the frozen base in memory. Evaluators vote with NONE: f32."""

    NONE = "none"
    INT8 = "int8"
    NF4 = "nf4"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A frozen base model in evaluation mode, its tokenizer, and the digest of the folder they came from."""

    model: Any
    tokenizer: Any
    digest: Hash
    tokens_max: int
    device: str
    threads: int = 1  # that torch computes with

    @property
    def pad(self) -> int:
        token = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if token is None else token)


def get_tiny_folder() -> Path:
    """The tiny pre-trained base that ships with the package."""
    return Path(__file__).parent / "tiny"


def load_model(
    folder: Path, *, quantisation: Quantisation = Quantisation.NONE, device: str = "cpu", expected: Hash | None = None,
    threads: int = 1,
) -> LoadedModel:  # fmt: skip
    """Load the folder's model in f32 (or quantised) with every weight frozen.

    `expected` is the digest that a task fixed; another folder is refused before anything is loaded.
    """
    digest = compute_folder_digest(folder)
    if expected is not None and digest != expected:
        raise FolderRefused("this is not the base model of the task", expected=expected, got=digest)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()  # its advice is for other uses, such as padding on the left
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # for its developers
    arguments: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **arguments)
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            use_safetensors=True,
            dtype=torch.float32,
            quantization_config=_build_quantisation(quantisation),
            device_map={"": device},
            **arguments,
        )
    except (OSError, ValueError, KeyError) as error:
        raise FolderRefused("transformers cannot load this folder", folder=folder, reason=str(error)[:300]) from error
    if tokenizer.eos_token_id is None:
        raise FolderRefused("the tokenizer of a base model has an end token", folder=folder)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if quantisation is Quantisation.NF4 and device == "cpu":
        _keep_full_precision(model)
    tokens_max = int(getattr(model.config, "max_position_embeddings", None) or _TOKENS_MAX_DEFAULT)
    return LoadedModel(model.eval(), tokenizer, digest, tokens_max, device, threads)


def _keep_full_precision(model: Any) -> None:
    """Keep 4-bit layers off bitsandbytes' packed path on some processors: it rounds to bf16 and takes few widths."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _build_quantisation(quantisation: Quantisation) -> BitsAndBytesConfig | None:
    if quantisation is Quantisation.NONE:
        return None
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise Fault("a quantised base needs bitsandbytes", quantisation=quantisation.value) from error
    if quantisation is Quantisation.INT8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
