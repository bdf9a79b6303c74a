"""Which pallets there are, in which order they run, who needs whom; and the version of the whole.

A new pallet is one file in `pallets/` and one line here. Indices are in state and in signed calls: append only. Any
change of what a block does to the state raises `SPEC_VERSION`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.hashing import (
    compute_block_hash,
    compute_events_root,
    compute_extrinsics_root,
    compute_inherents_root,
    compute_learning_root,
)
from flockchain.primitives.block import Block, Header
from flockchain.primitives.codec import Struct
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Epoch, Hash, Height, View
from flockchain.primitives.vote import BLS_SIGNATURE_BYTES
from flockchain.runtime.frame import CallSpec, ItemHandler, Pallet, StateReader
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.runtime.pallets.balances import Balances
from flockchain.runtime.pallets.models import Models
from flockchain.runtime.pallets.offences import Offences
from flockchain.runtime.pallets.rewards import Rewards
from flockchain.runtime.pallets.staking import Staking
from flockchain.runtime.pallets.system import System
from flockchain.runtime.pallets.tasks import Tasks
from flockchain.runtime.pallets.updates import Updates
from flockchain.runtime.pallets.validation import Validation
from flockchain.runtime.views import Views
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.overlay import Changes, Overlay
from flockchain.storage.tree import StateTree

__all__ = ["SPEC_VERSION", "Runtime", "build_runtime"]

SPEC_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Runtime:
    """The state transition of one chain: pallets in the order of their hooks, tables by which blocks are run."""

    config: GenesisConfig
    spec_version: int
    bls: BlsBackend
    pallets: tuple[Pallet, ...]
    system: System
    balances: Balances
    staking: Staking
    offences: Offences
    views: Views
    calls: Mapping[tuple[int, int], CallSpec]
    items: Mapping[type, ItemHandler]
    event_table: Mapping[type, tuple[int, int, Struct[Any]]]
    genesis_block: Block
    genesis_changes: Changes
    genesis_hash: Hash

    def try_state(self, state: StateReader) -> None:
        """Raise `InvariantBroken` if any pallet's state contradicts itself."""
        for pallet in self.pallets:
            pallet.try_state(state)


def build_runtime(config: GenesisConfig, bls: BlsBackend) -> Runtime:
    """The runtime of the chain with this genesis. Does not verify the genesis' proofs of possession."""
    system = System(config, SPEC_VERSION)
    balances = Balances(config.balances)
    staking = Staking(config, balances)
    tasks = Tasks(balances)
    updates = Updates(tasks, balances)
    rewards = Rewards(config.learning, tasks, balances, staking)
    validation = Validation(tasks, updates, rewards, system, staking)
    offences = Offences(config, staking, validation)
    models = Models(validation)
    pallets: tuple[Pallet, ...] = (
        system, balances, staking, offences, tasks, updates, validation, models, rewards,
    )  # fmt: skip
    invariant([pallet.index for pallet in pallets] == list(range(len(pallets))), "pallets are in order of index")
    block, changes = _build_first_block(pallets, staking, config)
    return Runtime(
        config=config, spec_version=SPEC_VERSION, bls=bls, pallets=pallets, system=system, balances=balances,
        staking=staking, offences=offences, views=Views(config, system, balances, staking),
        calls=_build_table(((pallet.index, call.index), call) for pallet in pallets for call in pallet.calls),
        items=_build_table(entry for pallet in pallets for entry in pallet.items.items()),
        event_table=_build_table(
            (codec.cls, (pallet.index, index, codec)) for pallet in pallets for index, codec in pallet.events.items()
        ),
        genesis_block=block, genesis_changes=changes, genesis_hash=compute_block_hash(block.header),
    )  # fmt: skip


def _build_first_block(pallets: Iterable[Pallet], staking: Staking, config: GenesisConfig) -> tuple[Block, Changes]:
    """Block 0 and its state. It has no proposer and nothing in it; its state root covers the config."""
    state = Overlay(MemoryStore())
    for pallet in pallets:
        pallet.build_genesis(state, config)
    changes = state.changes
    reveal = bytes(BLS_SIGNATURE_BYTES)
    header = Header(
        parent=ZERO_HASH, height=Height(0), epoch=Epoch(0), view=View(0), proposer=AccountId(ZERO_HASH),
        timestamp_ms=config.timestamp_ms, state_root=StateTree.empty().apply(changes).root,
        inherents_root=compute_inherents_root(reveal, ()), learning_root=compute_learning_root(()),
        extrinsics_root=compute_extrinsics_root(()), events_root=compute_events_root(()),
        validators_hash=staking.get_validators_hash(state, Epoch(0)),
        next_validators_hash=staking.get_validators_hash(state, Epoch(1)), spec_version=SPEC_VERSION,
    )  # fmt: skip
    return Block(header, reveal, (), (), ()), changes


def _build_table(entries: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    table: dict[Any, Any] = {}
    for key, value in entries:
        invariant(key not in table, "calls, items and events are declared once", key=key)
        table[key] = value
    return table
