"""Catching up: only certified chains from our own head are applied, whatever peers say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.vote import Certificate, VoteKind
from flockchain.sync import ApplyBlocks, BlamePeer, RequestBlocks, SyncConfig, SyncCore, build_reply
from tests.kit.blocks import build_block

GOOD, BAD = b"good".ljust(96, b"\0"), b"bad".ljust(96, b"\0")
PEER, OTHER = b"\1" * 32, b"\2" * 32
CONFIG = SyncConfig(
    lag_blocks=3, stall_ms=1000, blocks_per_request=8, request_timeout_ms=500, backoff_ms=100, requests_max=1
)


def build_chain(length, *, epoch=0):
    chain = [build_block(height=0)]
    for height in range(1, length + 1):
        parent = compute_block_hash(chain[-1].header)
        chain.append(build_block(height=height, parent=parent, timestamp_ms=height, epoch=epoch))
    return chain


CHAIN = build_chain(40)
HASHES = [compute_block_hash(block.header) for block in CHAIN]


def certify(block, *, signature=GOOD, kind=VoteKind.FINALIZE):
    return Certificate(kind, block.header.epoch, 1, compute_block_hash(block.header), b"\7", signature)


def build_core(height=0):
    return SyncCore(CONFIG, lambda certificate: certificate.signature == GOOD, height, HASHES[height], 0)


def ask(core, height=40, now_ms=0):
    (request,) = core.on_status(PEER, height, now_ms)
    assert isinstance(request, RequestBlocks)
    return request


def test_a_node_that_is_behind_asks_and_applies_what_is_certified():
    core = build_core()
    assert ask(core) == RequestBlocks(PEER, 1, 8)
    assert core.is_syncing
    (apply,) = core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8]), 10)
    assert apply == ApplyBlocks(PEER, tuple(CHAIN[1:9]), tuple(HASHES[1:9]), certify(CHAIN[8]))
    assert core.on_head(8, HASHES[8], 20) == [RequestBlocks(PEER, 9, 8)]


def test_nothing_is_asked_while_blocks_are_being_applied():
    core = build_core()
    ask(core)
    core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8]), 10)
    assert core.on_status(OTHER, 40, 11) == []
    assert core.on_timer(12) == []


def test_a_small_lag_is_left_to_consensus_until_our_head_stands_still():
    core = build_core(height=10)
    assert core.on_status(PEER, 12, 0) == []
    assert core.on_timer(999) == []
    assert not core.is_syncing
    assert core.on_timer(1000) == [RequestBlocks(PEER, 11, 8)]


def test_a_node_at_the_head_asks_nothing():
    core = build_core(height=40)
    assert core.on_status(PEER, 40, 0) == []
    assert core.on_timer(10_000) == []


def test_it_goes_on_until_it_has_caught_up_completely():
    core = build_core()
    (effect,) = core.on_status(PEER, 10, 0)
    for _ in range(2):
        last = min(effect.from_height + 7, 10)
        (apply,) = core.on_blocks(PEER, CHAIN[effect.from_height : last + 1], certify(CHAIN[last]), 1)
        effects = core.on_head(last, HASHES[last], 2)
        if effects:
            (effect,) = effects
    assert effects == []
    assert not core.is_syncing
    assert apply.blocks[-1] == CHAIN[10]


def test_blocks_without_a_certificate_wait_for_it():
    core = build_core()
    ask(core)
    assert core.on_blocks(PEER, CHAIN[1:4], None, 1) == [RequestBlocks(PEER, 4, 8)]
    (apply,) = core.on_blocks(PEER, CHAIN[4:6], certify(CHAIN[5]), 2)
    assert apply.blocks == tuple(CHAIN[1:6])


def test_a_certificate_that_does_not_verify_is_blamed_and_nothing_is_applied():
    core = build_core()
    ask(core)
    _assert_blamed(core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8], signature=BAD), 1))


def test_a_certificate_of_another_block_or_kind_is_blamed():
    for certificate in (certify(CHAIN[7]), certify(CHAIN[8], kind=VoteKind.NOTARIZE)):
        core = build_core()
        ask(core)
        _assert_blamed(core.on_blocks(PEER, CHAIN[1:9], certificate, 1))


def test_blocks_that_do_not_link_are_blamed():
    forged = replace(CHAIN[4], header=replace(CHAIN[4].header, timestamp_ms=999))
    for blocks in ([*CHAIN[1:4], *CHAIN[5:9]], [*CHAIN[1:4], forged, *CHAIN[5:9]], [forged]):
        core = build_core()
        ask(core)
        _assert_blamed(core.on_blocks(PEER, blocks, certify(blocks[-1]), 1))


def test_a_span_that_reaches_into_the_next_epoch_is_blamed_even_if_certified():
    """Its certificate would be handed to a consensus core of the epoch before."""
    beyond = [build_block(height=5, parent=HASHES[4], timestamp_ms=5, epoch=1)]
    core = build_core()
    ask(core)
    _assert_blamed(core.on_blocks(PEER, [*CHAIN[1:5], *beyond], certify(beyond[0]), 1))


def test_a_certified_chain_from_another_genesis_is_blamed():
    core = build_core()
    ask(core)
    foreign = [build_block(height=1, parent=b"\5" * 32)]
    _assert_blamed(core.on_blocks(PEER, foreign, certify(foreign[0]), 1))


def test_more_blocks_than_asked_for_are_blamed():
    core = build_core()
    ask(core)
    _assert_blamed(core.on_blocks(PEER, CHAIN[1:10], certify(CHAIN[9]), 1))


def test_an_answer_that_nobody_asked_for_is_dropped():
    core = build_core()
    assert core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8]), 1) == []
    ask(core)
    assert core.on_blocks(OTHER, CHAIN[1:9], certify(CHAIN[8]), 1) == []


def test_an_empty_answer_sends_us_to_another_peer_without_blame():
    core = build_core()
    ask(core)
    core.on_status(OTHER, 30, 1)
    assert core.on_blocks(PEER, (), None, 2) == [RequestBlocks(OTHER, 1, 8)]


def test_silence_sends_us_to_another_peer_and_back_after_a_while():
    core = build_core()
    ask(core)
    assert core.on_timer(499) == []
    assert core.on_timer(500) == []  # nobody else; PEER is left alone for a moment
    assert core.on_timer(600) == [RequestBlocks(PEER, 1, 8)]
    core.on_status(OTHER, 20, 601)
    assert core.on_timer(1100) == [RequestBlocks(OTHER, 1, 8)]


def test_a_boast_that_is_not_made_good_does_not_make_us_look_behind():
    core = build_core(height=10)
    assert ask(core, height=1_000_000) == RequestBlocks(PEER, 11, 8)
    assert core.on_blocks(PEER, [], None, 10) == []
    core.on_timer(11)
    assert not core.is_syncing
    core.on_status(OTHER, 20, 12)
    assert core.is_syncing


def test_a_peer_that_leaves_in_the_middle_is_replaced():
    core = build_core()
    core.on_status(PEER, 40, 0)
    core.on_status(OTHER, 30, 0)
    assert core.on_peer_gone(PEER, 1) == [RequestBlocks(OTHER, 1, 8)]
    assert core.best_height == 30


def test_blocks_that_consensus_finalized_in_the_meantime_are_left_out():
    core = build_core()
    ask(core)
    core.on_head(5, HASHES[5], 1)
    (apply,) = core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8]), 2)
    assert apply.blocks == tuple(CHAIN[6:9])


def test_an_answer_that_is_wholly_old_by_now_is_dropped_without_blame():
    core = build_core()
    ask(core)
    core.on_head(9, HASHES[9], 1)
    assert core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8]), 2) == [RequestBlocks(PEER, 10, 8)]


def test_an_answer_that_comes_twice_is_dropped_without_blame_and_the_next_is_still_waited_for():
    core = build_core()
    ask(core)
    core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8]), 1)
    assert core.on_head(8, HASHES[8], 2) == [RequestBlocks(PEER, 9, 8)]
    assert core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8]), 3) == []
    (apply,) = core.on_blocks(PEER, CHAIN[9:17], certify(CHAIN[16]), 4)
    assert apply.blocks == tuple(CHAIN[9:17])


def test_certified_blocks_that_do_not_execute_are_blamed():
    core = build_core()
    ask(core)
    core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8]), 1)
    assert core.on_apply_failed(PEER, "wrong state root", 2)[0] == BlamePeer(PEER, "wrong state root")


def test_a_reply_ends_at_a_certified_height_inside_the_epoch():
    source = _Source({4: certify(CHAIN[4]), 9: certify(CHAIN[9])})
    assert build_reply(source, 2, 7, 40) == (tuple(CHAIN[2:5]), certify(CHAIN[4]))
    assert build_reply(source, 2, 100, 12) == (tuple(CHAIN[2:10]), certify(CHAIN[9]))
    assert build_reply(source, 5, 3, 40) == (tuple(CHAIN[5:8]), None)
    assert build_reply(source, 41, 3, 60) == ((), None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 8))
def test_whatever_heights_are_certified_a_new_node_catches_up_with_an_honest_peer(certified, per_request):
    source = _Source({height: certify(CHAIN[height]) for height in {*certified, 40}})
    config = replace(CONFIG, blocks_per_request=per_request)
    core = SyncCore(config, lambda certificate: True, 0, HASHES[0], 0)
    effects = core.on_status(PEER, 40, 0)
    head = 0
    while effects:
        (effect,) = effects
        if isinstance(effect, RequestBlocks):
            effects = core.on_blocks(PEER, *build_reply(source, effect.from_height, effect.count, 40), 1)
        else:
            assert isinstance(effect, ApplyBlocks)
            assert effect.blocks[0].header.parent == HASHES[head]
            head = effect.blocks[-1].header.height
            effects = core.on_head(head, HASHES[head], 1)
    assert head == 40


class _Source:
    def __init__(self, certificates):
        self._certificates = certificates

    def get_block(self, height):
        return CHAIN[height] if height < len(CHAIN) else None

    def get_certificate(self, height):
        return self._certificates.get(height)


def _assert_blamed(effects):
    assert [type(effect) for effect in effects] == [BlamePeer]
