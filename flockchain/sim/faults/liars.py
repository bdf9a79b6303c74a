"""A Byzantine node that lies when it is asked: of its height, and with blocks and certificates that are other ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import Height, TimestampMs
from flockchain.replica.effects import ReplicaEffect, SendMessage

if TYPE_CHECKING:
    from flockchain.sim.adversaries import Adversary
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["Liar", "draw_liars"]

_ANSWERS: Final = frozenset(
    {
        wire.MessageKind.STATUS,
        wire.MessageKind.BLOCKS_REPLY,
        wire.MessageKind.BLOCK_REPLY,
        wire.MessageKind.CERTIFICATES_REPLY,
    }
)
_BOASTS: Final = (1, 5, 10_000)


@dataclass(frozen=True, slots=True)
class Liar:
    """From `at_ms` on the node, whatever else it does, answers wrongly."""

    at_ms: int
    node: int

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]

        def turn() -> None:
            if node.adversary is not None:
                node.adversary = _Lying(node.adversary)

        world.schedule_fault(self.at_ms, turn)


def draw_liars(rng: random.Random, faults_ms: int, node: int | None) -> tuple[Liar, ...]:
    """In every third world the Byzantine node lies too, from some moment on."""
    does_lie, at_ms = rng.randrange(3) == 0, rng.randrange(faults_ms)
    return (Liar(at_ms, node),) if does_lie and node is not None else ()


class _Lying:
    """An adversary with false answers."""

    def __init__(self, inner: Adversary) -> None:
        self._inner = inner

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return [self._turn(node, effect) for effect in self._inner.apply(node, effects)]

    def _turn(self, node: SimNode, effect: ReplicaEffect) -> ReplicaEffect:
        if not isinstance(effect, SendMessage) or effect.payload[0] not in _ANSWERS:
            return effect
        node.world.mark("lie")
        return SendMessage(effect.peers, wire.encode_message(_falsify(node, wire.decode_message(effect.payload))))


def _falsify(node: SimNode, message: wire.PeerMessage) -> wire.PeerMessage:
    rng = node.world.rng
    if isinstance(message, wire.StatusMessage):
        return replace(message, height=Height(message.height + rng.choice(_BOASTS)))
    if isinstance(message, wire.BlockReply):
        header = replace(message.block.header, timestamp_ms=TimestampMs(message.block.header.timestamp_ms + 1))
        return wire.BlockReply(replace(message.block, header=header))
    if isinstance(message, wire.BlocksReply) and message.blocks:
        return rng.choice(
            (
                replace(message, certificate=None),
                replace(message, blocks=message.blocks[1:]),
                replace(message, blocks=message.blocks[::-1]),
                replace(message, blocks=message.blocks[:-1]),
                replace(message, blocks=()),
            )
        )
    if isinstance(message, wire.CertificatesReply):
        wrong = (replace(each, signature=each.signature[::-1]) for each in message.certificates)
        return wire.CertificatesReply(tuple(wrong))
    return message
