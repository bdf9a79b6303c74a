"""Crashes to come: after so many effects of a node, or right before a certain one.

Knows what was planned for whom. Does not stop or start a node itself.
"""

from __future__ import annotations

from collections.abc import Callable

from flockchain.primitives.numbers import NodeId
from flockchain.replica.effects import ReplicaEffect

__all__ = ["CrashTest", "CrashWatch"]

CrashTest = Callable[[ReplicaEffect], bool]


class CrashWatch:
    """At most one crash of each kind a node."""

    def __init__(self) -> None:
        self._effects_left: dict[NodeId, int] = {}
        self._tests: dict[NodeId, CrashTest] = {}

    def plan(self, node: NodeId, after_effects: int) -> None:
        """Between two effects: the next `after_effects` are performed, and no more."""
        self._effects_left[node] = after_effects

    def plan_before(self, node: NodeId, is_it: CrashTest) -> None:
        """Right before the first effect of which `is_it` says so."""
        self._tests[node] = is_it

    def clear(self) -> None:
        """Nothing is planned any more."""
        self._effects_left.clear()
        self._tests.clear()

    def is_due(self, node: NodeId, effect: ReplicaEffect) -> bool:
        """Whether the node crashes instead of performing `effect`. Counts the effect otherwise."""
        is_it = self._tests.get(node)
        if is_it is not None and is_it(effect):
            del self._tests[node]
            return True
        left = self._effects_left.get(node)
        if left is None:
            return False
        if left:
            self._effects_left[node] = left - 1
            return False
        del self._effects_left[node]
        return True
