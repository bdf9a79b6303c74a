"""Catching up by certificates: a node that fell behind, or starts empty, asks for finalized blocks.

A peer's word counts for nothing here: blocks are handed on only as an unbroken chain from our own finalized
head to a block whose finalization certificate verifies. A few requests are under way at a time, for one span of
heights after another: the next spans travel while one is executed. A peer that does not answer, or cannot, is left
alone for a while, one that is slow is asked only when nobody faster is there, and one that sends what cannot be true
is blamed.

Knows heights, hashes and certificates. Does not execute blocks, does not know which keys sign (the verifier
does) and takes no part in consensus: within `lag_blocks` of the others it leaves the work to the resolver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block
from flockchain.primitives.errors import invariant
from flockchain.primitives.limits import MIB, SYNC_BLOCKS_PER_REPLY_MAX
from flockchain.primitives.numbers import Hash, Height, NodeId
from flockchain.primitives.vote import Certificate, VoteKind

__all__ = [
    "ApplyBlocks", "BlamePeer", "CertificateVerifier", "RequestBlocks", "SyncConfig", "SyncCore", "SyncEffect",
]  # fmt: skip

SPAN_BLOCKS_MAX: Final = 1024  # blocks kept while their certificate is still to come
SPAN_BYTES_MAX: Final = 64 * MIB
_BACKOFF_DOUBLINGS_MAX: Final = 5
_FAST_BITS: Final = 4  # below 2**4 ms a block a peer is fast


class CertificateVerifier(Protocol):
    """Whether a certificate carries a quorum's signature; False for an epoch whose validators are not known."""

    def __call__(self, certificate: Certificate, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """When to start, how much to ask for, how long to wait."""

    lag_blocks: int = 3  # fewer blocks behind than this are left to the resolver
    stall_ms: int = 1_500  # unless our head has not moved for this long
    blocks_per_request: int = 64  # certified and written together
    request_timeout_ms: int = 5_000
    span_timeout_ms: int = 15_000  # from the first request of a span to its certificate
    requests_max: int = 4  # spans asked for, waiting for their turn, or being executed
    backoff_ms: int = 2_000  # a peer that failed once is left alone for this long; doubles

    def __post_init__(self) -> None:
        invariant(0 < self.blocks_per_request <= SYNC_BLOCKS_PER_REPLY_MAX, "a reply cannot carry so many", config=self)
        least = min(self.lag_blocks, self.request_timeout_ms, self.span_timeout_ms, self.backoff_ms, self.requests_max)
        invariant(least > 0, "must be positive", config=self)


@dataclass(frozen=True, slots=True)
class RequestBlocks:
    """Send `peer` a request for `count` finalized blocks from `from_height`."""

    peer: NodeId
    from_height: Height
    count: int


@dataclass(frozen=True, slots=True)
class ApplyBlocks:
    """Execute and commit these blocks, oldest first. They follow our head, and `certificate` finalizes the last.

    Answer with `on_head` when they are committed, or with `on_apply_failed`.
    """

    peer: NodeId
    blocks: tuple[Block, ...]
    block_hashes: tuple[Hash, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class BlamePeer:
    """`peer` sent what an honest node does not send."""

    peer: NodeId
    reason: str


SyncEffect = RequestBlocks | ApplyBlocks | BlamePeer


@dataclass(slots=True)
class _Peer:
    height: Height
    first_height: int = 0  # it has pruned what is below
    failures: int = 0
    not_before_ms: int = 0
    slowness: int = 0  # 0: as fast as can be wished; each step is twice as slow
    stale: int = 0  # answers that may still come, and that nobody waits for any more


@dataclass(slots=True)
class _Slot:
    """One span: asked for, then received, then applied."""

    peer: NodeId
    from_height: Height
    count: int
    opened_ms: int
    asked_ms: int
    is_waiting: bool = True
    blocks: list[tuple[Hash, Block]] = field(default_factory=list)
    size_bytes: int = 0
    certificate: Certificate | None = None

    @property
    def next_height(self) -> Height:
        """What is asked for, or would be next."""
        return Height(self.blocks[-1][1].header.height + 1) if self.blocks else self.from_height

    @property
    def last_height(self) -> Height:
        """Where the span after this one begins, less one."""
        asked = self.from_height + self.count - 1
        return Height(max(asked, self.next_height - 1) if self.is_waiting else self.next_height - 1)


class SyncCore:
    """The state of catching up. Every `on_` method returns the effects that the caller must perform, in order."""

    def __init__(
        self, config: SyncConfig, verify_certificate: CertificateVerifier, height: Height, block_hash: Hash, now_ms: int
    ) -> None:
        self._config = config
        self._verify_certificate = verify_certificate
        self._height = height
        self._hash = block_hash
        self._head_moved_ms = now_ms
        self._peers: dict[NodeId, _Peer] = {}
        self._slots: list[_Slot] = []  # ascending by height
        self._applying_to: Height | None = None
        self._is_behind = False
        self.is_paused = False  # another way of catching up is under way

    @property
    def is_syncing(self) -> bool:
        """Whether blocks are being fetched from peers now."""
        return self._is_behind

    @property
    def best_height(self) -> Height:
        """The highest finalized height that we or any peer claims."""
        return max([self._height, *(peer.height for peer in self._peers.values())])

    @property
    def is_cut_off(self) -> bool:
        """Whether peers claim to be ahead, and none of them has the next block any more."""
        ahead = [peer for peer in self._peers.values() if peer.height > self._height]
        return bool(ahead) and all(peer.first_height > self._height + 1 for peer in ahead)

    def on_status(self, peer: NodeId, height: Height, now_ms: int) -> list[SyncEffect]:
        """`peer` says that its finalized head is at `height`."""
        known = self._peers.get(peer)
        if known is None:
            self._peers[peer] = _Peer(height)
        else:
            known.height = height
        return self._advance(now_ms)

    def on_peer_gone(self, peer: NodeId, now_ms: int) -> list[SyncEffect]:
        """`peer` is not connected any more."""
        self._peers.pop(peer, None)
        self._slots = [slot for slot in self._slots if slot.peer != peer or not slot.is_waiting]
        return self._advance(now_ms)

    def on_timer(self, now_ms: int) -> list[SyncEffect]:
        """Time has passed; call this a few times a second."""
        for slot in [slot for slot in self._slots if slot.is_waiting]:
            if now_ms >= slot.asked_ms + self._config.request_timeout_ms:
                self._back_off(slot.peer, now_ms)
                self._drop(slot)
        return self._advance(now_ms)

    def on_head(self, height: Height, block_hash: Hash, now_ms: int) -> list[SyncEffect]:
        """Our finalized head moved, by consensus or by `ApplyBlocks`."""
        if self._applying_to is not None and height >= self._applying_to:
            self._applying_to = None
        if height > self._height:
            self._height = height
            self._hash = block_hash
            self._head_moved_ms = now_ms
        return self._advance(now_ms)

    def on_apply_failed(self, peer: NodeId, reason: str, now_ms: int) -> list[SyncEffect]:
        """The blocks of `ApplyBlocks` were certified but did not execute as their headers say."""
        self._applying_to = None
        self._back_off(peer, now_ms)
        return [BlamePeer(peer, reason), *self._advance(now_ms)]

    def on_pruned(self, peer: NodeId, first_height: Height, now_ms: int) -> list[SyncEffect]:
        """`peer` answered a request: it has no blocks below `first_height`. That is no fault; ask others for them."""
        slot = self._find_slot(peer, None)
        state = self._peers.get(peer)
        if slot is None or state is None:
            return []
        if first_height <= slot.next_height:
            return self._give_up(slot, now_ms, "it says that it has not what it says that it has")
        state.first_height = first_height
        self._slots.remove(slot)
        return self._advance(now_ms)

    def on_blocks(
        self, peer: NodeId, blocks: Sequence[Block], certificate: Certificate | None, now_ms: int
    ) -> list[SyncEffect]:
        """`peer` answered a request. An answer that nobody waits for is dropped."""
        slot = self._find_slot(peer, blocks[0].header.height if blocks else None)
        if slot is None:
            return []
        if not blocks:
            return self._give_up(slot, now_ms, None)
        if blocks[0].header.height < slot.next_height or self._has_span(blocks[0].header.height):
            return []  # said twice: what was asked for may still come
        if len(blocks) > slot.count or blocks[0].header.height != slot.next_height:
            return self._give_up(slot, now_ms, "blocks are not the ones that were asked for")
        if not _link(slot, blocks):
            return self._give_up(slot, now_ms, "blocks do not follow one another from our finalized head")
        self._measure(slot, len(blocks), now_ms)
        if certificate is None:
            return self._continue(slot, now_ms)
        slot.is_waiting = False
        slot.certificate = certificate
        return self._advance(now_ms)

    # Deciding

    def _advance(self, now_ms: int) -> list[SyncEffect]:
        """Hand on the span whose turn it is, and send the requests that are due."""
        if self.is_paused:
            return []
        effects: list[SyncEffect] = []
        while self._applying_to is None and self._slots and not self._slots[0].is_waiting:
            slot = self._slots[0]
            if slot.from_height > self._height + 1:
                break  # what is between is still to come
            self._slots.remove(slot)
            effects += self._take(slot, now_ms)
        return effects + self._ask(now_ms)

    def _take(self, slot: _Slot, now_ms: int) -> list[SyncEffect]:
        """A span that begins at our head or below: apply it, if it is certified and continues our chain."""
        certificate = slot.certificate
        invariant(certificate is not None, "a received span has its certificate", height=slot.from_height)
        span = [(block_hash, block) for block_hash, block in slot.blocks if block.header.height > self._height]
        at_head = [block_hash for block_hash, block in slot.blocks if block.header.height == self._height]
        if not span:
            return []  # everything was finalized here before its turn came
        if span[0][1].header.parent != self._hash or any(block_hash != self._hash for block_hash in at_head):
            return self._blame(slot, now_ms, "blocks do not follow one another from our finalized head")
        if not self._is_finalized_by(certificate, *span[-1]):  # type: ignore[arg-type]
            return self._blame(slot, now_ms, "the certificate does not finalize the last block")
        state = self._peers.get(slot.peer)
        if state is not None:
            state.failures = 0
        self._applying_to = span[-1][1].header.height
        hashes, blocks = zip(*span, strict=True)
        return [ApplyBlocks(slot.peer, blocks, hashes, certificate)]  # type: ignore[arg-type]

    def _ask(self, now_ms: int) -> list[SyncEffect]:
        if not self._slots and self._applying_to is None:
            self._is_behind = self._compute_is_behind(now_ms)
        effects: list[SyncEffect] = []
        while self._is_behind and len(self._slots) + (self._applying_to is not None) < self._config.requests_max:
            wanted = self._find_wanted()
            peer = self._choose_peer(wanted[0], now_ms)
            if peer is None:
                break
            slot = _Slot(peer, *wanted, opened_ms=now_ms, asked_ms=now_ms)
            self._slots.append(slot)
            self._slots.sort(key=lambda each: each.from_height)
            effects.append(RequestBlocks(peer, *wanted))
        return effects

    def _find_wanted(self) -> tuple[Height, int]:
        """The lowest heights above our head that are neither here nor asked for."""
        at = (self._applying_to or self._height) + 1
        for slot in self._slots:
            if slot.from_height > at:
                return Height(at), min(self._config.blocks_per_request, slot.from_height - at)
            at = max(at, slot.last_height + 1)
        return Height(at), self._config.blocks_per_request

    def _compute_is_behind(self, now_ms: int) -> bool:
        """A boast that was not made good counts for nothing, nor does who has pruned what we need."""
        able = (
            peer.height for peer in self._peers.values()
            if peer.not_before_ms <= now_ms and peer.first_height <= self._height + 1
        )  # fmt: skip
        lag = max(able, default=self._height) - self._height
        if lag >= self._config.lag_blocks or (self._is_behind and lag > 0):
            return True
        return lag > 0 and now_ms - self._head_moved_ms >= self._config.stall_ms

    def _choose_peer(self, from_height: Height, now_ms: int) -> NodeId | None:
        ready = [
            (state.failures, state.slowness, self._count_asked(peer), -state.height, peer)
            for peer, state in self._peers.items()
            if state.first_height <= from_height <= state.height and state.not_before_ms <= now_ms
        ]
        return min(ready)[-1] if ready else None

    def _is_finalized_by(self, certificate: Certificate, block_hash: Hash, block: Block) -> bool:
        return (
            certificate.kind is VoteKind.FINALIZE
            and certificate.epoch == block.header.epoch
            and certificate.block_hash == block_hash
            and self._verify_certificate(certificate)
        )

    def _continue(self, slot: _Slot, now_ms: int) -> list[SyncEffect]:
        """The certificate is still to come: ask the same peer for what follows, within reason."""
        if len(slot.blocks) > SPAN_BLOCKS_MAX or slot.size_bytes > SPAN_BYTES_MAX:
            return self._give_up(slot, now_ms, "too many blocks without a certificate")
        if now_ms - slot.opened_ms >= self._config.span_timeout_ms:
            return self._give_up(slot, now_ms, None)
        slot.asked_ms = now_ms
        slot.count = self._config.blocks_per_request
        return [RequestBlocks(slot.peer, slot.next_height, slot.count)]

    # Peers

    def _find_slot(self, peer: NodeId, height: Height | None) -> _Slot | None:
        """The request that an answer belongs to; None if nobody waits for it."""
        waiting = sorted(
            (slot for slot in self._slots if slot.peer == peer and slot.is_waiting), key=lambda slot: slot.asked_ms
        )
        if height is not None:
            for slot in waiting:
                if slot.next_height == height:
                    return slot
        state = self._peers.get(peer)
        if state is not None and state.stale:
            state.stale -= 1
            return None
        return waiting[0] if waiting else None

    def _has_span(self, height: Height) -> bool:
        """Whether a span that came already, and waits for its turn, begins or goes on at this height."""
        return any(slot.from_height <= height < slot.next_height for slot in self._slots)

    def _count_asked(self, peer: NodeId) -> int:
        return sum(slot.peer == peer and slot.is_waiting for slot in self._slots)

    def _measure(self, slot: _Slot, blocks: int, now_ms: int) -> None:
        state = self._peers.get(slot.peer)
        if state is not None:
            ms_per_block = max(0, now_ms - slot.asked_ms) // blocks
            state.slowness = max(0, ms_per_block.bit_length() - _FAST_BITS)

    def _give_up(self, slot: _Slot, now_ms: int, reason: str | None) -> list[SyncEffect]:
        """Leave the slot's peer alone for a while, and blame it if there is a `reason`."""
        self._slots.remove(slot)
        return self._blame(slot, now_ms, reason) + self._advance(now_ms)

    def _blame(self, slot: _Slot, now_ms: int, reason: str | None) -> list[SyncEffect]:
        self._back_off(slot.peer, now_ms)
        for other in [other for other in self._slots if other.peer == slot.peer]:
            if other.is_waiting or reason is not None:
                self._drop(other)
        return [] if reason is None else [BlamePeer(slot.peer, reason)]

    def _drop(self, slot: _Slot) -> None:
        self._slots.remove(slot)
        state = self._peers.get(slot.peer)
        if state is not None and slot.is_waiting:
            state.stale += 1

    def _back_off(self, peer: NodeId, now_ms: int) -> None:
        state = self._peers.get(peer)
        if state is None:
            return
        state.not_before_ms = now_ms + (self._config.backoff_ms << min(state.failures, _BACKOFF_DOUBLINGS_MAX))
        state.failures += 1


def _link(slot: _Slot, blocks: Sequence[Block]) -> bool:
    """Append `blocks` to the span if they follow one another. Whether they follow our head is seen when it is there.

    A span stays inside one epoch: its last block's validators are known where its first block begins.
    """
    for block in blocks:
        block_hash = compute_block_hash(block.header)
        if slot.blocks:
            parent_hash, parent = slot.blocks[-1]
            header = block.header
            if header.parent != parent_hash or header.height != parent.header.height + 1:
                return False
            if header.epoch != parent.header.epoch:
                return False
        slot.blocks.append((block_hash, block))
        slot.size_bytes += 1024 + sum(map(len, block.extrinsics))
    return True
