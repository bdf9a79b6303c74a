"""A word-level tokenizer over a fixed list of words, in the files that any Hugging Face loader reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

__all__ = ["END", "PAD", "UNKNOWN", "build_tokenizer"]

PAD: Final = "<pad>"
UNKNOWN: Final = "<unk>"
END: Final = "<eos>"


def build_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """One token per distinct word, in ascending order after the special ones."""
    vocabulary = [PAD, UNKNOWN, END, *sorted(set(words))]
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, unk_token=UNKNOWN, eos_token=END)
