"""Simulated worlds that tests go through step by step, and what they saw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flockchain.duties.records import DUTY_RECORD, AggregateDuty, CommitDuty
from flockchain.primitives.numbers import Round, TaskId
from flockchain.primitives.rounds import RoundRecord
from flockchain.replica import effects as out
from flockchain.runtime.learning_views import find_round
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers import Checker
from flockchain.sim.checkers.one_word import Word, iterate_words
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import World

__all__ = ["GENESIS", "Recorder", "find_first_round", "is_journal_of", "is_work", "says", "watch"]

GENESIS = Path(__file__).parents[2] / "genesis" / "minimal.toml"


class Recorder(Checker):
    """Keeps every final block once, and every word of every member with the life in which it was sent."""

    def __init__(self) -> None:
        self.blocks: list[tuple[ExecutedBlock, dict[bytes, bytes]]] = []  # with the whole post-state
        self.words: list[tuple[SimNode, int, Word]] = []

    def on_effect(self, node, effect):
        self.words += [(node, node.life, word) for word in iterate_words(node, effect)]
        return ()

    def on_block(self, node, executed, state):
        self.blocks.append((executed, dict(state)))
        return ()

    def get_words(self, node: SimNode, kind: type) -> list[tuple[int, Word]]:
        """What one node said in the first round of the first task, by life."""
        return [
            (life, word)
            for sender, life, word in self.words
            if sender is node and isinstance(word, kind) and (word.task, word.round) == (0, 0)
        ]


def watch(world: World) -> Recorder:
    """Have everything that happens in `world` recorded."""
    recorder = Recorder()
    world.checkers.append(recorder)
    return recorder


def find_first_round(world: World) -> RoundRecord | None:
    """The first round of the first task, as the highest honest node sees it."""
    node = max((each for each in world.honest if each.is_up), key=SimNode.get_height)
    return find_round(node.archive.state, TaskId(0), Round(0))


def says(node: SimNode, kind: type) -> Callable[[out.ReplicaEffect], bool]:
    """Whether an effect sends a word of this kind in the node's own name."""
    return lambda effect: any(isinstance(word, kind) for word in iterate_words(node, effect))


def is_journal_of(kind: type[CommitDuty] | type[AggregateDuty]) -> Callable[[out.ReplicaEffect], bool]:
    """Whether an effect puts a duty of this kind on disk."""
    return lambda effect: isinstance(effect, out.PersistDuty) and isinstance(DUTY_RECORD.decode(effect.record), kind)


def is_work(kind: type) -> Callable[[out.ReplicaEffect], bool]:
    """Whether an effect orders work of this kind."""
    return lambda effect: isinstance(effect, out.Work) and isinstance(effect.order, kind)
