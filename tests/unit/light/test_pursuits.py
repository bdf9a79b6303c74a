"""The way to a header far ahead: it arrives when the node is honest, and believes no node that is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.light import LightBlock, LightClient, VerificationFailed
from flockchain.light.light_block import LIGHT_BLOCK
from flockchain.light.pursuit import Pursuit, reach
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import Epoch
from tests.kit.light_chain import EPOCH_BLOCKS, Committee, LightChain

NAMES = "abcdefgh"
FOUR = {"a": 10, "b": 10, "c": 10, "d": 10}

committees = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.integers(1, 100), min_size=1, max_size=5), min_size=2, max_size=12
)


def pursue(
    client: LightClient, chain: LightChain, target: LightBlock, near_epochs: int
) -> tuple[list[LightBlock], list[int]]:
    """The hops, and the epochs that were asked for."""
    now_ms = chain.get_time(len(chain.headers))
    pursuit = Pursuit(client, target, near_epochs=near_epochs)
    pursuit.advance(now_ms)
    asked: list[int] = []
    while pursuit.wanted is not None:
        asked.append(pursuit.wanted)
        pursuit.on_light_block(chain.get_last_of(pursuit.wanted), now_ms)
    return pursuit.hops, asked


@settings(max_examples=40, deadline=None)
@given(committees, st.integers(0, 8), st.data())
def test_every_header_of_an_honest_chain_is_reached_through_any_changes_of_validators(
    sets: list[Committee], near_epochs: int, data: st.DataObject
) -> None:
    chain = LightChain.make(sets)
    start, end = sorted(data.draw(st.lists(st.integers(0, len(chain.headers) - 1), min_size=2, max_size=2)))
    client = chain.trust(start)
    target = chain.get_light_block(max(end, 1))
    hops, asked = pursue(client, chain, target, near_epochs) if end > start else ([], [])
    assert client.trusted.header == chain.headers[end]
    assert [chain.headers[hop.header.height] for hop in hops] == [hop.header for hop in hops]
    assert len(set(asked)) == len(asked)
    assert len(asked) <= len(sets)


def test_while_the_validators_stay_a_target_is_reached_in_one_step() -> None:
    chain = LightChain.make([FOUR], 4 * 40)
    hops, asked = pursue(chain.trust(), chain, chain.get_light_block(160), 8)
    assert (len(hops), asked) == (1, [])


def test_a_near_target_is_reached_epoch_by_epoch() -> None:
    chain = LightChain.make([FOUR], 40)
    hops, asked = pursue(chain.trust(), chain, chain.get_light_block(26), 8)
    assert asked == [1, 2, 3, 4, 5]
    assert [hop.header.epoch for hop in hops] == [1, 2, 3, 4, 5, 6]


def test_one_change_of_validators_on_a_long_way_costs_a_search_for_it() -> None:
    changed = {"a": 10, "b": 10, "c": 10, "e": 10}
    chain = LightChain.make([FOUR] * 77 + [changed] * 123)
    hops, asked = pursue(chain.trust(), chain, chain.get_light_block(799), 8)
    assert len(asked) < 24
    assert {76, 77} <= {hop.header.epoch for hop in hops}


def test_reaching_needs_nothing_but_the_last_headers_of_epochs() -> None:
    chain = LightChain.make([FOUR, {**FOUR, "e": 30}, {"e": 30, "f": 60}, {"f": 60}])
    now_ms = chain.get_time(16)
    assert reach(chain.trust(), chain.get_light_block(15), now_ms, chain.get_last_of).header == chain.headers[15]


def test_a_header_of_another_epoch_than_the_wanted_one_is_refused() -> None:
    chain = LightChain.make([FOUR], 60)
    client = chain.trust()
    pursuit = Pursuit(client, chain.get_light_block(12))
    pursuit.advance(chain.get_time(60))
    assert pursuit.wanted == Epoch(1)
    before = client.store
    with pytest.raises(VerificationFailed, match="not of the wanted epoch"):
        pursuit.on_light_block(chain.get_last_of(2), chain.get_time(60))
    assert client.store is before


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), st.integers(0, 8), st.data())
def test_a_node_that_changes_any_bit_on_the_way_is_found_out_or_has_changed_nothing(
    lie_at: int, near_epochs: int, data: st.DataObject
) -> None:
    sets = [FOUR, {**FOUR, "e": 20}, {"b": 10, "e": 20, "f": 9}, {"e": 20, "f": 9}, {"f": 9, "g": 50}, {"g": 50}]
    chain = LightChain.make(sets)
    client, now_ms = chain.trust(), chain.get_time(30)
    raw = bytearray(LIGHT_BLOCK.encode(chain.get_last_of(min(lie_at, 5))))
    at = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[at // 8] ^= 1 << at % 8
    try:
        lie = LIGHT_BLOCK.decode(bytes(raw))
    except InvalidInput:
        return  # not even an encoding

    def fetch(epoch: Epoch) -> LightBlock:
        return lie if epoch == min(lie_at, 5) else chain.get_last_of(epoch)

    pursuit = Pursuit(client, chain.get_light_block(len(sets) * EPOCH_BLOCKS), near_epochs=near_epochs)
    try:
        pursuit.advance(now_ms)
        while pursuit.wanted is not None:
            pursuit.on_light_block(fetch(pursuit.wanted), now_ms)
    except VerificationFailed:
        pass
    assert client.trusted.header in chain.headers
    assert all(hop.header in chain.headers for hop in pursuit.hops)
