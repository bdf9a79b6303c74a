"""Every store is the same ordered map with atomic batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flockchain.primitives.errors import Fault
from flockchain.storage.level_store import LevelStore
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.store import Store

MAKERS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda path: MemoryStore(),
    "level": LevelStore,
}
KEYS = st.binary(max_size=3) | st.sampled_from([b"\xff", b"\xff\xff", b"a\xff", b"a\xff\xff", b"b"])
BATCHES = st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=4), max_size=6), max_size=5)


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = MAKERS[request.param](tmp_path / "store")
    yield made
    made.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES, st.lists(KEYS, max_size=4))
def test_it_is_an_ordered_map(store: Store, batches: list[dict[bytes, bytes | None]], prefixes: list[bytes]) -> None:
    store.write({key: None for key, _ in store.scan(b"")}, sync=False)
    model: dict[bytes, bytes] = {}
    for batch in batches:
        store.write(batch, sync=False)
        for key, value in batch.items():
            model.pop(key, None)
            if value is not None:
                model[key] = value
        for key in batch:
            assert store.get(key) == model.get(key)
    for prefix in [b"", b"a", b"\xff", *prefixes]:
        assert list(store.scan(prefix)) == sorted(item for item in model.items() if item[0].startswith(prefix))


def test_a_key_that_was_never_put_is_none(store: Store) -> None:
    assert store.get(b"nothing") is None
    assert list(store.scan(b"nothing")) == []


def test_a_scan_shows_the_moment_it_was_called(store: Store) -> None:
    store.write({b"a": b"1", b"b": b"2"}, sync=True)
    scan = store.scan(b"")
    store.write({b"a": None, b"b": b"9", b"c": b"3"}, sync=True)
    assert list(scan) == [(b"a", b"1"), (b"b", b"2")]


def test_a_batch_with_a_wrong_type_writes_nothing(store: Store) -> None:
    with pytest.raises(TypeError):
        store.write({b"a": b"1", b"b": "text"}, sync=True)  # type: ignore[dict-item]
    assert list(store.scan(b"")) == []


def test_a_closed_store_is_a_fault_and_closing_twice_is_not(store: Store) -> None:
    store.write({b"a": b"1"}, sync=True)
    store.close()
    store.close()
    for use in (lambda: store.get(b"a"), lambda: list(store.scan(b"")), lambda: store.write({b"b": b"2"}, sync=True)):
        with pytest.raises(Fault):
            use()


def test_many_keys_deleted_and_put_again_stay_in_order(store: Store) -> None:
    keys = [b"%05d" % number for number in range(3000)]
    store.write(dict.fromkeys(keys, b"1"), sync=False)
    store.write(dict.fromkeys(keys), sync=False)
    store.write(dict.fromkeys(keys[::-7], b"2"), sync=False)
    assert [key for key, _ in store.scan(b"")] == sorted(keys[::-7])


def test_a_frozen_store_shows_what_was_there_whatever_is_written_since(store: Store) -> None:
    store.write({b"a1": b"old", b"a2": b"gone", b"b": b"other"}, sync=False)
    frozen = store.freeze()
    store.write({b"a1": b"new", b"a2": None, b"a3": b"late"}, sync=False)
    assert [frozen.get(key) for key in (b"a1", b"a2", b"a3")] == [b"old", b"gone", None]
    assert list(frozen.scan(b"a")) == [(b"a1", b"old"), (b"a2", b"gone")]
    frozen.close()
    assert store.get(b"a1") == b"new"
