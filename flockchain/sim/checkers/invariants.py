"""The runtime's own account of its state holds after every block: `try_state` of every pallet.

A pallet is asked again when a block changed something under a prefix that it read the last time; so what did not
change costs nothing. It gets a reader without a way to write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from flockchain.primitives.errors import FlockchainError
from flockchain.runtime.flock import Runtime, build_runtime
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.storage.memory_store import MemoryStore

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Invariants"]


class Invariants(Checker):
    """Keeps a copy of the state in order of keys, and what each pallet looked at."""

    def __init__(self) -> None:
        self._state: _Watched | None = None
        self._runtime: Runtime | None = None
        self._looked_at: dict[str, set[bytes]] = {}

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        if self._runtime is None or self._state is None:
            self._runtime, self._state = build_runtime(node.world.genesis, node.world.bls), _Watched(state)
        changed = {_get_item(key) for key in executed.changes}
        self._state.write(executed.changes)
        for pallet in self._runtime.pallets:
            looked_at = self._looked_at.get(pallet.name)
            if looked_at is not None and looked_at.isdisjoint(changed):
                continue
            self._looked_at[pallet.name] = self._state.watch()
            try:
                pallet.try_state(self._state)
            except FlockchainError as error:
                yield Violation("invariants", f"{pallet.name}: {error} at height {executed.header.height}")


class _Watched:
    """A `StateReader` that notes which items were read."""

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        self._store = MemoryStore()
        self._store.write(dict(state), sync=False)
        self._read: set[bytes] = set()

    def get(self, key: bytes) -> bytes | None:
        self._read.add(_get_item(key))
        return self._store.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._read.add(_get_item(prefix))
        return self._store.scan(prefix)

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """What a block did."""
        self._store.write(changes, sync=False)

    def watch(self) -> set[bytes]:
        """A new note, to which reads are added from now on."""
        self._read = set()
        return self._read


def _get_item(key: bytes) -> bytes:
    """`<pallet>/<item>/` of a key: no scan is wider."""
    pallet, item, _ = key.split(b"/", 2)
    return pallet + b"/" + item
