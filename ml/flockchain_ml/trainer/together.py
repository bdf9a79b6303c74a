"""Train several clients' adapters on one base in one go: one forward and one backward a step serve them all.

Clients meet in the frozen layers of the base alone, row by row. Their losses add up, AdamW is elementwise, and a
gradient is shortened by its own client's norm: what a client learns is what it would learn alone. FFA: B starts at the
model's, A is the task's and frozen. STACK: the model so far is frozen below, a fresh A and B are trained.
Knows one training of each client; no attack's plan and no wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from random import Random

import numpy as np
import torch
from torch import Tensor

from flockchain.primitives.errors import Fault
from flockchain.primitives.learning import AdapterMode
from flockchain_ml.attacks import Penalty
from flockchain_ml.data import compute_seed
from flockchain_ml.models import (
    Layout,
    LoadedModel,
    Pack,
    Stack,
    TokenisedRow,
    attached_stack,
    choose_layout,
    compute_client_losses,
    is_keeping_rows_apart,
    pack_rows,
    require_determinism,
    tokenise_rows,
)
from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter, FloatArray, decode_lineage, decode_start
from flockchain_ml.trainer.correction import build_correction
from flockchain_ml.trainer.order import OnStep, OrderInvalid, Recorder, TrainOrder, TrainSettings
from flockchain_ml.trainer.poisoning import Run, Trained

__all__ = ["Trainee", "TrainingDiverged", "compute_slope", "get_start", "tokenise", "train_together"]


class TrainingDiverged(Fault):
    """The loss became infinite or NaN."""


@dataclass(frozen=True, slots=True)
class Trainee:
    """One client's part in a training: its order, what this run asks for, and the rows as tokens."""

    order: TrainOrder
    run: Run
    rows: tuple[TokenisedRow, ...]
    layout: Layout
    on_step: OnStep | None = None
    recorder: Recorder | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        """Those of one kind can train together; whoever is with them, each gets the same bits."""
        order = self.order
        start = (order.spec, order.lineage, order.round if order.spec.mode is AdapterMode.STACK else 0)
        return (*start, order.settings, self.layout, frozenset(self.run.bend.held))


def tokenise(loaded: LoadedModel, rows: tuple[Row, ...], row_tokens_max: int) -> tuple[TokenisedRow, ...]:
    """The rows' tokens, cut if that was asked for; a row whose answer was cut away has nothing to teach.

    Raises `RowTooLong`, `OrderInvalid`.
    """
    if not row_tokens_max:
        return tokenise_rows(loaded.tokenizer, rows, tokens_max=loaded.tokens_max)
    most = min(row_tokens_max, loaded.tokens_max)
    whole = tokenise_rows(loaded.tokenizer, rows, tokens_max=None)
    cut = tuple(
        TokenisedRow(row.prompt, row.answer[: most - len(row.prompt)]) for row in whole if len(row.prompt) < most
    )
    if not cut:
        raise OrderInvalid("every prompt is longer than a row may be", most_tokens=most)
    return cut


def get_start(order: TrainOrder) -> Adapter:
    """Where every trainer of the order's round starts."""
    if order.spec.mode is AdapterMode.FFA:
        return decode_lineage(order.lineage, order.spec)
    return decode_start(order.spec, order.round)


def train_together(loaded: LoadedModel, trainees: Sequence[Trainee]) -> list[Trained]:
    """Train clients of one kind; what each has learnt and the losses of its steps, in their order."""
    order, layout = trainees[0].order, trainees[0].layout
    require_determinism(order.seed, loaded.threads)
    start = get_start(order)
    losses: list[tuple[float, ...]] = []
    with _attached_trainees(loaded, order, start, len(trainees), trainees[0].run.bend.held) as stack:
        for at, trainee in enumerate(trainees):
            stack.move(at, trainee.run.bend.held)
        take_step = _build_step(loaded, stack, trainees)
        draws = [_draw_batches(one.rows, order.settings, compute_seed(one.order.seed, "order")) for one in trainees]
        for step, drawn in enumerate(zip(*draws, strict=True)):
            losses.append(take_step(step, pack_rows(drawn, layout, loaded)))
            _tell(stack, trainees, start, step, losses[-1])
        read = [_read_update(stack, at, start, order) for at in range(len(trainees))]
    return [Trained(update, own) for update, own in zip(read, zip(*losses, strict=True), strict=True)]


def compute_slope(
    loaded: LoadedModel, order: TrainOrder, rows: tuple[Row, ...], change: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """The gradient of these rows' mean loss with this change made, by trained tensor."""
    require_determinism(order.seed, loaded.threads)
    tokens = tokenise(loaded, rows, order.settings.row_tokens_max)
    layout = choose_layout(tokens, is_shared=is_keeping_rows_apart(loaded))
    size = order.settings.batch_rows
    with _attached_trainees(loaded, order, get_start(order), 1, ()) as stack:
        stack.move(0, change)
        for at in range(0, len(tokens), size):
            batch = tokens[at : at + size]
            pack = pack_rows([batch], layout, loaded)
            stack.tokens = pack.tokens
            (compute_client_losses(loaded.model, pack).sum() * (len(batch) / len(tokens))).backward()
        return {name: slope[0].cpu().numpy().copy() for name, slope in stack.slopes.items()}


@contextmanager
def _attached_trainees(
    loaded: LoadedModel, order: TrainOrder, start: Adapter, clients: int, held: Sequence[str] | Mapping[str, object]
) -> Iterator[Stack]:
    is_stacked = order.spec.mode is AdapterMode.STACK and bool(order.lineage)
    below = decode_lineage(order.lineage, order.spec) if is_stacked else None
    with attached_stack(loaded, order.spec, start, clients=clients, below=below, held=tuple(held)) as stack:
        yield stack


def _build_step(
    loaded: LoadedModel, stack: Stack, trainees: Sequence[Trainee]
) -> Callable[[int, Pack], tuple[float, ...]]:
    """What takes one step of all clients and gives the loss of each before it."""
    settings = trainees[0].order.settings
    penalties = [
        None if one.run.bend.penalty is None else _build_penalty(stack, at, one.run.bend.penalty)
        for at, one in enumerate(trainees)
    ]
    correction = build_correction(stack, [one.order for one in trainees])
    optimiser = torch.optim.AdamW(
        [stack.values], lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )

    def take(step: int, pack: Pack) -> tuple[float, ...]:
        stack.tokens = pack.tokens
        losses = compute_client_losses(loaded.model, pack)
        values: tuple[float, ...] = tuple(losses.tolist())
        if not all(isfinite(value) for value in values):
            raise TrainingDiverged("the loss is no number any more", step=step, losses=values)
        stack.gradients.zero_()
        losses.sum().backward()
        for add in penalties:
            if add is not None:
                add()
        if correction is not None:
            correction.add_leash()
        _shorten(stack.gradients, settings.gradient_norm_max)
        rate = settings.learning_rate * (1 - step / settings.steps)
        optimiser.param_groups[0]["lr"] = rate
        optimiser.step()
        if correction is not None:
            correction.apply(rate)
        return values

    return take


def _build_penalty(stack: Stack, client: int, penalty: Penalty) -> Callable[[], None]:
    """What adds the gradient of a client's penalty, which is of its own tensors alone: of what they moved since now."""
    start = {name: tensor[client].detach().clone() for name, tensor in stack.tensors.items()}

    def add() -> None:
        own = {name: stack.tensors[name][client].detach().clone().requires_grad_(True) for name in start}
        term = penalty({name: tensor - start[name] for name, tensor in own.items()})
        for name, slope in zip(own, torch.autograd.grad(term, list(own.values()), allow_unused=True), strict=True):
            if slope is not None:
                stack.slopes[name][client].add_(slope)

    return add


def _shorten(gradients: Tensor, norm_max: float) -> None:
    """Shorten the gradient of every client that is longer than this; [clients, numbers]."""
    for own in gradients:
        own.mul_((norm_max / (torch.linalg.vector_norm(own) + 1e-6)).clamp(max=1.0))


def _tell(stack: Stack, trainees: Sequence[Trainee], start: Adapter, step: int, losses: Sequence[float]) -> None:
    for at, trainee in enumerate(trainees):
        if trainee.recorder is not None:
            modules = trainee.recorder.modules
            trainee.recorder.record({name: stack.read(f"{name}.lora_B", at) - start.b[name] for name in modules})
        if trainee.on_step is not None:
            trainee.on_step(step + 1, losses[at])


def _read_update(stack: Stack, client: int, start: Adapter, order: TrainOrder) -> Adapter:
    """FFA: the change of B on the task's A; STACK: both."""
    b = {name: stack.read(f"{name}.lora_B", client) for name in start.b}
    if order.spec.mode is AdapterMode.FFA:
        return Adapter(start.a, {name: np.subtract(values, start.b[name]) for name, values in b.items()})
    return Adapter({name: stack.read(f"{name}.lora_A", client) for name in start.a}, b)


def _draw_batches(rows: tuple[TokenisedRow, ...], settings: TrainSettings, seed: int) -> Iterator[list[TokenisedRow]]:
    rng = Random(seed)
    waiting: list[int] = []
    for _ in range(settings.steps):
        while len(waiting) < settings.batch_rows:
            waiting += rng.sample(range(len(rows)), len(rows))
        drawn, waiting = waiting[: settings.batch_rows], waiting[settings.batch_rows :]
        yield [rows[index] for index in drawn]
