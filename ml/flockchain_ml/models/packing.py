"""Rows of several clients packed for one forward: short rows share a line, and only answers' positions get logits.

A line holds rows of one client only, each attending to itself alone and counting its positions from zero. How a
client's rows lie in its lines follows from them and the width alone, whoever else is in the pack.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from flockchain_ml.models.batches import TokenisedRow, build_batch
from flockchain_ml.models.loader import LoadedModel

__all__ = ["Layout", "Pack", "choose_layout", "compute_client_losses", "is_keeping_rows_apart", "pack_rows"]

_WIDTH_STEP: Final = 32  # tokens that a kernel of attention takes at once
_PROBE_TOKENS: Final = 6
_NOISE: Final = 1e-4  # of a logit; what a leak between rows changes is far larger


@dataclass(frozen=True, slots=True)
class Layout:
    """Tokens to a line, and whether rows share lines; if not, a line is a row with padding on the right."""

    width: int
    is_shared: bool


@dataclass(frozen=True, slots=True)
class Pack:
    """`inputs` [lines, width]; `positions` and `mask` [lines, 1, width, width] are None where every line is one row.

    `answers`: which of the flattened inputs foretell a token that counts; `targets`: those tokens; `shares`: the part
    of each in its client's mean loss. `lines`, `counts`: how many lines and answers each client has, in their order.
    """

    inputs: Tensor
    positions: Tensor | None
    mask: Tensor | None
    answers: Tensor
    targets: Tensor
    shares: Tensor
    lines: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def tokens(self) -> list[int]:
        """How many of the flattened inputs are each client's."""
        return [lines * self.inputs.shape[1] for lines in self.lines]


def choose_layout(rows: Sequence[TokenisedRow], *, is_shared: bool) -> Layout:
    """The layout of a client with these rows, on a base that keeps rows of one line apart or does not."""
    longest = max(row.length for row in rows) - 1
    return Layout(-(-longest // _WIDTH_STEP) * _WIDTH_STEP if is_shared else longest, is_shared)


def pack_rows(clients: Sequence[Sequence[TokenisedRow]], layout: Layout, loaded: LoadedModel) -> Pack:
    """Lay out the rows of each client. They all fit the width."""
    size = layout.width
    lines: list[list[TokenisedRow]] = []
    per_client: list[int] = []
    shares: list[float] = []
    counts: list[int] = []
    for rows in clients:
        own = _fill_lines(rows, size) if layout.is_shared else [[row] for row in rows]
        lines += own
        per_client.append(len(own))
        shares += [1 / (len(row.answer) * len(rows)) for line in own for row in line for _ in row.answer]
        counts.append(sum(len(row.answer) for row in rows))
    inputs = np.full((len(lines), size), loaded.pad, np.int64)
    positions = np.zeros((len(lines), size), np.int64)
    owners = np.zeros((len(lines), size), np.int64)  # which row of the line a token is of; 0: padding
    answers: list[int] = []
    targets: list[int] = []
    for index, line in enumerate(lines):
        at = 0
        for owner, row in enumerate(line, start=1):
            end = at + row.length - 1
            inputs[index, at:end] = (*row.prompt, *row.answer[:-1])
            positions[index, at:end] = range(end - at)
            owners[index, at:end] = owner
            first = index * size + at + len(row.prompt) - 1
            answers += range(first, first + len(row.answer))
            targets += row.answer
            at = end
    device = loaded.device
    return Pack(
        inputs=torch.from_numpy(inputs).to(device),
        positions=torch.from_numpy(positions).to(device) if layout.is_shared else None,
        mask=_build_mask(owners).to(device, loaded.model.dtype) if layout.is_shared else None,
        answers=torch.tensor(answers, device=device), targets=torch.tensor(targets, device=device),
        shares=torch.tensor(shares, device=device), lines=tuple(per_client), counts=tuple(counts),
    )  # fmt: skip


def compute_client_losses(model: Any, pack: Pack) -> Tensor:
    """The mean over a client's rows of the negative log likelihood per answer token, nats, f32: [clients]."""
    arguments = {} if pack.mask is None else {"position_ids": pack.positions, "attention_mask": pack.mask}
    with _only_at(model, pack.answers):
        logits = model(input_ids=pack.inputs, use_cache=False, **arguments).logits
    losses = functional.cross_entropy(logits.flatten(0, 1).float(), pack.targets, reduction="none") * pack.shares
    return torch.stack([part.sum() for part in losses.split(list(pack.counts))])


def is_keeping_rows_apart(loaded: LoadedModel) -> bool:
    """Whether a row behind another one in a line gets the logits that it gets alone, tried on two short rows.

    A recurrent base leaks from row to row. A quantised one is not tried: it may round in view of the whole batch.
    """
    takes_positions = "position_ids" in inspect.signature(loaded.model.forward).parameters
    if getattr(loaded.model, "is_quantized", False) or not takes_positions:
        return False
    first, second = (
        TokenisedRow(tuple((start + at) % loaded.model.config.vocab_size for at in range(_PROBE_TOKENS)), (start,))
        for start in (3, 40)
    )
    alone = build_batch([second], pad=loaded.pad, device=loaded.device)
    pack = pack_rows([[first, second]], Layout(_WIDTH_STEP, is_shared=True), loaded)
    with torch.no_grad():
        wanted = loaded.model(input_ids=alone.inputs, use_cache=False).logits[0]
        got = loaded.model(
            input_ids=pack.inputs, position_ids=pack.positions, attention_mask=pack.mask, use_cache=False
        ).logits[0, _PROBE_TOKENS : 2 * _PROBE_TOKENS]
    return bool((wanted - got).abs().max() <= _NOISE * wanted.abs().max())


def _fill_lines(rows: Sequence[TokenisedRow], width: int) -> list[list[TokenisedRow]]:
    """Longest first, each into the first line that has room."""
    lines: list[list[TokenisedRow]] = []
    room: list[int] = []
    for row in sorted(rows, key=lambda row: -row.length):
        need = row.length - 1
        at = next((index for index, free in enumerate(room) if free >= need), None)
        if at is None:
            lines.append([row])
            room.append(width - need)
        else:
            lines[at].append(row)
            room[at] -= need
    return lines


def _build_mask(owners: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
    """What is added to the attention's scores: nothing within a row and backwards, else minus infinity."""
    size = owners.shape[1]
    seen = (owners[:, :, None] == owners[:, None, :]) & np.tri(size, dtype=np.bool_)
    return torch.from_numpy(np.where(seen, np.float32(0), np.float32("-inf"))[:, None])


@contextmanager
def _only_at(model: Any, indexes: Tensor) -> Iterator[None]:
    """Let the output head see these of the flattened positions only."""

    def select(_: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (arguments[0].flatten(0, 1).index_select(0, indexes)[None],)

    hook = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        hook.remove()
