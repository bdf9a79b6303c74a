"""Rows as padded tensors, and the loss of a causal model on their answers.

Only answer tokens and the end token count. Padding is on the right, so causal attention never sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from flockchain.primitives.errors import InvalidInput
from flockchain_ml.rows import Row

__all__ = [
    "IGNORED", "Batch", "RowTooLong", "TokenisedRow", "build_batch", "compute_answer_losses", "compute_matches",
    "tokenise_rows",
]  # fmt: skip

IGNORED: Final = -100  # target of a position that does not count


class RowTooLong(InvalidInput):
    """A row has more tokens than the model or the order allows."""


@dataclass(frozen=True, slots=True)
class TokenisedRow:
    """Token ids of the prompt, then of the answer with the end token."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, slots=True)
class Batch:
    """`inputs` and `targets` are [rows, tokens]; targets are already shifted by one."""

    inputs: Tensor
    targets: Tensor


def tokenise_rows(tokenizer: Any, rows: Sequence[Row], *, tokens_max: int | None) -> tuple[TokenisedRow, ...]:
    """Tokenise each row as prompt, space, answer, end. Raises `RowTooLong` beyond `tokens_max`."""
    prompts = tokenizer([row.prompt for row in rows], add_special_tokens=True)["input_ids"]
    answers = tokenizer([" " + row.answer for row in rows], add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id
    tokenised = []
    for prompt, answer in zip(prompts, answers, strict=True):
        row = TokenisedRow(tuple(prompt), (*answer, end))
        if tokens_max is not None and row.length > tokens_max:
            raise RowTooLong("a row has too many tokens", most=tokens_max, got=row.length)
        tokenised.append(row)
    return tuple(tokenised)


def build_batch(rows: Sequence[TokenisedRow], *, pad: int, device: torch.device | str = "cpu") -> Batch:
    """Pad rows on the right to the longest of them."""
    width = max(row.length for row in rows) - 1
    inputs = torch.full((len(rows), width), pad, dtype=torch.long)
    targets = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    for index, row in enumerate(rows):
        tokens = torch.tensor((*row.prompt, *row.answer), dtype=torch.long)
        inputs[index, : row.length - 1] = tokens[:-1]
        targets[index, len(row.prompt) - 1 : row.length - 1] = tokens[len(row.prompt) :]
    return Batch(inputs.to(device), targets.to(device))


def compute_answer_losses(model: Any, batch: Batch) -> Tensor:
    """Mean negative log likelihood per answer token of each row, in nats, in f32: [rows]."""
    logits = model(input_ids=batch.inputs, use_cache=False).logits.float()
    losses = functional.cross_entropy(
        logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(batch.targets)
    return losses.sum(1) / (batch.targets != IGNORED).sum(1)


def compute_matches(model: Any, batch: Batch) -> Tensor:
    """Whether greedy decoding gives exactly the answer and the end token, for each row: [rows], bool.

    One forward decides it: greedy decoding reproduces the answer if and only if, fed with the answer's
    own tokens, every position's most likely next token is the answer's.
    """
    best: Tensor = model(input_ids=batch.inputs, use_cache=False).logits.argmax(-1)
    return ((best == batch.targets) | (batch.targets == IGNORED)).all(1)
