"""A committee member that never evaluates: every update gets the same score, whatever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flockchain.duties import Evaluate, EvaluateDone
from flockchain.replica import events
from flockchain.replica.effects import ReplicaEffect, Work

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["LazyEvaluator"]

_SCORE: Final = 12_345
_LOSS: Final = 1_000_000


class LazyEvaluator:
    """Answers each order to evaluate by itself, at once."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        done: list[ReplicaEffect] = []
        for effect in effects:
            if isinstance(effect, Work) and isinstance(effect.order, Evaluate):
                self._answer(node, effect.order)
            else:
                done.append(effect)
        return done

    def _answer(self, node: SimNode, work: Evaluate) -> None:
        order, life = work.order, node.life
        count = len(order.updates)
        made_up = EvaluateDone(
            order.task, order.round, (None,) * count, (_SCORE,) * count, tuple(_LOSS for _ in order.rows)
        )
        node.world.mark("lazy evaluation")
        node.world.schedule.add(1, lambda: node.deliver(life, events.WorkDone(made_up)))
