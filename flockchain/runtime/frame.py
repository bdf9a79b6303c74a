"""The pallet kit: typed storage, calls, events, contexts. A pallet is one file that uses only this and primitives.

Knows: how a pallet keeps values under its own prefix, declares calls and events, and refuses. Does not know: which
pallets exist, in which order they run, what a fee or a signature is (`executive.py`, `flock.py`).

A pallet file has a fixed order: events, refusals, needs, storage, hooks, calls, items, views. A call has four beats:
who, checks, changes, event. Checks come first because a refusal late in a call costs more to undo. For example:

    @dataclass(frozen=True, slots=True)
    class Noted:                                        # an event
        author: AccountId
        note: bytes

    class NoteTooDear(Refused):                         # a refusal: a sentence and the values that disagree
        def __init__(self, price: int, free: int) -> None:
            super().__init__("a note costs more than the account has", price=price, free=free)

    class Purse(Protocol):                              # a need: the one method of a neighbour that is used here
        def get_free(self, state: StateReader, account: AccountId) -> Balance: ...

    @dataclass(frozen=True, slots=True)
    class Note:                                         # the arguments of a call
        note: bytes

    NOTES: Final = StorageMap[AccountId, bytes]("notes", "by_author", HASH, VarBytes(256))
    COUNT: Final = StorageValue[int]("notes", "count", U64, 0)

    class Notes(Pallet):
        name = "notes"
        index = 9
        events = {0: struct(Noted, author=HASH, note=VarBytes(256))}

        def __init__(self, purse: Purse, price: int) -> None:
            self.purse, self.price = purse, price
            self.calls = (CallSpec(0, "note", struct(Note, note=VarBytes(256)), 100, self.note),)

        def note(self, ctx: CallContext, arguments: Note) -> None:
            free = self.purse.get_free(ctx.state, ctx.sender)
            if free < self.price:
                raise NoteTooDear(self.price, free)
            NOTES.set(ctx.state, ctx.sender, arguments.note)
            COUNT.set(ctx.state, COUNT.get(ctx.state) + 1)
            ctx.deposit(Noted(ctx.sender, arguments.note))

        def try_state(self, state: StateReader) -> None:
            invariant(COUNT.get(state) >= sum(1 for _ in NOTES.items(state)), "every note was counted")

A pallet that takes items of a block's learning section names their handlers in `items`, by type. A handler raises
`InvalidInput` for an item that breaks V1 to V4: the block is then invalid; while building, the item is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from flockchain.crypto.bls import BlsBackend
from flockchain.primitives.codec import U8, U32, Codec, Reader, Struct
from flockchain.primitives.errors import InvariantBroken, Refused, invariant
from flockchain.primitives.numbers import AccountId, Epoch, Hash, Height, TimestampMs, View
from flockchain.storage.overlay import StateReader

if TYPE_CHECKING:
    from flockchain.runtime.genesis_config import GenesisConfig

__all__ = [
    "NO_EXTRINSIC", "BlockContext", "CallContext", "CallSpec", "Context", "EncodedEvent", "EventLog", "ItemHandler",
    "Pallet", "State", "StateReader", "StorageMap", "StorageValue", "TupleOf", "ValueMissing",
]  # fmt: skip

K = TypeVar("K")
V = TypeVar("V")

NO_EXTRINSIC: Final = 2**32 - 1  # the origin of events from hooks and inherents

_REMEMBERED_VALUES: Final = 512  # of one storage item: most are read block after block and seldom written
_REMEMBERED_BYTES: Final = 512  # what is longer is not worth its room

EncodedEvent = bytes  # u32 extrinsic index (or NO_EXTRINSIC) ‖ u8 pallet ‖ u8 event ‖ encoded fields


class State(StateReader, Protocol):
    """State that can change: a storage overlay. A transaction undoes its changes when an exception leaves it."""

    def set(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...

    def transaction(self) -> AbstractContextManager[Any]: ...


class ValueMissing(Refused):
    """A record that the request names does not exist."""


class TupleOf:
    """A key of several parts, e.g. `TupleOf(U32, U32)` for (task, round). Fixed-width parts keep the scan's order."""

    def __init__(self, *parts: Codec[Any]) -> None:
        self.parts = parts
        self._encoders = tuple(part.encode for part in parts)

    def write(self, out: bytearray, value: tuple[Any, ...]) -> None:
        out += self.encode(value)

    def read(self, reader: Reader) -> tuple[Any, ...]:
        return tuple(part.read(reader) for part in self.parts)

    def encode(self, value: tuple[Any, ...]) -> bytes:
        if len(value) != len(self.parts):
            raise InvariantBroken("a key names all of its parts", parts=len(self.parts), got=len(value))
        return b"".join([encode(element) for encode, element in zip(self._encoders, value, strict=True)])

    def decode(self, data: bytes) -> tuple[Any, ...]:
        reader = Reader(data)
        value = self.read(reader)
        invariant(reader.offset == reader.end, "a stored key has exactly its parts", bytes=len(data))
        return value

    def encode_first(self, *elements: Any) -> bytes:
        """The first parts alone: a prefix to scan."""
        return b"".join([encode(element) for encode, element in zip(self._encoders, elements, strict=False)])


def _remember(codec: Codec[V]) -> Callable[[bytes], V]:
    """`codec.decode`, which has not to look at the same short bytes twice: what it gives cannot be changed."""
    remembered = lru_cache(maxsize=_REMEMBERED_VALUES)(codec.decode)

    def decode(raw: bytes) -> V:
        return remembered(raw) if len(raw) <= _REMEMBERED_BYTES else codec.decode(raw)

    return decode


class StorageValue(Generic[V]):
    """One value at `<pallet>/<item>/`; reads as `default` until set. Its encoding must not be empty.

    Write the domain's types out, `StorageValue[Hash](...)`: codecs speak of integers and bytes only.
    """

    def __init__(self, pallet: str, item: str, codec: Codec[Any], default: V) -> None:
        self.key: Final = f"{pallet}/{item}/".encode("ascii")
        self.codec: Codec[V] = codec
        self.default = default
        self._decode = _remember(self.codec)

    def get(self, state: StateReader) -> V:
        raw = state.get(self.key)
        return self.default if raw is None else self._decode(raw)

    def set(self, state: State, value: V) -> None:
        state.set(self.key, self.codec.encode(value))

    def delete(self, state: State) -> None:
        state.delete(self.key)


class StorageMap(Generic[K, V]):
    """Values at `<pallet>/<item>/` + encoded key, in the order of the encoded keys."""

    def __init__(self, pallet: str, item: str, key_codec: Codec[Any], codec: Codec[Any]) -> None:
        self.prefix: Final = f"{pallet}/{item}/".encode("ascii")
        self.key_codec: Codec[K] = key_codec
        self.codec: Codec[V] = codec
        self._decode = _remember(self.codec)
        self._missing = f"there is no such entry in {pallet}/{item}"

    def get_key(self, key: K) -> bytes:
        """The full state key, as proofs name it."""
        return self.prefix + self.key_codec.encode(key)

    def get(self, state: StateReader, key: K) -> V | None:
        raw = state.get(self.prefix + self.key_codec.encode(key))
        return None if raw is None else self._decode(raw)

    def get_or(self, state: StateReader, key: K, default: V) -> V:
        raw = state.get(self.prefix + self.key_codec.encode(key))
        return default if raw is None else self._decode(raw)

    def require(self, state: StateReader, key: K) -> V:
        """The value, or `ValueMissing` (a refusal)."""
        raw = state.get(self.prefix + self.key_codec.encode(key))
        if raw is None:
            raise ValueMissing(self._missing, key=key)
        return self._decode(raw)

    def contains(self, state: StateReader, key: K) -> bool:
        return state.get(self.prefix + self.key_codec.encode(key)) is not None

    def set(self, state: State, key: K, value: V) -> None:
        state.set(self.prefix + self.key_codec.encode(key), self.codec.encode(value))

    def delete(self, state: State, key: K) -> None:
        state.delete(self.prefix + self.key_codec.encode(key))

    def items(self, state: StateReader, first: tuple[Any, ...] = ()) -> Iterator[tuple[K, V]]:
        """All entries, or those of a `TupleOf` key whose first parts are `first`. Do not write while iterating."""
        prefix = self.prefix
        if first:
            invariant(isinstance(self.key_codec, TupleOf), "only a key of several parts can be scanned by its first")
            prefix += self.key_codec.encode_first(*first)  # type: ignore[attr-defined]
        start = len(self.prefix)
        for key, raw in state.scan(prefix):
            yield self.key_codec.decode(key[start:]), self._decode(raw)


class EventLog:
    """The events of one block as they happen, encoded at once. `mark` and `rollback` go with state transactions."""

    __slots__ = ("_by_type", "entries", "origin")

    def __init__(self, by_type: Mapping[type, tuple[int, int, Struct[Any]]]) -> None:
        self._by_type = by_type
        self.entries: list[EncodedEvent] = []
        self.origin = NO_EXTRINSIC

    def deposit(self, event: object) -> None:
        entry = self._by_type.get(type(event))
        invariant(entry is not None, "an event must be declared by its pallet", type=type(event).__name__)
        pallet, index, codec = entry  # type: ignore[misc]
        out = bytearray()
        U32.write(out, self.origin)
        U8.write(out, pallet)
        U8.write(out, index)
        codec.write(out, event)
        self.entries.append(bytes(out))

    def mark(self) -> int:
        return len(self.entries)

    def rollback(self, mark: int) -> None:
        del self.entries[mark:]


@dataclass(frozen=True, slots=True)
class BlockContext:
    """What is known of the block under execution; equal on every node, but for how it came to be executed here.

    `is_final`: more than 2/3 of the stake finalized it before, and checked then what cannot change its outcome.
    """

    parent: Hash
    height: Height
    epoch: Epoch
    view: View
    timestamp_ms: TimestampMs
    proposer: AccountId
    genesis_hash: Hash
    spec_version: int
    crypto: BlsBackend
    is_final: bool = False


class Context:
    """What a hook or an item's handler works with."""

    __slots__ = ("block", "events", "state")

    def __init__(self, state: State, block: BlockContext, events: EventLog) -> None:
        self.state = state
        self.block = block
        self.events = events

    def deposit(self, event: object) -> None:
        """Append an event; it is undone together with the state when the call or the item fails."""
        self.events.deposit(event)


class CallContext(Context):
    """What a call works with: the same, and who signed."""

    __slots__ = ("sender",)

    def __init__(self, state: State, block: BlockContext, events: EventLog, sender: AccountId) -> None:
        super().__init__(state, block, events)
        self.sender = sender


ItemHandler = Callable[[Context, Any], None]


@dataclass(frozen=True, slots=True)
class CallSpec:
    """One call. `index` is explicit and append-only; `weight` is in microseconds of one core, rounded up."""

    index: int
    name: str
    arguments: Struct[Any]
    weight: int
    handler: Callable[[CallContext, Any], None]


class Pallet:
    """One noun of the state. Subclasses override what they need; the rest does nothing."""

    name: str
    index: int
    calls: tuple[CallSpec, ...] = ()
    events: Mapping[int, Struct[Any]] = {}
    items: Mapping[type, ItemHandler] = {}

    def get_constants(self) -> Mapping[str, int | str]:
        """Parameters that a user of the pallet wants to know; served as metadata."""
        return {}

    def build_genesis(self, state: State, config: GenesisConfig) -> None:
        """Write the first state."""

    def on_initialize(self, ctx: Context) -> None:
        """Runs first in every block, before the inherents; may change state, may not refuse."""

    def on_finalize(self, ctx: Context) -> None:
        """Runs last in every block, after the extrinsics; may change state, may not refuse."""

    def try_state(self, state: StateReader) -> None:
        """Raise `InvariantBroken` if the pallet's state contradicts itself. For tests and `sim`; may be slow."""
