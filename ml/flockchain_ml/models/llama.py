"""A tiny Llama: about 300 thousand parameters, tied embeddings."""

from __future__ import annotations

from transformers import LlamaConfig, PretrainedConfig

__all__ = ["build_config"]


def build_config(vocabulary_size: int) -> PretrainedConfig:
    """The configuration of the base that the repository ships."""
    return LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )
