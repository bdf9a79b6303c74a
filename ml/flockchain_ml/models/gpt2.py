"""A tiny GPT-2: another architecture, with fused attention and transposed linear layers."""

from __future__ import annotations

from transformers import GPT2Config, PretrainedConfig

__all__ = ["build_config"]


def build_config(vocabulary_size: int) -> PretrainedConfig:
    """Learned positions, `Conv1D` layers, no dropout."""
    return GPT2Config(
        vocab_size=vocabulary_size,
        n_embd=96,
        n_inner=192,
        n_layer=3,
        n_head=4,
        n_positions=128,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )
