"""From orders to the canonical bytes of updates: plans each client's trainings, and does those of a kind together.

The same order on the same machine gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flockchain.primitives.errors import invariant
from flockchain_ml.models import LoadedModel, choose_layout, is_keeping_rows_apart
from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter, FloatArray, encode_adapter
from flockchain_ml.trainer.order import OnStep, Recorder, TrainedUpdate, TrainOrder
from flockchain_ml.trainer.poisoning import Bend, Plan, Run, Trained, find_active_attack, plan_poisoned
from flockchain_ml.trainer.together import (
    Trainee,
    TrainingDiverged,
    compute_slope,
    get_start,
    tokenise,
    train_together,
)

__all__ = ["TOGETHER_MAX", "TrainingDiverged", "train_update", "train_updates"]

TOGETHER_MAX: Final = 16  # clients in one forward


def train_update(
    loaded: LoadedModel, order: TrainOrder, on_step: OnStep | None = None, recorder: Recorder | None = None
) -> TrainedUpdate:
    """Carry out one order. `on_step` hears of every step; an exception of its own stops the training.

    `recorder` sees ΔB after every step of the training behind the update.

    Raises `AdapterUnfit` for another base, `RowTooLong`, `TrainingDiverged`, `NotFinite`, `OutOfRange`.
    """
    return _carry_out([_Client(loaded, order, on_step, recorder)])[0]


def train_updates(
    loaded: LoadedModel, orders: Sequence[TrainOrder], recorders: Sequence[Recorder | None] = ()
) -> list[TrainedUpdate]:
    """Carry out many orders, in their order; each result is what `train_update` gives.

    Trainings with the same start, settings and width of lines share a forward, up to `TOGETHER_MAX` of them: those of
    a round do, honest or poisoned, with proximal terms, control variates, penalties and recorders of their own. Others
    go through the same code in groups of their own. An attacker that looks at others' updates has them in its order:
    call again for those. The first error ends all; `recorders` is empty or one an order.
    """
    invariant(len(recorders) in (0, len(orders)), "a recorder for every order or for none", got=len(recorders))
    looking = recorders or (None,) * len(orders)
    return _carry_out([_Client(loaded, order, None, recorder) for order, recorder in zip(orders, looking, strict=True)])


@dataclass(frozen=True, slots=True)
class _Client:
    """One order on one model, and who hears of it."""

    loaded: LoadedModel
    order: TrainOrder
    on_step: OnStep | None
    recorder: Recorder | None

    @property
    def start(self) -> Adapter:
        return get_start(self.order)

    @property
    def device(self) -> str:
        return self.loaded.device

    def plan(self) -> Plan:
        """The trainings that the update needs."""
        attack = find_active_attack(self.order)
        return _plan_honest(self.order) if attack is None else plan_poisoned(self.order, attack, self)

    def prepare(self, run: Run, *, is_shared: bool) -> Trainee:
        """A prediction is nobody's update: its steps count for nothing and no recorder sees them."""
        on_step, recorder = self.on_step, self.recorder
        if run.is_prediction:
            heard = on_step
            on_step = None if heard is None else lambda _, loss: heard(0, loss)
            recorder = None
        rows = tokenise(self.loaded, run.rows, self.order.settings.row_tokens_max)
        return Trainee(self.order, run, rows, choose_layout(rows, is_shared=is_shared), on_step, recorder)

    def compute_slope(self, rows: tuple[Row, ...], change: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """The gradient of these rows' mean loss with this change made, by trained tensor."""
        return compute_slope(self.loaded, self.order, rows, change)


def _plan_honest(order: TrainOrder) -> Plan:
    trained = yield Run(order.rows, Bend({}))
    return trained


def _carry_out(clients: Sequence[_Client]) -> list[TrainedUpdate]:
    """Let every plan go as far as it can, do all trainings that wait, and again until no plan waits."""
    if not clients:
        return []
    loaded = clients[0].loaded
    is_shared = is_keeping_rows_apart(loaded)
    plans = [client.plan() for client in clients]
    waiting = {at: clients[at].prepare(next(plan), is_shared=is_shared) for at, plan in enumerate(plans)}
    done: dict[int, Trained] = {}
    while waiting:
        trained = _train_all(loaded, waiting)
        waiting = {}
        for at, result in trained.items():
            try:
                waiting[at] = clients[at].prepare(plans[at].send(result), is_shared=is_shared)
            except StopIteration as end:
                done[at] = end.value
    return [
        TrainedUpdate(encode_adapter(done[at].update, client.order.spec), done[at].losses)
        for at, client in enumerate(clients)
    ]


def _train_all(loaded: LoadedModel, waiting: Mapping[int, Trainee]) -> dict[int, Trained]:
    kinds: dict[tuple[object, ...], list[int]] = {}
    for at, trainee in waiting.items():
        kinds.setdefault(trainee.kind, []).append(at)
    trained: dict[int, Trained] = {}
    for positions in kinds.values():
        most = TOGETHER_MAX if waiting[positions[0]].layout.is_shared else 1
        for first in range(0, len(positions), most):
            group = positions[first : first + most]
            trained |= dict(zip(group, train_together(loaded, [waiting[at] for at in group]), strict=True))
    return dict(sorted(trained.items()))
