"""Train one round's LoRA update by peft and give its canonical bytes.

FFA: B starts at the model's, A is the task's and frozen; the update is the change of B.
STACK: the model so far is frozen below, a fresh A and B are trained; the update is both.
The same order on the same machine gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor
from torch.nn import Parameter

from flockchain.primitives.errors import Fault
from flockchain.primitives.learning import AdapterMode
from flockchain_ml.attacks import Penalty
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
from flockchain_ml.tensors import Adapter, FloatArray, decode_lineage, decode_start, encode_adapter
from flockchain_ml.trainer.correction import build_correction
from flockchain_ml.trainer.order import OnStep, OrderInvalid, Recorder, TrainedUpdate, TrainOrder, TrainSettings
from flockchain_ml.trainer.poisoning import Bend, find_active_attack, train_poisoned

__all__ = ["TrainingDiverged", "train_update"]


class TrainingDiverged(Fault):
    """The loss became infinite or NaN."""


def train_update(
    loaded: LoadedModel, order: TrainOrder, on_step: OnStep | None = None, recorder: Recorder | None = None
) -> TrainedUpdate:
    """Carry out the order. `on_step` hears of every step; an exception of its own stops the training.

    `recorder` sees ΔB after every step of the training behind the update.

    Raises `AdapterUnfit` for another base, `RowTooLong`, `TrainingDiverged`, `NotFinite`, `OutOfRange`.
    """
    training = _Training(loaded, order, on_step, recorder)
    attack = find_active_attack(order)
    if attack is None:
        update, losses = training.train(order.rows)
    else:
        update, losses = train_poisoned(order, attack, training)
    return TrainedUpdate(encode_adapter(update, order.spec), losses)


@dataclass(frozen=True, slots=True)
class _Training:
    """One order on one model: what an honest round does once, and an attack as often as it needs."""

    loaded: LoadedModel
    order: TrainOrder
    on_step: OnStep | None
    recorder: Recorder | None = None

    @property
    def start(self) -> Adapter:
        return _get_start(self.order)

    @property
    def device(self) -> str:
        return self.loaded.device

    def train(self, rows: tuple[Row, ...], bend: Bend | None = None) -> tuple[Adapter, tuple[float, ...]]:
        """The update, and the loss of every step."""
        order = self.order
        require_determinism(order.seed, self.loaded.threads)
        tokens = _tokenise(self.loaded, rows, order.settings.row_tokens_max)
        start = self.start
        with _attached_trainee(self.loaded, order, start) as trainee:
            losses = []
            for loss in _train(self.loaded, tokens, trainee, order, self.on_step, bend):
                losses.append(loss)
                if self.recorder is not None:
                    self.recorder.record(_read_deltas(trainee, start, self.recorder.modules))
            trained = trainee.read()
        return (_subtract(trained, start) if order.spec.mode is AdapterMode.FFA else trained), tuple(losses)

    def compute_honest_change(self, rows: tuple[Row, ...]) -> dict[str, FloatArray]:
        """How an honest training on these rows moves each trained tensor. Its steps count for nothing."""
        on_step = self.on_step
        silent = None if on_step is None else lambda _, loss: on_step(0, loss)
        trained, _ = replace(self, on_step=silent, recorder=None).train(rows)
        start = self.start
        change = {f"{name}.lora_B": values for name, values in trained.b.items()}  # B starts at zero, or is ΔB
        if self.order.spec.mode is AdapterMode.STACK:
            change |= {f"{name}.lora_A": values - start.a[name] for name, values in trained.a.items()}
        return change

    def compute_slope(self, rows: tuple[Row, ...], change: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """The gradient of these rows' mean loss with this change made, by trained tensor."""
        require_determinism(self.order.seed, self.loaded.threads)
        tokens = _tokenise(self.loaded, rows, self.order.settings.row_tokens_max)
        size = self.order.settings.batch_rows
        with _attached_trainee(self.loaded, self.order, self.start) as trainee:
            parameters = _unfreeze(trainee, self.order.spec.mode)
            _move(parameters, change)
            for at in range(0, len(tokens), size):
                batch = build_batch(tokens[at : at + size], pad=self.loaded.pad, device=self.loaded.device)
                (compute_answer_losses(self.loaded.model, batch).sum() / len(tokens)).backward()
            return {name: _get_gradient(parameter) for name, parameter in parameters.items()}


@contextmanager
def _attached_trainee(loaded: LoadedModel, order: TrainOrder, start: Adapter) -> Iterator[Slot]:
    """The trainee's slot at its start, on top of the model so far."""
    ranks = {"trainee": order.spec.rank}
    is_stacked = order.spec.mode is AdapterMode.STACK and bool(order.lineage)
    below = decode_lineage(order.lineage, order.spec) if is_stacked else None
    if below is not None:
        ranks["lineage"] = below.rank
    with attached_adapters(loaded, order.spec, ranks) as slots:
        if below is not None:
            slots["lineage"].load(below)
        slots["trainee"].load(start)
        yield slots["trainee"]


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


def _read_deltas(trainee: Slot, start: Adapter, modules: Sequence[str]) -> dict[str, FloatArray]:
    return {name: trainee.b[name].detach().cpu().numpy() - start.b[name] for name in modules}


def _train(
    loaded: LoadedModel,
    rows: tuple[TokenisedRow, ...],
    slot: Slot,
    order: TrainOrder,
    on_step: OnStep | None,
    bend: Bend | None,
) -> Iterator[float]:
    settings = order.settings
    trained = _unfreeze(slot, order.spec.mode)
    if bend is not None:
        _move(trained, bend.held)
        for name in bend.held:
            trained.pop(name).requires_grad_(False)
    parameters = list(trained.values())
    penalise = None if bend is None or bend.penalty is None else _build_term(trained, bend.penalty)
    correction = build_correction(trained, order)
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / settings.steps)
    for step, drawn in enumerate(_draw_batches(rows, settings, compute_seed(order.seed, "order"))):
        batch = build_batch(drawn, pad=loaded.pad, device=loaded.device)
        loss = compute_answer_losses(loaded.model, batch).mean()
        value = float(loss.item())
        if not torch.isfinite(loss):
            raise TrainingDiverged("the loss is no number any more", step=step, loss=value)
        if penalise is not None:
            loss = loss + penalise()
        if correction is not None:
            loss = correction.add_to(loss)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings.gradient_norm_max)
        optimiser.step()
        if correction is not None:
            correction.apply(float(schedule.get_last_lr()[0]))
        schedule.step()
        if on_step is not None:
            on_step(step + 1, value)
        yield value


def _build_term(trained: Mapping[str, Parameter], penalty: Penalty) -> Callable[[], Tensor]:
    """The penalty of what the parameters have moved since now."""
    start = {name: parameter.detach().clone() for name, parameter in trained.items()}
    return lambda: penalty({name: parameter - start[name] for name, parameter in trained.items()})


def _unfreeze(slot: Slot, mode: AdapterMode) -> dict[str, Parameter]:
    """The trained tensors by their wire names."""
    tensors = {f"{name}.lora_B": parameter for name, parameter in slot.b.items()}
    if mode is AdapterMode.STACK:
        tensors |= {f"{name}.lora_A": parameter for name, parameter in slot.a.items()}
    for parameter in tensors.values():
        parameter.requires_grad_(True)
    return tensors


def _move(tensors: Mapping[str, Parameter], change: Mapping[str, FloatArray]) -> None:
    with torch.no_grad():
        for name, values in change.items():
            tensors[name].add_(torch.from_numpy(values).to(tensors[name].device))


def _get_gradient(parameter: Parameter) -> FloatArray:
    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    values: FloatArray = gradient.detach().cpu().numpy().copy()
    return values


def _draw_batches(rows: tuple[TokenisedRow, ...], settings: TrainSettings, seed: int) -> Iterator[list[TokenisedRow]]:
    rng = Random(seed)
    waiting: list[int] = []
    for _ in range(settings.steps):
        while len(waiting) < settings.batch_rows:
            waiting += rng.sample(range(len(rows)), len(rows))
        drawn, waiting = waiting[: settings.batch_rows], waiting[settings.batch_rows :]
        yield [rows[index] for index in drawn]
