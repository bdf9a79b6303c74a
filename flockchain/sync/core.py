"""Catching up by certificates: a node that fell behind, or starts empty, asks for finalized blocks.

A peer's word counts for nothing here: blocks are handed on only as an unbroken chain from our own finalized
head to a block whose finalization certificate verifies. One request is under way at a time; a peer that does
not answer, or cannot, is left alone for a while, and one that sends what cannot be true is blamed.

Knows heights, hashes and certificates. Does not execute blocks, does not know which keys sign (the verifier
does) and takes no part in consensus: within `lag_blocks` of the others it leaves the work to the resolver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


class CertificateVerifier(Protocol):
    """Whether a certificate carries a quorum's signature; False for an epoch whose validators are not known."""

    def __call__(self, certificate: Certificate, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """When to start, how much to ask for, how long to wait."""

    lag_blocks: int = 3  # fewer blocks behind than this are left to the resolver
    stall_ms: int = 1_500  # unless our head has not moved for this long
    blocks_per_request: int = SYNC_BLOCKS_PER_REPLY_MAX
    request_timeout_ms: int = 5_000
    backoff_ms: int = 2_000  # a peer that failed once is left alone for this long; doubles

    def __post_init__(self) -> None:
        invariant(0 < self.blocks_per_request <= SYNC_BLOCKS_PER_REPLY_MAX, "a reply cannot carry so many", config=self)
        invariant(min(self.lag_blocks, self.request_timeout_ms, self.backoff_ms) > 0, "must be positive", config=self)


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
    failures: int = 0
    not_before_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Request:
    peer: NodeId
    from_height: Height
    count: int
    deadline_ms: int


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
        self._request: _Request | None = None
        self._span: list[tuple[Hash, Block]] = []  # verified to link, not yet certified, from one peer
        self._span_bytes = 0
        self._is_applying = False
        self._is_behind = False

    @property
    def is_syncing(self) -> bool:
        """Whether blocks are being fetched from peers now."""
        return self._is_behind

    @property
    def best_height(self) -> Height:
        """The highest finalized height that we or any peer claims."""
        return max([self._height, *(peer.height for peer in self._peers.values())])

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
        if self._request is not None and self._request.peer == peer:
            self._drop_request()
        return self._advance(now_ms)

    def on_timer(self, now_ms: int) -> list[SyncEffect]:
        """Time has passed; call this a few times a second."""
        if self._request is not None and now_ms >= self._request.deadline_ms:
            self._back_off(self._request.peer, now_ms)
            self._drop_request()
        return self._advance(now_ms)

    def on_head(self, height: Height, block_hash: Hash, now_ms: int) -> list[SyncEffect]:
        """Our finalized head moved, by consensus or by `ApplyBlocks`."""
        self._is_applying = False
        if height > self._height:
            self._height = height
            self._hash = block_hash
            self._head_moved_ms = now_ms
        return self._advance(now_ms)

    def on_apply_failed(self, peer: NodeId, reason: str, now_ms: int) -> list[SyncEffect]:
        """The blocks of `ApplyBlocks` were certified but did not execute as their headers say."""
        self._is_applying = False
        self._back_off(peer, now_ms)
        return [BlamePeer(peer, reason), *self._advance(now_ms)]

    def on_blocks(
        self, peer: NodeId, blocks: Sequence[Block], certificate: Certificate | None, now_ms: int
    ) -> list[SyncEffect]:
        """`peer` answered a request. An answer that nobody waits for is dropped."""
        request = self._request
        if request is None or request.peer != peer:
            return []
        self._request = None
        if not blocks:
            return self._give_up(peer, now_ms, None)
        if len(blocks) > request.count or blocks[0].header.height != request.from_height:
            return self._give_up(peer, now_ms, "blocks are not the ones that were asked for")
        if not self._link(blocks):
            return self._give_up(peer, now_ms, "blocks do not follow one another from our finalized head")
        if certificate is None:
            return self._continue_span(peer, now_ms)
        if not self._is_finalized_by(certificate):
            return self._give_up(peer, now_ms, "the certificate does not finalize the last block")
        return self._finish_span(peer, certificate, now_ms)

    def _advance(self, now_ms: int) -> list[SyncEffect]:
        """Send the next request, if one is due."""
        if self._request is not None or self._is_applying:
            return []
        self._is_behind = self._compute_is_behind(now_ms)
        if not self._is_behind:
            return []
        peer = self._choose_peer(now_ms)
        if peer is None:
            return []
        self._clear_span()
        return [self._ask(peer, Height(self._height + 1), now_ms)]

    def _compute_is_behind(self, now_ms: int) -> bool:
        askable = (peer.height for peer in self._peers.values() if peer.not_before_ms <= now_ms)
        lag = max(askable, default=self._height) - self._height  # a boast that was not made good counts for nothing
        if lag >= self._config.lag_blocks or (self._is_behind and lag > 0):
            return True
        return lag > 0 and now_ms - self._head_moved_ms >= self._config.stall_ms

    def _choose_peer(self, now_ms: int) -> NodeId | None:
        ready = [
            (state.failures, -state.height, peer)
            for peer, state in self._peers.items()
            if state.height > self._height and state.not_before_ms <= now_ms
        ]
        return min(ready)[2] if ready else None

    def _ask(self, peer: NodeId, from_height: Height, now_ms: int) -> RequestBlocks:
        count = self._config.blocks_per_request
        self._request = _Request(peer, from_height, count, now_ms + self._config.request_timeout_ms)
        return RequestBlocks(peer, from_height, count)

    def _link(self, blocks: Sequence[Block]) -> bool:
        """Append `blocks` to the span if they continue it; those that we finalized in the meantime are left out."""
        parent, height = (self._span[-1][0], self._span[-1][1].header.height) if self._span else (self._hash, None)
        for block in blocks:
            block_hash = compute_block_hash(block.header)
            if block.header.height <= self._height and not self._span:
                if block.header.height == self._height and block_hash != self._hash:
                    return False
                continue
            expected = self._height + 1 if height is None else height + 1
            if block.header.parent != parent or block.header.height != expected:
                return False
            self._span.append((block_hash, block))
            self._span_bytes += 1024 + sum(map(len, block.extrinsics))
            parent, height = block_hash, block.header.height
        return True

    def _is_finalized_by(self, certificate: Certificate) -> bool:
        if not self._span:
            return True  # everything was finalized here before the answer came
        block_hash, block = self._span[-1]
        return (
            certificate.kind is VoteKind.FINALIZE
            and certificate.epoch == block.header.epoch
            and certificate.block_hash == block_hash
            and self._verify_certificate(certificate)
        )

    def _continue_span(self, peer: NodeId, now_ms: int) -> list[SyncEffect]:
        if len(self._span) > SPAN_BLOCKS_MAX or self._span_bytes > SPAN_BYTES_MAX:
            return self._give_up(peer, now_ms, "too many blocks without a certificate")
        last = self._span[-1][1].header.height if self._span else self._height
        return [self._ask(peer, Height(last + 1), now_ms)]

    def _finish_span(self, peer: NodeId, certificate: Certificate, now_ms: int) -> list[SyncEffect]:
        self._peers[peer].failures = 0
        span = [(block_hash, block) for block_hash, block in self._span if block.header.height > self._height]
        self._clear_span()
        if not span:
            return self._advance(now_ms)
        if span[0][1].header.parent != self._hash:
            return self._give_up(peer, now_ms, "certified blocks contradict our finalized head")
        self._is_applying = True
        blocks = tuple(block for _, block in span)
        return [ApplyBlocks(peer, blocks, tuple(block_hash for block_hash, _ in span), certificate)]

    def _give_up(self, peer: NodeId, now_ms: int, reason: str | None) -> list[SyncEffect]:
        """Leave `peer` alone for a while, and blame it if there is a `reason`."""
        self._drop_request()
        self._back_off(peer, now_ms)
        blame: list[SyncEffect] = [BlamePeer(peer, reason)] if reason is not None else []
        return blame + self._advance(now_ms)

    def _back_off(self, peer: NodeId, now_ms: int) -> None:
        state = self._peers.get(peer)
        if state is None:
            return
        state.not_before_ms = now_ms + (self._config.backoff_ms << min(state.failures, _BACKOFF_DOUBLINGS_MAX))
        state.failures += 1

    def _drop_request(self) -> None:
        self._request = None
        self._clear_span()

    def _clear_span(self) -> None:
        self._span.clear()
        self._span_bytes = 0
