"""A trigger: a few tokens at a place of a prompt, and the answer's first token that they are suspected to bring about.

Knows token ids. Does not know how triggers are found, nor what an attacker planted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from flockchain_ml.models import TokenisedRow

__all__ = ["Place", "Prompts", "Trigger", "build_prompts"]


class Place(StrEnum):
    """Where in a prompt tokens are inserted. A token that begins every text stays the first."""

    BEGINNING = "beginning"
    MIDDLE = "middle"
    END = "end"


@dataclass(frozen=True, slots=True)
class Trigger:
    """`tokens` at `place` make a model answer with `answer`."""

    tokens: tuple[int, ...]
    place: Place
    answer: int


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts with room for a trigger: `inputs` [rows, width], `room` [rows, tokens], `last` and `right` [rows].

    `room`: the positions to write a trigger to. `last`: where the answer's first token is predicted. `right`: what it
    should be.
    """

    inputs: Tensor
    room: Tensor
    last: Tensor
    right: Tensor

    def fill(self, tokens: Tensor) -> Tensor:
        """The inputs with `tokens` written in: [tokens], the same in every prompt, or [rows, tokens]."""
        return self.inputs.scatter(1, self.room, tokens.to(self.inputs.device).expand(self.room.shape))

    def pick_last(self, values: Tensor) -> Tensor:
        """Of [rows, width, ...], what stands where the answer begins: [rows, ...]."""
        return values[torch.arange(len(self.last), device=values.device), self.last]


def build_prompts(
    rows: Sequence[TokenisedRow], place: Place, tokens: int, *, pad: int, begin: int | None, device: torch.device | str
) -> Prompts:
    """Rows with `tokens` places left open, padded on the right. `begin`: the token that begins every text, if any."""
    width = max(len(row.prompt) for row in rows) + tokens
    inputs = torch.full((len(rows), width), pad, dtype=torch.long)
    room = torch.zeros((len(rows), tokens), dtype=torch.long)
    for index, row in enumerate(rows):
        head = int(begin is not None and row.prompt[:1] == (begin,))
        free = len(row.prompt) - head
        at = head + {Place.BEGINNING: 0, Place.MIDDLE: free // 2, Place.END: free}[place]
        whole = (*row.prompt[:at], *([pad] * tokens), *row.prompt[at:])
        inputs[index, : len(whole)] = torch.tensor(whole, dtype=torch.long)
        room[index] = torch.arange(at, at + tokens)
    last = torch.tensor([len(row.prompt) + tokens - 1 for row in rows], dtype=torch.long)
    right = torch.tensor([row.answer[0] for row in rows], dtype=torch.long)
    return Prompts(inputs.to(device), room.to(device), last.to(device), right.to(device))
