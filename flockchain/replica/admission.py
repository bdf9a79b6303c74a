"""How extrinsics come in: checked once, pooled, and passed on in batches.

Knows the pool and the finalized state. Does not know peers or blocks: it hands out batches to gossip.
"""

from __future__ import annotations

from collections.abc import Iterable

from flockchain.mempool.pool import Pool
from flockchain.primitives.block import Block
from flockchain.primitives.errors import FlockchainError, InvalidInput
from flockchain.primitives.limits import BLOCK_BYTES_MAX, EXTRINSICS_PER_BLOCK_MAX, GOSSIP_BATCH_MAX
from flockchain.primitives.numbers import AccountId, Hash, Height
from flockchain.runtime.executive import Executive
from flockchain.runtime.extrinsics import CheckedExtrinsic
from flockchain.storage.overlay import StateReader

__all__ = ["Admission"]

_GATHER_MS = 3  # so that what one request brings goes out together
_GOSSIP_EVERY_MS = 30  # under load: a frame costs a peer more than the extrinsics in it
_GOSSIP_BYTES_MAX = BLOCK_BYTES_MAX // 4
_BODY_BYTES_MAX = BLOCK_BYTES_MAX * 3 // 4  # the rest is the header's, the evidence's and the learning section's


class Admission:
    """The pool behind its door, and what of it gossip has yet to carry."""

    def __init__(self, executive: Executive) -> None:
        self._executive = executive
        self._views = executive.runtime.views
        self._unsent: list[CheckedExtrinsic] = []
        self._gossiped_ms = 0
        self.pool: Pool[CheckedExtrinsic] = Pool()

    @property
    def has_unsent(self) -> bool:
        """Whether extrinsics wait for gossip."""
        return bool(self._unsent)

    def require_admissible(self, state: StateReader, raw: bytes) -> CheckedExtrinsic:
        """The checked form of `raw`; raises `InvalidInput` or `Refused` with the reason. Changes nothing."""
        checked = self._executive.check_extrinsic(raw)
        sender = checked.payload.sender
        pending = self.pool.get_pending_nonce(sender, self._views.get_nonce(state, sender))
        self._executive.require_admissible(state, checked, pending)
        return checked

    def add(self, state: StateReader, checked: CheckedExtrinsic, *, is_ours: bool) -> None:
        """Pool an extrinsic, and queue it for gossip if it entered the network here; raises `Refused`."""
        self.pool.add(checked, self._views.get_nonce(state, checked.payload.sender))
        if is_ours:
            self._unsent.append(checked)

    def add_from_peer(self, state: StateReader, raws: Iterable[bytes]) -> int:
        """Pool what can be; returns how many of `raws` were malformed or wrongly signed (the sender's fault)."""
        faults = 0
        for raw in raws:
            try:
                self.add(state, self.require_admissible(state, raw), is_ours=False)
            except InvalidInput:
                faults += 1
            except FlockchainError:
                continue  # known, stale or poor: no fault of the neighbour's
        return faults

    def compute_gossip_wait_ms(self, now_ms: int) -> int:
        """How long what is queued for gossip gathers still: a moment after a silence, longer while much comes in."""
        return max(_GATHER_MS, self._gossiped_ms + _GOSSIP_EVERY_MS - now_ms)

    def take_unsent(self, now_ms: int) -> list[tuple[bytes, ...]]:
        """Everything queued for gossip, in batches that fit a frame."""
        self._gossiped_ms = now_ms
        batches: list[tuple[bytes, ...]] = []
        batch: list[bytes] = []
        size_bytes = 0
        for checked in self._unsent:
            if checked.digest not in self.pool:
                continue
            if batch and (len(batch) == GOSSIP_BATCH_MAX or size_bytes + len(checked.raw) > _GOSSIP_BYTES_MAX):
                batches.append(tuple(batch))
                batch, size_bytes = [], 0
            batch.append(checked.raw)
            size_bytes += len(checked.raw)
        self._unsent.clear()
        return [*batches, tuple(batch)] if batch else batches

    def has_ready(self, state: StateReader, height: Height) -> bool:
        """Whether `take_for_block` would give anything; cheap."""
        return self.pool.has_ready(height, lambda account: self._views.get_nonce(state, account))

    def take_for_block(self, state: StateReader, height: Height) -> list[CheckedExtrinsic]:
        """What a block of `height` on top of `state` should carry, in order."""
        return self.pool.take(
            height, EXTRINSICS_PER_BLOCK_MAX, _BODY_BYTES_MAX, lambda account: self._views.get_nonce(state, account)
        )

    def on_finalized(self, state: StateReader, block: Block) -> None:
        """Forget what the finalized `block` carried and what can never be included after it."""
        nonces: dict[AccountId, int] = {}
        included: list[Hash] = []
        for raw in block.extrinsics:
            checked = self._executive.check_extrinsic(raw)
            included.append(checked.digest)
            nonces[checked.payload.sender] = self._views.get_nonce(state, checked.payload.sender)
        self.pool.on_finalized(included, nonces)
        self.pool.on_expired(block.header.height)
