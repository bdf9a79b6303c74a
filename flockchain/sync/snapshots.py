"""Catching up by a snapshot of the state: for a node that is empty, or so far behind that blocks would take long.

    ask peers which snapshots they have -> follow the epochs' last headers from what is trusted to the snapshot's
    block -> fetch that block and all chunks, from every peer that has them -> install

Nothing that a peer says is believed: headers come with certificates of validators that earlier headers name, and each
chunk proves itself against the state root of the header. A chunk that does not is blamed on its sender, and on nobody
else. What was fetched is kept (`KeepChunk`, `KeepEpochEnds`), so a restart goes on where it stood.

Knows headers, chunks and time as it is handed in. Does not know the state that it fetches, nor where it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol

from flockchain.crypto.hashing import compute_extrinsics_root, compute_inherents_root, compute_learning_root
from flockchain.crypto.voting import verify_certificate
from flockchain.light.client import LightClient
from flockchain.light.light_block import LightBlock, find_mismatch
from flockchain.light.trust_store import TrustedHeader
from flockchain.primitives.block import Block
from flockchain.primitives.errors import InvalidInput, Refused, invariant
from flockchain.primitives.limits import LIGHT_BLOCKS_PER_REPLY_MAX, SNAPSHOT_DEPTH_MAX
from flockchain.primitives.numbers import Epoch, Hash, Height, NodeId
from flockchain.storage.snapshot import SnapshotInfo, decode_chunk, verify_chunk
from flockchain.sync.core import BlamePeer

__all__ = [
    "AskBlock", "AskChunk", "AskEpochEnds", "AskSnapshots", "Checkpoint", "GiveUp", "Install", "KeepChunk",
    "KeepEpochEnds", "SnapshotConfig", "SnapshotCore", "SnapshotEffect",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An epoch's last block that the operator trusts, from a source of their own."""

    height: Height
    block_hash: Hash


@dataclass(frozen=True, slots=True)
class SnapshotConfig:
    """When a snapshot is worth it, and how peers are asked."""

    is_enabled: bool = True
    lag_blocks: int = 2_000  # nearer than this, blocks are fetched
    offer_wait_ms: int = 1_500  # for peers to name their snapshots
    request_timeout_ms: int = 10_000
    backoff_ms: int = 5_000  # a peer that was silent is left alone for this long
    retry_ms: int = 60_000  # after giving up
    epochs_per_request: int = 32
    requests_per_peer: int = 2
    checkpoint: Checkpoint | None = None  # trust begins there, and not at genesis

    def __post_init__(self) -> None:
        least = min(self.lag_blocks, self.offer_wait_ms, self.request_timeout_ms, self.backoff_ms, self.retry_ms)
        invariant(least > 0 and self.requests_per_peer > 0, "must be positive", config=self)
        invariant(0 < self.epochs_per_request <= LIGHT_BLOCKS_PER_REPLY_MAX, "a reply has no room", config=self)


@dataclass(frozen=True, slots=True)
class AskSnapshots:
    """Ask `peer` which snapshots it has; answer with `on_offers`."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class AskEpochEnds:
    """Ask `peer` for the light blocks of the last blocks of epochs; answer with `on_epoch_ends`."""

    peer: NodeId
    from_epoch: Epoch
    count: int


@dataclass(frozen=True, slots=True)
class AskBlock:
    """Ask `peer` for the snapshot's block; answer with `on_block`."""

    peer: NodeId
    block_hash: Hash


@dataclass(frozen=True, slots=True)
class AskChunk:
    """Ask `peer` for one chunk; answer with `on_chunk`."""

    peer: NodeId
    height: Height
    index: int


@dataclass(frozen=True, slots=True)
class KeepEpochEnds:
    """Keep verified light blocks, for ourselves after a restart and for whoever joins later."""

    light_blocks: tuple[LightBlock, ...]


@dataclass(frozen=True, slots=True)
class KeepChunk:
    """Keep a proven chunk. Order with other effects does not matter."""

    info: SnapshotInfo
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Install:
    """Everything is here: put the kept chunks in place of our state, and begin anew at the block."""

    info: SnapshotInfo
    block: Block
    light_block: LightBlock


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No snapshot can be had now; catch up by blocks."""

    reason: str


SnapshotEffect = (
    AskSnapshots | AskEpochEnds | AskBlock | AskChunk | KeepEpochEnds | KeepChunk | Install | GiveUp | BlamePeer
)  # fmt: skip


class EpochSchedule(Protocol):
    """Which epoch a height belongs to."""

    def compute_epoch(self, height: Height) -> Epoch: ...

    def compute_last_height(self, epoch: Epoch) -> Height: ...


class _Stage(IntEnum):
    IDLE = 0
    ASKING = 1
    FOLLOWING = 2
    FETCHING = 3
    DONE = 4


_BLOCK_REQUEST: Final = -1  # among the numbers of chunks that are under way
_FAILURES_MAX: Final = 3  # of one peer, until the search is given up


@dataclass(slots=True)
class _Peer:
    offers: tuple[SnapshotInfo, ...] | None = None  # None: it has not answered
    failures: int = 0
    not_before_ms: int = 0
    is_false: bool = False  # it sent what is not true
    deadlines: dict[int, int] = field(default_factory=dict)  # what is asked of it, and until when

    @property
    def is_trying(self) -> bool:
        """Whether what it offers may be had from it: it has not lied, nor failed us too often."""
        return not self.is_false and self.failures < _FAILURES_MAX


class SnapshotCore:
    """The state of fetching one snapshot. Every `on_` method returns effects to be performed in order."""

    def __init__(
        self, config: SnapshotConfig, client: LightClient, schedule: EpochSchedule,
        light_block: LightBlock | None = None, partial: SnapshotInfo | None = None,
        partial_chunks: frozenset[int] = frozenset(),
    ) -> None:  # fmt: skip
        """`client` trusts our head, or what an earlier run verified: `light_block` then; `partial`: what it fetched."""
        self._config = config
        self._client = client
        self._get_epoch = schedule.compute_epoch
        self._get_last_height = schedule.compute_last_height
        self._partial, self._partial_chunks = partial, partial_chunks
        self._peers: dict[NodeId, _Peer] = {}
        self._stage = _Stage.IDLE
        self._least_height = Height(0)
        self._deadline_ms = 0
        self._not_before_ms = 0
        self._false: set[SnapshotInfo] = set()
        self._target: SnapshotInfo | None = None
        self._light_block = light_block
        self._block: Block | None = None
        self._missing: set[int] = set()

    @property
    def is_active(self) -> bool:
        """Whether a snapshot is being fetched: blocks are not to be asked for meanwhile."""
        return self._stage is not _Stage.IDLE

    @property
    def progress(self) -> tuple[int, int] | None:
        """Chunks that are here, and chunks in all; None while there is no snapshot in sight."""
        if self._target is None or self._stage is not _Stage.FETCHING:
            return None
        return self._target.chunk_count - len(self._missing), self._target.chunk_count

    def begin(self, peers: Sequence[NodeId], least_height: Height, now_ms: int) -> list[SnapshotEffect]:
        """Look for a snapshot of `least_height` or above. Does nothing if not enabled, under way or given up lately."""
        if not self._config.is_enabled or self.is_active or now_ms < self._not_before_ms or not peers:
            return []
        self._stage = _Stage.ASKING
        self._least_height = least_height
        self._deadline_ms = now_ms + self._config.offer_wait_ms
        for peer in peers:
            self._peers.setdefault(peer, _Peer()).offers = None
        return [AskSnapshots(peer) for peer in sorted(self._peers)]

    def on_peer_connected(self, peer: NodeId) -> list[SnapshotEffect]:
        """`peer` can be asked."""
        if not self.is_active:
            return []
        self._peers.setdefault(peer, _Peer())
        return [AskSnapshots(peer)]

    def on_peer_gone(self, peer: NodeId, now_ms: int) -> list[SnapshotEffect]:
        """`peer` is not connected any more."""
        self._peers.pop(peer, None)
        return self._advance(now_ms)

    def on_offers(self, peer: NodeId, offers: Sequence[SnapshotInfo], now_ms: int) -> list[SnapshotEffect]:
        """`peer` names its snapshots."""
        state = self._peers.get(peer)
        if state is None or not self.is_active or state.offers is not None:
            return []
        state.offers = tuple(offer for offer in offers if offer.depth <= SNAPSHOT_DEPTH_MAX)
        return self._advance(now_ms)

    def on_epoch_ends(self, peer: NodeId, light_blocks: Sequence[LightBlock], now_ms: int) -> list[SnapshotEffect]:
        """`peer` answered `AskEpochEnds`."""
        state = self._take_answer(peer, _BLOCK_REQUEST, _Stage.FOLLOWING)
        if state is None:
            return []
        verified: list[LightBlock] = []
        effects: list[SnapshotEffect] = []
        for light_block in light_blocks[: self._config.epochs_per_request]:
            reason = self._follow(light_block, now_ms)
            if reason is not None:
                state.is_false = True
                effects.append(BlamePeer(peer, reason))
                break
            verified.append(light_block)
            if light_block.header.height == self._require_target().height:
                break
        if len(light_blocks) < self._config.epochs_per_request and not self._has_arrived():
            self._back_off(state, now_ms)  # whoever has the snapshot has these
        if verified:
            effects.insert(0, KeepEpochEnds(tuple(verified)))
        return effects + self._advance(now_ms)

    def on_block(self, peer: NodeId, block: Block, now_ms: int) -> list[SnapshotEffect]:
        """`peer` sent a block: the answer to `AskBlock`, or to a question of consensus, which is none of ours."""
        light_block = self._light_block
        if light_block is None or block.header != light_block.header:
            return []
        state = self._take_answer(peer, _BLOCK_REQUEST, _Stage.FETCHING)
        if state is None:
            return []
        if not _has_body(block):
            state.is_false = True
            return [BlamePeer(peer, "the block's body is not the one that its header names"), *self._advance(now_ms)]
        self._block = block
        return self._advance(now_ms)

    def on_chunk(self, peer: NodeId, height: Height, index: int, data: bytes, now_ms: int) -> list[SnapshotEffect]:
        """`peer` answered `AskChunk`; without bytes it does not have the snapshot any more."""
        target = self._target
        if target is None or height != target.height:
            return []
        state = self._take_answer(peer, index, _Stage.FETCHING)
        if state is None:
            return []
        if not data:
            state.offers = tuple(offer for offer in state.offers or () if offer != target)
            return self._advance(now_ms)
        if not _is_true(target, index, data):
            state.is_false = True
            return [BlamePeer(peer, "a chunk does not prove itself"), *self._advance(now_ms)]
        state.failures = 0
        effects: list[SnapshotEffect] = []
        if index in self._missing:
            self._missing.discard(index)
            effects.append(KeepChunk(target, index, data))
        return effects + self._advance(now_ms)

    def on_timer(self, now_ms: int) -> list[SnapshotEffect]:
        """Time has passed; call this a few times a second."""
        for state in self._peers.values():
            late = [asked for asked, deadline_ms in state.deadlines.items() if now_ms >= deadline_ms]
            for asked in late:
                del state.deadlines[asked]
            if late:
                self._back_off(state, now_ms)
        return self._advance(now_ms)

    # What is next

    def _advance(self, now_ms: int) -> list[SnapshotEffect]:
        if self._stage in (_Stage.IDLE, _Stage.DONE):
            return []
        if self._stage is _Stage.ASKING:
            return self._choose(now_ms)
        if not self._find_holders():
            return self._choose_again(now_ms)
        return self._ask_epoch_ends(now_ms) if self._stage is _Stage.FOLLOWING else self._ask_chunks(now_ms)

    def _choose(self, now_ms: int) -> list[SnapshotEffect]:
        """Once everybody has answered, or has had the time to: the snapshot that most peers have, then the highest."""
        is_waiting = any(state.offers is None for state in self._peers.values())
        if is_waiting and now_ms < self._deadline_ms:
            return []
        holders: dict[SnapshotInfo, int] = {}
        for state in self._peers.values():
            for offer in set(state.offers or ()) if state.is_trying else ():
                holders[offer] = holders.get(offer, 0) + 1
        useful = [info for info in holders if info.height >= self._least_height and info not in self._false]
        useful = [info for info in useful if info.height > self._client.trusted.header.height] or [
            info for info in useful if info.block_hash == self._client.trusted.block_hash
        ]
        if not useful:
            return self._give_up("no peer has a snapshot that helps", now_ms)
        kept = [info for info in useful if info == self._partial]
        order = kept or sorted(useful, key=lambda info: (holders[info], info.height, info.block_hash), reverse=True)
        return self._aim(order[0], now_ms)

    def _aim(self, target: SnapshotInfo, now_ms: int) -> list[SnapshotEffect]:
        self._target = target
        self._block = None
        self._stage = _Stage.FOLLOWING
        for state in self._peers.values():
            state.deadlines.clear()
        return self._ask_epoch_ends(now_ms)

    def _choose_again(self, now_ms: int) -> list[SnapshotEffect]:
        """Nobody has the snapshot that we wanted (any more): ask everybody anew."""
        self._stage = _Stage.IDLE
        self._target = None
        return self.begin(tuple(self._peers), self._least_height, now_ms) or self._give_up("all peers left", now_ms)

    def _give_up(self, reason: str, now_ms: int) -> list[SnapshotEffect]:
        self._stage = _Stage.IDLE
        self._target = None
        self._not_before_ms = now_ms + self._config.retry_ms
        self._peers.clear()
        return [GiveUp(reason)]

    def _ask_epoch_ends(self, now_ms: int) -> list[SnapshotEffect]:
        if self._has_arrived():
            return self._arrive(now_ms)
        if any(state.deadlines for state in self._peers.values()):
            return []
        peer = self._find_ready(now_ms, 1)
        if peer is None:
            return []
        self._peers[peer].deadlines[_BLOCK_REQUEST] = now_ms + self._config.request_timeout_ms
        return [AskEpochEnds(peer, self._get_due_epoch(), self._config.epochs_per_request)]

    def _has_arrived(self) -> bool:
        return self._client.trusted.header.height >= self._require_target().height

    def _get_due_epoch(self) -> Epoch:
        """The epoch whose last header is trusted next."""
        header = self._client.trusted.header
        checkpoint = self._find_checkpoint()
        if checkpoint is not None:
            return self._get_epoch(checkpoint.height)
        return Epoch(header.epoch + (header.height == self._get_last_height(header.epoch)))

    def _find_checkpoint(self) -> Checkpoint | None:
        """The operator's checkpoint, unless we trust something as high already."""
        checkpoint = self._config.checkpoint
        is_ahead = checkpoint is not None and checkpoint.height > self._client.trusted.header.height
        return checkpoint if is_ahead else None

    def _follow(self, light_block: LightBlock, now_ms: int) -> str | None:
        """Trust one more epoch's end; why not, if not."""
        header = light_block.header
        if header.epoch != self._get_due_epoch() or header.height != self._get_last_height(header.epoch):
            return "a light block is not of the epoch's end that was asked for"
        checkpoint = self._find_checkpoint()
        if checkpoint is not None:
            if light_block.block_hash != checkpoint.block_hash or find_mismatch(light_block) is not None:
                return "a light block is not the trusted checkpoint"
            config, validators = self._client.config, light_block.validators
            if not verify_certificate(config.bls, config.genesis_hash, validators, light_block.certificate):
                return "the trusted checkpoint's certificate does not hold"  # it is kept, and served to others
            self._client = LightClient(config, TrustedHeader(header, validators))
        else:
            try:
                self._client.verify(light_block, now_ms)
            except (InvalidInput, Refused) as error:
                return str(error)
        self._light_block = light_block
        return None

    def _arrive(self, now_ms: int) -> list[SnapshotEffect]:
        """We trust the header at the snapshot's height: is it the one that was promised?"""
        target, header, light_block = self._require_target(), self._client.trusted.header, self._light_block
        is_promised = (
            light_block is not None
            and light_block.header == header
            and (self._client.trusted.block_hash, header.state_root) == (target.block_hash, target.state_root)
        )
        if not is_promised:
            self._false.add(target)
            liars = sorted(peer for peer, state in self._peers.items() if target in (state.offers or ()))
            for peer in liars:
                self._peers[peer].is_false = True
            blames: list[SnapshotEffect] = [
                BlamePeer(peer, "it offers a snapshot of a block that is not the chain's") for peer in liars
            ]
            return blames + self._choose_again(now_ms)
        self._stage = _Stage.FETCHING
        kept = self._partial_chunks if target == self._partial else frozenset()
        self._missing = set(range(target.chunk_count)) - kept
        return self._ask_chunks(now_ms)

    def _ask_chunks(self, now_ms: int) -> list[SnapshotEffect]:
        target = self._require_target()
        if not self._missing and self._block is not None:
            invariant(self._light_block is not None, "the target is trusted by a light block")
            self._stage = _Stage.DONE
            return [Install(target, self._block, self._light_block)]  # type: ignore[arg-type]
        asked = {number for state in self._peers.values() for number in state.deadlines}
        waiting = sorted(self._missing - asked)
        if self._block is None and _BLOCK_REQUEST not in asked:
            waiting.insert(0, _BLOCK_REQUEST)
        effects: list[SnapshotEffect] = []
        for number in waiting:
            peer = self._find_ready(now_ms, self._config.requests_per_peer)
            if peer is None:
                break
            self._peers[peer].deadlines[number] = now_ms + self._config.request_timeout_ms
            is_block = number == _BLOCK_REQUEST
            effects.append(AskBlock(peer, target.block_hash) if is_block else AskChunk(peer, target.height, number))
        return effects

    # Peers

    def _find_holders(self) -> list[NodeId]:
        """Who has the target and gives what it has."""
        found = (peer for peer, it in self._peers.items() if it.is_trying and self._target in (it.offers or ()))
        return sorted(found)

    def _find_ready(self, now_ms: int, most: int) -> NodeId | None:
        """The holder with the least to do."""
        ready = [
            (len(self._peers[peer].deadlines), self._peers[peer].failures, peer)
            for peer in self._find_holders()
            if self._peers[peer].not_before_ms <= now_ms and len(self._peers[peer].deadlines) < most
        ]
        return min(ready)[2] if ready else None

    def _take_answer(self, peer: NodeId, number: int, stage: _Stage) -> _Peer | None:
        """The peer, if this is what it was asked for."""
        state = self._peers.get(peer)
        if state is None or self._stage is not stage or state.deadlines.pop(number, None) is None:
            return None
        return state

    def _back_off(self, state: _Peer, now_ms: int) -> None:
        state.failures += 1
        state.not_before_ms = now_ms + self._config.backoff_ms

    def _require_target(self) -> SnapshotInfo:
        invariant(self._target is not None, "a snapshot was chosen")
        return self._target  # type: ignore[return-value]


def _is_true(target: SnapshotInfo, index: int, data: bytes) -> bool:
    try:
        chunk = decode_chunk(data)
    except InvalidInput:
        return False
    return verify_chunk(target.state_root, target.depth, index, chunk)


def _has_body(block: Block) -> bool:
    header = block.header
    return (
        header.inherents_root == compute_inherents_root(block.reveal, block.evidence)
        and header.learning_root == compute_learning_root(block.learning)
        and header.extrinsics_root == compute_extrinsics_root(block.extrinsics)
    )
