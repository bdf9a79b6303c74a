"""Joining by a snapshot: what is asked, what is believed, and what becomes of every lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import pytest

from flockchain.light.client import LightClient, LightConfig
from flockchain.light.light_block import LightBlock
from flockchain.light.trust_store import TrustedHeader
from flockchain.primitives.numbers import Epoch, Hash, Height, NodeId
from flockchain.primitives.validator_set import VALIDATOR_SET
from flockchain.runtime.genesis_config import compute_epoch, compute_last_height
from flockchain.runtime.views import find_fixed_sets
from flockchain.storage.archive import Archive
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.snapshot import SNAPSHOT_CHUNK, SnapshotInfo, build_chunk
from flockchain.sync.core import BlamePeer
from flockchain.sync.snapshots import (
    AskBlock,
    AskChunk,
    AskEpochEnds,
    AskSnapshots,
    Checkpoint,
    GiveUp,
    Install,
    KeepChunk,
    KeepEpochEnds,
    SnapshotConfig,
    SnapshotCore,
)
from tests.kit.long_chains import LongChain, build_long_genesis

EPOCH_BLOCKS = 4
LENGTH = 16
DEPTH = 2
A, B, C = (NodeId(bytes([number]) * 32) for number in (1, 2, 3))
CONFIG = SnapshotConfig(
    lag_blocks=8, offer_wait_ms=500, request_timeout_ms=1_000, backoff_ms=300, retry_ms=5_000, epochs_per_request=2,
    requests_per_peer=1,
)  # fmt: skip


@dataclass(frozen=True)
class Chain:
    """Four epochs of a real chain, and the state at its end in four chunks."""

    long: LongChain
    info: SnapshotInfo
    chunks: tuple[bytes, ...]

    def get_light_block(self, epoch: int) -> LightBlock:
        height = Height((epoch + 1) * EPOCH_BLOCKS)
        archive = self.long.archive
        validators = archive.get_validator_set(Epoch(epoch))
        if validators is None:
            validators = VALIDATOR_SET.decode(find_fixed_sets(self.long.runtime.genesis_changes)[Epoch(epoch)])
        return LightBlock(archive.get_header(height), archive.get_certificate(height), validators)

    def get_genesis_trust(self) -> TrustedHeader:
        return TrustedHeader(self.long.runtime.genesis_block.header, self.get_light_block(0).validators)

    @property
    def block(self):
        return self.long.archive.get_block(Height(LENGTH))

    @property
    def now_ms(self) -> int:
        return self.block.header.timestamp_ms


@cache
def get_chain() -> Chain:
    long = LongChain(build_long_genesis(LENGTH, epoch_blocks=EPOCH_BLOCKS), Archive(MemoryStore()))
    long.grow(LENGTH)
    head = long.ledger.finalized
    frozen = long.archive.freeze()
    chunks = (SNAPSHOT_CHUNK.encode(build_chunk(head.tree, frozen, DEPTH, index)) for index in range(1 << DEPTH))
    return Chain(long, SnapshotInfo(head.header.height, head.block_hash, head.tree.root, DEPTH), tuple(chunks))


class Schedule:
    """Epochs of the chain."""

    def compute_epoch(self, height: Height) -> Epoch:
        return compute_epoch(get_chain().long.genesis, height)

    def compute_last_height(self, epoch: Epoch) -> Height:
        return compute_last_height(get_chain().long.genesis, epoch)


class Play:
    """A core, and peers that answer from the chain unless a test says otherwise."""

    def __init__(self, config=CONFIG, partial=None, partial_chunks=frozenset(), light_block=None, trusted=None):
        chain = get_chain()
        light = LightConfig(chain.long.runtime.genesis_hash, chain.long.bls, 10**12)
        self.core = SnapshotCore(
            config, LightClient(light, trusted or chain.get_genesis_trust()), Schedule(), light_block, partial,
            partial_chunks,
        )  # fmt: skip
        self.chain = chain
        self.now_ms = chain.now_ms
        self.kept: dict[int, bytes] = {}
        self.kept_ends: list[LightBlock] = []
        self.blamed: list[NodeId] = []
        self.asked_chunks: list[tuple[NodeId, int]] = []
        self.installed: Install | None = None
        self.gave_up = False
        self.silent: set[NodeId] = set()

    def begin(self, *peers: NodeId):
        return self.core.begin(peers, Height(8), self.now_ms)

    def follow(self, effects, answers=None):
        """Answer every question, honestly unless `answers` has another answer for it, until there is none."""
        waiting = list(effects)
        while waiting:
            effect = waiting.pop(0)
            peer = getattr(effect, "peer", None)
            if isinstance(effect, BlamePeer):
                self.blamed.append(peer)
            elif isinstance(effect, KeepChunk):
                self.kept[effect.index] = effect.data
            elif isinstance(effect, KeepEpochEnds):
                self.kept_ends += effect.light_blocks
            elif isinstance(effect, Install):
                self.installed = effect
            elif isinstance(effect, GiveUp):
                self.gave_up = True
            elif peer not in self.silent:
                waiting += self.answer(effect, answers)
        return self

    def answer(self, effect, answers):
        special = answers(effect) if answers is not None else None
        if special is not None:
            return special
        core, chain, now_ms = self.core, self.chain, self.now_ms
        if isinstance(effect, AskSnapshots):
            return core.on_offers(effect.peer, (chain.info,), now_ms)
        if isinstance(effect, AskEpochEnds):
            epochs = range(effect.from_epoch, min(effect.from_epoch + effect.count, LENGTH // EPOCH_BLOCKS))
            return core.on_epoch_ends(effect.peer, [chain.get_light_block(epoch) for epoch in epochs], now_ms)
        if isinstance(effect, AskBlock):
            return core.on_block(effect.peer, chain.block, now_ms)
        self.asked_chunks.append((effect.peer, effect.index))
        return core.on_chunk(effect.peer, effect.height, effect.index, chain.chunks[effect.index], now_ms)

    def wait(self, ms: int):
        self.now_ms += ms
        return self.core.on_timer(self.now_ms)

    def assert_installed(self, *blamed: NodeId):
        assert self.installed is not None
        assert (self.installed.info, self.installed.block) == (self.chain.info, self.chain.block)
        assert self.installed.light_block == self.chain.get_light_block(3)
        assert self.blamed == list(blamed)


def test_a_node_follows_the_epochs_fetches_every_chunk_and_installs():
    play = Play()
    play.follow(play.begin(A, B)).assert_installed()
    assert play.kept == dict(enumerate(play.chain.chunks))
    assert play.kept_ends == [play.chain.get_light_block(epoch) for epoch in range(4)]
    assert {peer for peer, _ in play.asked_chunks} == {A, B}  # both did their share
    assert sorted(index for _, index in play.asked_chunks) == [0, 1, 2, 3]


def test_nothing_begins_when_it_is_switched_off_or_nobody_is_there():
    assert Play(replace(CONFIG, is_enabled=False)).begin(A) == []
    assert Play().begin() == []


def test_it_does_not_wait_for_ever_for_offers():
    play = Play()
    play.silent = {B}
    play.follow(play.begin(A, B))
    assert play.installed is None
    play.follow(play.wait(CONFIG.offer_wait_ms)).assert_installed()


def test_without_a_useful_offer_it_gives_up_and_tries_again_later():
    play = Play()
    play.follow(play.begin(A), lambda effect: play.core.on_offers(effect.peer, (), play.now_ms))
    assert play.gave_up
    assert not play.core.is_active
    assert play.begin(A) == []
    play.now_ms += CONFIG.retry_ms
    play.follow(play.begin(A)).assert_installed()


@pytest.mark.parametrize("lie", ["changed", "other", "junk", "too deep"])
def test_a_chunk_that_does_not_prove_itself_is_blamed_on_its_sender_only_and_fetched_elsewhere(lie):
    play = Play()

    def answer(effect):
        if not isinstance(effect, AskChunk) or effect.peer != B:
            return None
        honest = play.chain.chunks
        data = {
            "changed": honest[effect.index][:-1] + b"\xee", "other": honest[(effect.index + 1) % 4], "junk": b"junk",
            "too deep": honest[effect.index][:-4] + (200).to_bytes(4, "big") + bytes(200 * 32),
        }[lie]  # fmt: skip
        return play.core.on_chunk(B, effect.height, effect.index, data, play.now_ms)

    play.follow(play.begin(A, B, C), answer).assert_installed(B)
    assert play.kept == dict(enumerate(play.chain.chunks))


def test_a_chunk_of_another_height_or_unasked_is_dropped_without_blame():
    play = Play()
    play.silent = {A}
    play.follow(play.begin(A))
    effects = play.core.on_offers(A, (play.chain.info,), play.now_ms)
    ends = [play.chain.get_light_block(epoch) for epoch in range(4)]
    effects = play.core.on_epoch_ends(A, ends[:2], play.now_ms)
    effects = play.core.on_epoch_ends(A, ends[2:], play.now_ms)
    assert isinstance(effects[-1], AskBlock)
    assert play.core.on_chunk(A, Height(12), 0, play.chain.chunks[0], play.now_ms) == []
    assert play.core.on_chunk(A, Height(LENGTH), 3, play.chain.chunks[3], play.now_ms) == []
    assert play.core.on_chunk(B, Height(LENGTH), 0, play.chain.chunks[0], play.now_ms) == []


def test_a_block_that_consensus_asked_for_is_not_taken_for_the_snapshots():
    play = Play()

    def answer(effect):
        if isinstance(effect, AskBlock):
            other = play.chain.long.archive.get_block(Height(3))
            assert play.core.on_block(effect.peer, other, play.now_ms) == []
        return

    play.follow(play.begin(A), answer).assert_installed()


def test_a_body_that_the_header_does_not_name_is_blamed():
    play = Play()

    def answer(effect):
        if isinstance(effect, AskBlock) and effect.peer == A:
            return play.core.on_block(A, replace(play.chain.block, extrinsics=()), play.now_ms)
        return None

    play.follow(play.begin(A, B), answer).assert_installed(A)


@pytest.mark.parametrize("lie", ["signature", "skipped", "validators"])
def test_an_epochs_end_that_is_not_finalized_is_blamed_and_asked_of_another(lie):
    play = Play()
    honest = play.chain.get_light_block

    def answer(effect):
        if not isinstance(effect, AskEpochEnds) or effect.peer != A:
            return None
        good = honest(effect.from_epoch)
        forged = {
            "signature": replace(good, certificate=replace(good.certificate, signature=bytes(96))),
            "skipped": honest(min(effect.from_epoch + 1, 3)),
            "validators": replace(good, validators=replace(good.validators, validators=good.validators.validators[:3])),
        }[lie]
        return play.core.on_epoch_ends(A, [forged], play.now_ms)

    play.follow(play.begin(A, B), answer).assert_installed(A)


def test_an_offer_of_a_block_that_is_not_the_chains_is_blamed_on_all_who_made_it():
    play = Play()
    false = replace(play.chain.info, state_root=Hash(bytes(32)))

    def answer(effect):
        if isinstance(effect, AskSnapshots) and effect.peer in (B, C):
            return play.core.on_offers(effect.peer, (false,), play.now_ms)
        return None

    play.follow(play.begin(A, B, C), answer).assert_installed(B, C)


def test_a_snapshot_that_vanishes_in_the_middle_is_fetched_from_those_who_still_have_it():
    play = Play()

    def answer(effect):
        if isinstance(effect, AskChunk) and effect.peer == A:
            return play.core.on_chunk(A, effect.height, effect.index, b"", play.now_ms)
        return None

    play.follow(play.begin(A, B), answer).assert_installed()
    assert {peer for peer, _ in play.asked_chunks} == {B}


def test_when_nobody_has_it_any_more_everybody_is_asked_anew():
    play = Play()
    is_gone = True

    def answer(effect):
        if isinstance(effect, AskChunk) and is_gone:
            return play.core.on_chunk(effect.peer, effect.height, effect.index, b"", play.now_ms)
        if isinstance(effect, AskSnapshots) and play.kept_ends and is_gone:
            return play.core.on_offers(effect.peer, (), play.now_ms)
        return None

    play.follow(play.begin(A), answer)
    assert play.gave_up
    is_gone = False
    play.now_ms += CONFIG.retry_ms
    play.follow(play.begin(A), answer).assert_installed()


def test_silence_sends_a_request_to_another_peer_and_the_late_answer_is_dropped():
    play = Play()
    late: list[AskChunk] = []

    def answer(effect):
        if isinstance(effect, AskChunk) and effect.peer == B:
            late.append(effect)
            return []
        return None

    play.follow(play.begin(A, B), answer)
    while play.installed is None:
        play.follow(play.wait(CONFIG.request_timeout_ms), answer)
    play.assert_installed()
    assert late
    assert play.core.on_chunk(B, late[0].height, late[0].index, b"junk", play.now_ms) == []


def test_a_peer_that_gives_epochs_one_at_a_time_is_passed_over():
    play = Play(replace(CONFIG, epochs_per_request=4))
    asked: list[NodeId] = []

    def answer(effect):
        if isinstance(effect, AskEpochEnds):
            asked.append(effect.peer)
            if effect.peer == A:
                return play.core.on_epoch_ends(A, [play.chain.get_light_block(effect.from_epoch)], play.now_ms)
        return None

    play.follow(play.begin(A, B), answer).assert_installed()
    assert asked == [A, B]


def test_all_peers_leaving_ends_it_and_a_new_one_begins_it_again():
    play = Play()
    play.silent = {A, B}
    play.follow(play.begin(A, B))
    play.core.on_offers(A, (play.chain.info,), play.now_ms)
    play.core.on_peer_gone(B, play.now_ms)
    play.follow(play.core.on_peer_gone(A, play.now_ms))
    assert not play.core.is_active
    play.now_ms += CONFIG.retry_ms
    play.follow(play.begin(C)).assert_installed()


def test_after_a_restart_only_the_missing_chunks_are_fetched_whatever_else_is_offered():
    chain = get_chain()
    play = Play(partial=chain.info, partial_chunks=frozenset({0, 2}))
    other = replace(chain.info, depth=3)

    def answer(effect):
        if isinstance(effect, AskSnapshots):
            offers = (other,) if effect.peer in (B, C) else (chain.info, other)
            return play.core.on_offers(effect.peer, offers, play.now_ms)
        return None

    play.follow(play.begin(A, B, C), answer).assert_installed()
    assert set(play.kept) == {1, 3}


@pytest.mark.parametrize("epoch", [1, 3])
def test_after_a_restart_the_epochs_that_were_verified_are_not_asked_for_again(epoch):
    chain = get_chain()
    end = chain.get_light_block(epoch)
    play = Play(light_block=end, trusted=TrustedHeader(end.header, end.validators))
    play.follow(play.begin(A)).assert_installed()
    assert [it.header.epoch for it in play.kept_ends] == list(range(epoch + 1, 4))


def test_trust_begins_at_the_checkpoint():
    chain = get_chain()
    end = chain.get_light_block(2)
    play = Play(replace(CONFIG, checkpoint=Checkpoint(end.header.height, end.block_hash)))
    play.follow(play.begin(A)).assert_installed()
    assert [it.header.epoch for it in play.kept_ends] == [2, 3]


def test_a_chain_without_the_checkpoint_is_blamed():
    play = Play(replace(CONFIG, checkpoint=Checkpoint(Height(12), Hash(bytes(32)))))
    play.follow(play.begin(A, B))
    assert play.installed is None
    assert play.blamed == [A, B]
    assert play.gave_up


def test_a_checkpoint_with_a_certificate_that_does_not_hold_is_blamed_and_never_kept():
    good = get_chain().get_light_block(3)
    play = Play(replace(CONFIG, checkpoint=Checkpoint(good.header.height, good.block_hash)))
    forged = replace(good, certificate=replace(good.certificate, signature=bytes(96)))

    def answer(effect):
        if isinstance(effect, AskEpochEnds) and effect.peer == A:
            return play.core.on_epoch_ends(A, [forged], play.now_ms)
        return None

    play.follow(play.begin(A, B), answer).assert_installed(A)
    assert play.kept_ends == [good]


@pytest.mark.parametrize("is_insisting", [False, True])
def test_a_higher_snapshot_that_nobody_delivers_does_not_keep_a_node_from_joining(is_insisting):
    play = Play()
    boast = replace(play.chain.info, height=Height(10**6), block_hash=Hash(b"\7" * 32))

    def answer(effect):
        if effect.peer != B or isinstance(effect, AskBlock | AskChunk):
            return None
        if isinstance(effect, AskSnapshots) or is_insisting:
            return play.core.on_offers(B, (boast,), play.now_ms)
        return []

    play.follow(play.begin(A, B), answer)
    for _ in range(12):
        if play.installed is None:
            play.follow(play.wait(CONFIG.request_timeout_ms), answer)
    play.assert_installed()
