"""Train one round's LoRA update by peft and give its canonical bytes.

FFA: B starts at the model's, A is the task's and frozen; the update is the change of B.
STACK: the model so far is frozen below, a fresh A and B are trained; the update is both.
The same order on the same machine gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import torch
from torch.nn import Parameter

from flockchain.primitives.errors import Fault
from flockchain.primitives.learning import AdapterMode
from flockchain_ml.data import compute_seed
from flockchain_ml.models import (
    LoadedModel,
    Slot,
    TokenisedRow,
    attached_adapters,
    build_batch,
    compute_answer_losses,
    require_determinism,
    tokenise_rows,
)
from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter, decode_lineage, decode_start, encode_adapter
from flockchain_ml.trainer.order import OnStep, OrderInvalid, TrainedUpdate, TrainOrder, TrainSettings

__all__ = ["TrainingDiverged", "train_update"]


class TrainingDiverged(Fault):
    """The loss became infinite or NaN."""


def train_update(loaded: LoadedModel, order: TrainOrder, on_step: OnStep | None = None) -> TrainedUpdate:
    """Carry out the order. `on_step` hears of every step; an exception of its own stops the training.

    Raises `AdapterUnfit` for another base, `RowTooLong`, `TrainingDiverged`, `NotFinite`, `OutOfRange`.
    """
    require_determinism(order.seed, loaded.threads)
    rows = order.rows
    if order.attack is not None:
        rows = order.attack.poison_rows(rows, Random(compute_seed(order.seed, "poison")))
    tokens = _tokenise(loaded, rows, order.settings.row_tokens_max)
    ranks = {"trainee": order.spec.rank}
    is_stacked = order.spec.mode is AdapterMode.STACK and bool(order.lineage)
    below = decode_lineage(order.lineage, order.spec) if is_stacked else None
    if below is not None:
        ranks["lineage"] = below.rank
    with attached_adapters(loaded, order.spec, ranks) as slots:
        if below is not None:
            slots["lineage"].load(below)
        start = _get_start(order)
        slots["trainee"].load(start)
        losses = tuple(_train(loaded, tokens, slots["trainee"], order, on_step))
        trained = slots["trainee"].read()
    update = _subtract(trained, start) if order.spec.mode is AdapterMode.FFA else trained
    if order.attack is not None:
        update = order.attack.poison_update(update)
    return TrainedUpdate(encode_adapter(update, order.spec), losses)


def _tokenise(loaded: LoadedModel, rows: tuple[Row, ...], row_tokens_max: int) -> tuple[TokenisedRow, ...]:
    """The rows' tokens, cut if that was asked for; a row whose answer was cut away has nothing to teach."""
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


def _get_start(order: TrainOrder) -> Adapter:
    if order.spec.mode is AdapterMode.FFA:
        return decode_lineage(order.lineage, order.spec)
    return decode_start(order.spec, order.round)


def _subtract(trained: Adapter, start: Adapter) -> Adapter:
    return Adapter(trained.a, {name: values - start.b[name] for name, values in trained.b.items()})


def _train(
    loaded: LoadedModel, rows: tuple[TokenisedRow, ...], slot: Slot, order: TrainOrder, on_step: OnStep | None
) -> Iterator[float]:
    settings = order.settings
    parameters = _unfreeze(slot, order.spec.mode)
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / settings.steps)
    for step, drawn in enumerate(_draw_batches(rows, settings, compute_seed(order.seed, "order"))):
        batch = build_batch(drawn, pad=loaded.pad, device=loaded.device)
        loss = compute_answer_losses(loaded.model, batch).mean()
        value = float(loss.item())
        if not torch.isfinite(loss):
            raise TrainingDiverged("the loss is no number any more", step=step, loss=value)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings.gradient_norm_max)
        optimiser.step()
        schedule.step()
        if on_step is not None:
            on_step(step + 1, value)
        yield value


def _unfreeze(slot: Slot, mode: AdapterMode) -> list[Parameter]:
    parameters = list(slot.b.values())
    if mode is AdapterMode.STACK:
        parameters += slot.a.values()
    for parameter in parameters:
        parameter.requires_grad_(True)
    return parameters


def _draw_batches(rows: tuple[TokenisedRow, ...], settings: TrainSettings, seed: int) -> Iterator[list[TokenisedRow]]:
    rng = Random(seed)
    waiting: list[int] = []
    for _ in range(settings.steps):
        while len(waiting) < settings.batch_rows:
            waiting += rng.sample(range(len(rows)), len(rows))
        drawn, waiting = waiting[: settings.batch_rows], waiting[settings.batch_rows :]
        yield [rows[index] for index in drawn]
