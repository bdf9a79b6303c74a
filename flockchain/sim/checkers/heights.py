"""What a node says of its final height never falls, across restarts; nor does what its disk holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import NodeId
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Heights"]


class Heights(Checker):
    """Looks at every status that an honest node sends."""

    def __init__(self) -> None:
        self._highest: dict[NodeId, int] = {}

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        is_status = isinstance(effect, SendMessage) and effect.payload[0] == wire.MessageKind.STATUS
        if node.adversary is None and is_status:
            said = wire.decode_message(effect.payload).height  # type: ignore[union-attr]
            name = node.node_id[:4].hex()
            before = self._highest.get(node.node_id, 0)
            if said < before:
                yield Violation("height", f"{name} said {before} and then {said}")
            if node.get_height() < said:
                yield Violation("height", f"{name} says {said} and has {node.get_height()} on its disk")
            self._highest[node.node_id] = max(before, said)

    def on_wiped(self, node: SimNode) -> Iterable[Violation]:
        self._highest.pop(node.node_id, None)
        return ()
