"""What the core is stuck without: blocks by hash, and certificates from a view on.

Simplex locks up on split views if nodes only wait for gossip, so whatever a rule misses is asked for at
once and again until it is there or no longer needed. At most one block per purpose and one gap are
wanted at a time: on the way down a chain the next missing block is known only when its child has come.
"""

from __future__ import annotations

from enum import IntEnum

from flockchain.consensus.effects import Effect, RequestBlock, RequestCertificates, SetTimer
from flockchain.consensus.timers import Timer, TimerKind
from flockchain.primitives.numbers import Hash, View

__all__ = ["Purpose", "Resolver"]


class Purpose(IntEnum):
    """Why a block is wanted."""

    FINALITY = 0  # it is final, and cannot be handed over before its ancestors
    PARENT = 1  # the current view's proposal, ours or the leader's, rests upon it


class Resolver:
    """The wants of one core, and their repetition."""

    def __init__(self, retry_ms: int) -> None:
        self._retry_ms = retry_ms
        self._blocks: dict[Purpose, Hash] = {}
        self._gap: View | None = None
        self._is_armed = False

    def is_wanted(self, block_hash: Hash) -> bool:
        return block_hash in self._blocks.values()

    def want_block(self, purpose: Purpose, block_hash: Hash) -> tuple[Effect, ...]:
        """Ask for a block, unless that is under way."""
        is_new = not self.is_wanted(block_hash)
        self._blocks[purpose] = block_hash
        return (RequestBlock(block_hash), *self._arm()) if is_new else ()

    def want_certificates(self, from_view: View) -> tuple[Effect, ...]:
        """Ask for what is missing from this view on, unless that is under way."""
        if from_view == self._gap:
            return ()
        self._gap = from_view
        return (RequestCertificates(from_view), *self._arm())

    def on_block(self, block_hash: Hash) -> None:
        """It is here."""
        self._blocks = {why: wanted for why, wanted in self._blocks.items() if wanted != block_hash}

    def on_finalized(self) -> None:
        """Nothing final is missing."""
        self._blocks.pop(Purpose.FINALITY, None)

    def on_view_entered(self) -> None:
        """What the view before needed is not needed any more."""
        self._blocks.pop(Purpose.PARENT, None)
        self._gap = None

    def on_timer(self) -> tuple[Effect, ...]:
        """Ask again for all that is still wanted."""
        self._is_armed = False
        requests: list[Effect] = [RequestBlock(wanted) for wanted in dict.fromkeys(self._blocks.values())]
        if self._gap is not None:
            requests.append(RequestCertificates(self._gap))
        return (*requests, *self._arm()) if requests else ()

    def _arm(self) -> tuple[Effect, ...]:
        if self._is_armed:
            return ()
        self._is_armed = True
        return (SetTimer(Timer(TimerKind.RESOLVE, View(0)), self._retry_ms),)
