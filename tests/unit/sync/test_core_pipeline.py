"""Several spans at once, and peers that lie about their height, drip, are slow, or have pruned: none holds us up."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.sync import ApplyBlocks, BlamePeer, RequestBlocks, SyncCore
from tests.unit.sync.test_core import BAD, CHAIN, CONFIG, GOOD, HASHES, OTHER, PEER, certify

PIPELINE = replace(CONFIG, requests_max=3, span_timeout_ms=2_000)
THIRD = b"\3" * 32


def build_core(config=PIPELINE, height=0):
    return SyncCore(config, lambda certificate: certificate.signature == GOOD, height, HASHES[height], 0)


def answer(core, request, now_ms):
    """What an honest peer says."""
    last = min(request.from_height + request.count - 1, 40)
    return core.on_blocks(request.peer, CHAIN[request.from_height : last + 1], certify(CHAIN[last]), now_ms)


def test_the_next_spans_are_asked_for_while_one_is_applied():
    core = build_core()
    first, second, third = core.on_status(PEER, 40, 0)
    assert [request.from_height for request in (first, second, third)] == [1, 9, 17]
    (apply,) = answer(core, first, 1)
    assert isinstance(apply, ApplyBlocks)
    assert answer(core, second, 2) == []  # waits for its turn
    effects = core.on_head(8, HASHES[8], 3)
    assert effects[0].blocks == tuple(CHAIN[9:17])
    assert effects[1] == RequestBlocks(PEER, 25, 8)


def test_spans_that_arrive_in_another_order_are_applied_in_theirs():
    core = build_core()
    first, second, third = core.on_status(PEER, 40, 0)
    assert answer(core, third, 1) == []
    assert answer(core, second, 2) == []
    (apply,) = answer(core, first, 3)
    assert apply.blocks == tuple(CHAIN[1:9])
    assert core.on_head(8, HASHES[8], 4)[0].blocks == tuple(CHAIN[9:17])


def test_a_span_that_came_short_is_filled_up_before_the_next_is_applied():
    core = build_core()
    _, second, _ = core.on_status(PEER, 40, 0)
    answer(core, second, 1)
    (apply,) = core.on_blocks(PEER, CHAIN[1:6], certify(CHAIN[5]), 2)
    assert apply.blocks == tuple(CHAIN[1:6])
    (gap,) = core.on_head(5, HASHES[5], 3)
    assert gap == RequestBlocks(PEER, 6, 3)
    (apply,) = answer(core, gap, 4)
    assert apply.blocks == tuple(CHAIN[6:9])
    assert core.on_head(8, HASHES[8], 5)[0].blocks == tuple(CHAIN[9:17])


def test_a_wrong_span_is_blamed_when_its_turn_comes_and_the_other_peers_is_applied():
    core = build_core()
    requests = core.on_status(PEER, 40, 0)
    core.on_status(OTHER, 40, 0)
    core.on_blocks(PEER, CHAIN[9:17], certify(CHAIN[16], signature=BAD), 1)
    answer(core, requests[0], 2)
    effects = core.on_head(8, HASHES[8], 3)
    assert effects[0] == BlamePeer(PEER, "the certificate does not finalize the last block")
    assert {effect.peer for effect in effects[1:]} == {OTHER}
    assert effects[1].from_height == 9


def test_consensus_that_is_faster_than_a_slice_does_not_start_the_next_span():
    core = build_core()
    first, second, _ = core.on_status(PEER, 40, 0)
    answer(core, first, 1)
    answer(core, second, 2)
    assert core.on_head(5, HASHES[5], 3) == []  # up to 8 is still being applied
    assert isinstance(core.on_head(8, HASHES[8], 4)[0], ApplyBlocks)


def test_a_liar_about_its_height_is_left_alone_and_others_serve():
    core = build_core()
    (boast,) = core.on_status(PEER, 10**9, 0)[:1]
    core.on_status(OTHER, 40, 0)
    effects = core.on_blocks(PEER, (), None, 1)
    assert boast.peer == PEER
    assert {effect.peer for effect in effects if isinstance(effect, RequestBlocks)} == {OTHER}
    heights = _run(core, [effect for effect in effects if isinstance(effect, RequestBlocks)], {OTHER})
    assert heights == 40


def test_a_peer_that_drips_its_answers_is_asked_only_while_nobody_faster_is_there():
    core = build_core(replace(PIPELINE, request_timeout_ms=5_000, requests_max=1))
    (request,) = core.on_status(PEER, 40, 0)
    core.on_status(OTHER, 39, 0)
    (apply,) = core.on_blocks(PEER, CHAIN[1:2], certify(CHAIN[1]), 4_900)
    (request,) = core.on_head(1, HASHES[1], 4_901)
    assert request.peer == OTHER
    (apply,) = answer(core, request, 4_920)
    (request,) = core.on_head(9, HASHES[9], 4_921)
    assert (request.peer, apply.peer) == (OTHER, OTHER)


def test_blocks_without_a_certificate_cannot_go_on_for_ever():
    core = build_core(replace(PIPELINE, requests_max=1))
    (request,) = core.on_status(PEER, 40, 0)
    now_ms = 0
    for height in range(1, 40):
        now_ms += 490  # just within the time of a request
        effects = core.on_blocks(PEER, CHAIN[height : height + 1], None, now_ms)
        if not effects:
            break
        assert effects == [RequestBlocks(PEER, height + 1, 8)]
    assert now_ms == 2_450  # the time of a span
    assert request.from_height == 1
    assert core.on_status(OTHER, 40, now_ms) == [RequestBlocks(OTHER, 1, 8)]


def test_a_peer_that_has_pruned_is_asked_for_later_blocks_only():
    core = build_core(replace(PIPELINE, requests_max=1))
    core.on_status(PEER, 40, 0)
    assert core.on_pruned(PEER, 20, 1) == []
    assert core.is_cut_off
    assert not core.is_syncing
    assert core.on_timer(10_000) == []  # nobody loops on it
    (request,) = core.on_status(OTHER, 30, 10_001)
    assert request == RequestBlocks(OTHER, 1, 8)
    assert not core.is_cut_off


def test_a_peer_that_says_it_pruned_what_it_has_is_blamed():
    core = build_core(replace(PIPELINE, requests_max=1))
    core.on_status(PEER, 40, 0)
    (blame,) = core.on_pruned(PEER, 1, 1)
    assert isinstance(blame, BlamePeer)
    assert core.on_pruned(OTHER, 20, 1) == []


def test_a_late_answer_to_a_request_that_timed_out_is_not_blamed():
    core = build_core(replace(PIPELINE, requests_max=1))
    (late,) = core.on_status(PEER, 40, 0)
    assert core.on_timer(500) == []
    (again,) = core.on_timer(700)
    assert again == late
    core.on_head(8, HASHES[8], 701)
    core.on_timer(1_300)
    (request,) = core.on_timer(1_700)
    assert request.from_height == 9
    assert core.on_blocks(PEER, CHAIN[1:9], certify(CHAIN[8]), 1_701) == []
    (apply,) = answer(core, request, 1_702)
    assert apply.blocks == tuple(CHAIN[9:17])


def test_a_paused_core_asks_and_applies_nothing():
    core = build_core()
    core.is_paused = True
    assert core.on_status(PEER, 40, 0) == []
    core.is_paused = False
    assert len(core.on_timer(1)) == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["honest", "empty", "silent", "short", "uncertified"]), min_size=30, max_size=60))
def test_with_one_honest_peer_the_tip_is_reached_whatever_the_other_does(moods):
    core = build_core()
    core.on_status(OTHER, 40, 0)
    waiting = [*core.on_status(PEER, 40, 0), *core.on_timer(0)]
    # requests that on_status(OTHER) gave are silent from the start; time brings them back
    now_ms, head = 0, 0
    moods = list(moods)
    for _ in range(2_000):
        if head == 40:
            break
        if not waiting:
            now_ms += 100
            waiting += core.on_timer(now_ms)
            continue
        effect = waiting.pop(0)
        if isinstance(effect, ApplyBlocks):
            head = effect.blocks[-1].header.height
            waiting += core.on_head(head, HASHES[head], now_ms)
            continue
        if isinstance(effect, BlamePeer):
            assert effect.peer == PEER
            continue
        mood = moods.pop() if effect.peer == PEER and moods else "honest"
        end = min(effect.from_height + (1 if mood == "short" else effect.count), 41)
        if mood == "silent":
            continue
        blocks = () if mood == "empty" else CHAIN[effect.from_height : end]
        certificate = None if mood in ("empty", "uncertified") or not blocks else certify(blocks[-1])
        waiting += core.on_blocks(effect.peer, blocks, certificate, now_ms)
    assert head == 40


def _run(core, requests, honest):
    """Answer honestly until nothing is asked any more; the height that is reached."""
    head, waiting = 0, list(requests)
    while waiting:
        effect = waiting.pop(0)
        if isinstance(effect, ApplyBlocks):
            head = effect.blocks[-1].header.height
            waiting += core.on_head(head, HASHES[head], 10)
        elif effect.peer in honest:
            waiting += answer(core, effect, 10)
    return head
