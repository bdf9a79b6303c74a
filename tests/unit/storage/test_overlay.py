"""Overlays: what is read is what was written last, and a rollback leaves no trace."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.limits import STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.overlay import Overlay

KEYS = st.sampled_from([b"a", b"a/", b"a/1", b"a/2", b"a\xff", b"a\xff\xff", b"b", b"b/1", b"\xff", b"\xff\xff"])
PREFIXES = [b"", b"a", b"a/", b"a\xff", b"b", b"\xff", b"\xff\xff", b"zz"]
VALUES = st.binary(min_size=1, max_size=2)


def make_base() -> MemoryStore:
    base = MemoryStore()
    base.write({b"a": b"0", b"a/1": b"1", b"a\xff": b"2", b"b/1": b"3", b"\xff\xff": b"4"}, sync=False)
    return base


class OverlayAgainstDictionaries(RuleBasedStateMachine):
    """An overlay over an overlay over a store does what a stack of dictionaries does."""

    def __init__(self) -> None:
        super().__init__()
        base = make_base()
        middle = Overlay(base)
        middle.set(b"a/2", b"m")
        middle.delete(b"a")
        self.overlay = Overlay(middle)
        self.below = dict(middle.scan(b""))
        self.entries = dict(self.below)
        self.stack: list[dict[bytes, bytes]] = []

    @rule(key=KEYS, value=VALUES)
    def set(self, key: bytes, value: bytes) -> None:
        self.overlay.set(key, value)
        self.entries[key] = value

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        self.overlay.delete(key)
        self.entries.pop(key, None)

    @rule()
    def begin(self) -> None:
        self.overlay.begin()
        self.stack.append(dict(self.entries))

    @rule()
    def commit(self) -> None:
        if self.stack:
            self.overlay.commit()
            self.stack.pop()

    @rule()
    def rollback(self) -> None:
        if self.stack:
            self.overlay.rollback()
            self.entries = self.stack.pop()

    @invariant()
    def reads_agree(self) -> None:
        assert self.overlay.depth == len(self.stack)
        for prefix in PREFIXES:
            expected = sorted((key, value) for key, value in self.entries.items() if key.startswith(prefix))
            assert list(self.overlay.scan(prefix)) == expected
        assert all(self.overlay.get(key) == value for key, value in self.entries.items())
        merged: dict[bytes, bytes | None] = {**self.below, **self.overlay.changes}
        assert {key: value for key, value in merged.items() if value is not None} == self.entries


TestOverlayAgainstDictionaries = OverlayAgainstDictionaries.TestCase
TestOverlayAgainstDictionaries.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def fail_in_a_transaction(overlay: Overlay) -> None:
    with overlay.transaction():
        overlay.set(b"x", b"2")
        overlay.set(b"y", b"2")
        overlay.delete(b"a")
        raise ZeroDivisionError


def test_a_transaction_keeps_its_changes_when_it_ends_and_none_when_it_raises() -> None:
    overlay = Overlay(make_base())
    with overlay.transaction():
        overlay.set(b"x", b"1")
        with pytest.raises(ZeroDivisionError):
            fail_in_a_transaction(overlay)
        assert overlay.get(b"y") is None
    assert overlay.changes == {b"x": b"1"}
    assert overlay.get(b"a") == b"0"
    assert overlay.depth == 0


def test_changes_are_a_copy() -> None:
    overlay = Overlay(make_base())
    overlay.set(b"x", b"1")
    overlay.changes.clear()
    assert overlay.changes == {b"x": b"1"}


def test_an_overlay_never_writes_to_its_base() -> None:
    base = make_base()
    before = list(base.scan(b""))
    overlay = Overlay(base)
    overlay.set(b"a", b"9")
    overlay.delete(b"b/1")
    assert list(base.scan(b"")) == before


def test_a_scan_is_not_disturbed_by_writes_made_while_it_runs() -> None:
    overlay = Overlay(make_base())
    overlay.set(b"a/2", b"x")
    seen = []
    for key, _ in overlay.scan(b"a"):
        seen.append(key)
        overlay.delete(key)
        overlay.set(key + b"new", b"1")
    assert seen == [b"a", b"a/1", b"a/2", b"a\xff"]
    assert [key for key, _ in overlay.scan(b"a")] == [b"a/1new", b"a/2new", b"anew", b"a\xffnew"]


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"k", b""), (b"", b"v"), (b"k" * (STATE_KEY_BYTES_MAX + 1), b"v"), (b"k", bytes(STATE_VALUE_BYTES_MAX + 1))],
    ids=["empty value", "empty key", "long key", "long value"],
)
def test_sizes_that_state_does_not_allow_are_our_own_mistake(key: bytes, value: bytes) -> None:
    overlay = Overlay(make_base())
    with pytest.raises(InvariantBroken):
        overlay.set(key, value)
    assert overlay.changes == {}


def test_ending_a_transaction_that_is_not_open_is_our_own_mistake() -> None:
    overlay = Overlay(make_base())
    for end in (overlay.commit, overlay.rollback):
        with pytest.raises(InvariantBroken):
            end()
