"""The pallet kit: storage under prefixes, keys of several parts, events that go with their transaction."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.primitives.codec import HASH, U8, U32, U64, struct
from flockchain.primitives.errors import InvariantBroken
from flockchain.runtime.frame import NO_EXTRINSIC, EventLog, StorageMap, StorageValue, TupleOf, ValueMissing
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.overlay import Overlay

COUNT = StorageValue[int]("notes", "count", U64, 7)
BY_NUMBER = StorageMap[int, int]("notes", "by_number", U32, U64)
BY_PAIR = StorageMap[tuple[int, int], int]("notes", "by_pair", TupleOf(U32, U32), U64)


@dataclass(frozen=True, slots=True)
class Noted:
    number: int


@dataclass(frozen=True, slots=True)
class Unknown:
    number: int


@pytest.fixture
def state() -> Overlay:
    return Overlay(MemoryStore())


def test_a_value_reads_as_its_default_until_it_is_set(state: Overlay) -> None:
    assert COUNT.get(state) == 7
    COUNT.set(state, 8)
    assert COUNT.get(state) == 8
    COUNT.delete(state)
    assert COUNT.get(state) == 7


def test_storage_lies_under_pallet_and_item(state: Overlay) -> None:
    COUNT.set(state, 1)
    BY_NUMBER.set(state, 2, 3)
    assert set(state.changes) == {b"notes/count/", b"notes/by_number/" + U32.encode(2)}
    assert BY_NUMBER.get_key(2) in state.changes


def test_a_missing_entry_is_none_or_the_fallback_or_a_refusal(state: Overlay) -> None:
    assert BY_NUMBER.get(state, 1) is None
    assert BY_NUMBER.get_or(state, 1, 9) == 9
    assert not BY_NUMBER.contains(state, 1)
    with pytest.raises(ValueMissing):
        BY_NUMBER.require(state, 1)


@given(entries=st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 2**32 - 1)), st.integers(0, 2**64 - 1)))
def test_a_map_gives_back_what_was_put_in_ascending_order(entries: dict[tuple[int, int], int]) -> None:
    state = Overlay(MemoryStore())
    for key, value in entries.items():
        BY_PAIR.set(state, key, value)
    assert list(BY_PAIR.items(state)) == sorted(entries.items())
    for first in range(4):
        assert list(BY_PAIR.items(state, first=(first,))) == sorted(
            (key, value) for key, value in entries.items() if key[0] == first
        )


def test_a_deleted_entry_is_gone_from_the_scan(state: Overlay) -> None:
    BY_NUMBER.set(state, 1, 1)
    BY_NUMBER.set(state, 2, 2)
    BY_NUMBER.delete(state, 1)
    assert list(BY_NUMBER.items(state)) == [(2, 2)]


def test_a_key_must_name_all_its_parts(state: Overlay) -> None:
    with pytest.raises(InvariantBroken):
        BY_PAIR.set(state, (1,), 1)  # type: ignore[arg-type]
    assert state.changes == {}


def test_only_a_key_of_several_parts_is_scanned_by_its_first(state: Overlay) -> None:
    with pytest.raises(InvariantBroken):
        list(BY_NUMBER.items(state, first=(1,)))


def test_an_event_is_encoded_with_its_origin_pallet_and_index() -> None:
    log = EventLog({Noted: (9, 4, struct(Noted, number=U8))})
    log.deposit(Noted(5))
    log.origin = 3
    log.deposit(Noted(6))
    assert log.entries == [U32.encode(NO_EXTRINSIC) + bytes([9, 4, 5]), U32.encode(3) + bytes([9, 4, 6])]


def test_a_rollback_takes_back_the_events_since_its_mark() -> None:
    log = EventLog({Noted: (9, 0, struct(Noted, number=U8))})
    log.deposit(Noted(1))
    mark = log.mark()
    log.deposit(Noted(2))
    log.rollback(mark)
    assert len(log.entries) == 1


def test_an_undeclared_event_is_our_own_mistake() -> None:
    log = EventLog({Noted: (9, 0, struct(Noted, number=U8))})
    with pytest.raises(InvariantBroken):
        log.deposit(Unknown(1))
    assert log.entries == []


def test_a_tuple_key_decodes_to_what_was_encoded() -> None:
    codec = TupleOf(U32, HASH)
    assert codec.decode(codec.encode((7, bytes(32)))) == (7, bytes(32))
