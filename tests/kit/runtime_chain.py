"""A chain without consensus: genesis/minimal.toml, blocks built by one proposer after another, each built and applied.

Every block is executed twice, once to build it and once to apply it, and both must agree; every post-state is checked
for contradictions by the pallets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from flockchain.crypto import bls, ed25519
from flockchain.crypto.hashing import (
    compute_block_hash,
    compute_extrinsics_root,
    compute_inherents_root,
    compute_learning_root,
)
from flockchain.crypto.signing import compute_reveal_bytes
from flockchain.primitives.block import Block, Header
from flockchain.primitives.extrinsic import Call, ExtrinsicPayload
from flockchain.primitives.learning import LearningItem
from flockchain.primitives.numbers import AccountId, Balance, Epoch, Hash, Height, Nonce, TimestampMs, View
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.runtime.dev_keys import ValidatorSecrets, derive_dev_account, derive_dev_keys
from flockchain.runtime.executive import BlockDraft, BlockOutcome, Executive
from flockchain.runtime.extrinsics import sign_extrinsic
from flockchain.runtime.flock import Runtime, build_runtime
from flockchain.runtime.frame import CallSpec
from flockchain.runtime.genesis import load_genesis
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.runtime.metadata import DecodedEvent, decode_event
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.overlay import Overlay
from flockchain.storage.tree import StateTree

__all__ = ["FLOCK", "VALIDATOR_NAMES", "RuntimeChain", "get_account", "load_minimal_genesis", "seal"]

FLOCK = 10**9
VALIDATOR_NAMES = ("validator-0", "validator-1", "validator-2", "validator-3")
GENESIS_FOLDER = Path(__file__).parents[2] / "genesis"


@cache
def load_minimal_genesis() -> GenesisConfig:
    """The genesis of the tests."""
    return load_genesis((GENESIS_FOLDER / "minimal.toml").read_bytes())


@cache
def _build_cached_runtime(config: GenesisConfig) -> Runtime:
    return build_runtime(config, bls.get_default_backend())


def get_account(name: str) -> AccountId:
    """The account of a development name."""
    return AccountId(ed25519.get_public_key(derive_dev_account(name)))


def seal(block: Block, **body: Any) -> Block:
    """The block with parts of its body replaced, and the header's roots over the body right."""
    changed = replace(block, **body)
    header = replace(
        changed.header,
        inherents_root=compute_inherents_root(changed.reveal, changed.evidence),
        learning_root=compute_learning_root(changed.learning),
        extrinsics_root=compute_extrinsics_root(changed.extrinsics),
    )
    return replace(changed, header=header)


@dataclass(slots=True)
class RuntimeChain:
    """State after block `head`; `advance` makes the next block."""

    runtime: Runtime
    executive: Executive
    store: MemoryStore
    tree: StateTree
    head: Header
    secrets: dict[AccountId, ValidatorSecrets]
    events: list[DecodedEvent] = field(default_factory=list)

    @classmethod
    def start(cls, config: GenesisConfig | None = None) -> RuntimeChain:
        """The chain of a genesis, by default genesis/minimal.toml, at its first block."""
        runtime = _build_cached_runtime(config or load_minimal_genesis())
        store = MemoryStore()
        store.write(runtime.genesis_changes, sync=False)
        tree = StateTree.empty().apply(runtime.genesis_changes)
        secrets = {secret.account: secret for secret in map(derive_dev_keys, VALIDATOR_NAMES)}
        return cls(runtime, Executive(runtime), store, tree, runtime.genesis_block.header, secrets)

    @property
    def height(self) -> Height:
        return self.head.height

    @property
    def epoch(self) -> Epoch:
        """Of the next block."""
        return self.runtime.views.get_epoch(Height(self.height + 1))

    @property
    def members(self) -> ValidatorSet:
        """The set that makes the next block."""
        return self.runtime.views.get_validator_set(self.store, self.epoch)

    def get_balance(self, name: str) -> Balance:
        return self.runtime.views.get_balance(self.store, get_account(name))

    def get_nonce(self, name: str) -> Nonce:
        return self.runtime.views.get_nonce(self.store, get_account(name))

    def find_call(self, name: str) -> tuple[int, CallSpec]:
        """The pallet's index and the call "<pallet>.<call>"."""
        pallet_name, call_name = name.split(".")
        pallet = next(pallet for pallet in self.runtime.pallets if pallet.name == pallet_name)
        return pallet.index, next(call for call in pallet.calls if call.name == call_name)

    def sign(self, sender: str, name: str, arguments: Any = None, **payload: Any) -> bytes:
        """A signed extrinsic for the next block; `payload` replaces fields of its payload."""
        pallet, call = self.find_call(name)
        encoded = call.arguments.encode(call.arguments.cls() if arguments is None else arguments)
        unsigned = ExtrinsicPayload(
            sender=get_account(sender), nonce=self.get_nonce(sender), tip=0, birth=self.height, lifetime_blocks=16,
            spec_version=self.runtime.spec_version, call=Call(pallet, call.index, encoded),
        )  # fmt: skip
        return sign_extrinsic(derive_dev_account(sender), self.runtime.genesis_hash, replace(unsigned, **payload))

    def draft(
        self, *, evidence: Iterable[bytes] = (), learning: Iterable[LearningItem] = (), proposer: int | None = None
    ) -> BlockDraft:
        """What the next proposer starts from."""
        epoch = self.epoch
        view = View(self.head.view + 1 if self.head.epoch == epoch else 1)
        members = self.members.validators
        member = members[(self.height if proposer is None else proposer) % len(members)]
        message = compute_reveal_bytes(self.runtime.genesis_hash, epoch, view)
        reveal = self.runtime.bls.sign(self.secrets[member.account].consensus_secret, message)
        return BlockDraft(
            parent=self.head, parent_hash=compute_block_hash(self.head), view=view, epoch=epoch,
            proposer=member.account, timestamp_ms=TimestampMs(self.head.timestamp_ms + 100), reveal=reveal,
            evidence=tuple(evidence), learning=tuple(learning),
        )  # fmt: skip

    def build(self, *extrinsics: bytes, **draft: Any) -> Block:
        """The next block, with what is valid of `extrinsics` and of the draft's items."""
        checked = [self.executive.check_extrinsic(raw) for raw in extrinsics]
        overlay = Overlay(self.store)
        block, _ = self.executive.build_block(overlay, self.draft(**draft), checked)
        root = self.tree.apply(overlay.changes).root
        return replace(block, header=replace(block.header, state_root=root))

    def apply(self, block: Block) -> BlockOutcome:
        """Execute a block on the head and make it the head."""
        overlay = Overlay(self.store)
        outcome = self.executive.apply_block(overlay, block, self.head)
        tree = self.tree.apply(overlay.changes)
        assert tree.root == block.header.state_root, "building and applying a block give different states"
        self.store.write(overlay.changes, sync=False)
        self.tree, self.head = tree, block.header
        self.events = [decode_event(self.runtime, raw) for raw in outcome.events]
        self.runtime.try_state(self.store)
        return outcome

    def advance(self, *extrinsics: bytes, **draft: Any) -> BlockOutcome:
        """Build and apply one block."""
        return self.apply(self.build(*extrinsics, **draft))

    def advance_to_epoch(self, epoch: int) -> None:
        """Empty blocks until the next block is the first of `epoch`."""
        while self.epoch < epoch:
            self.advance()

    def find_events(self, name: str) -> list[Any]:
        """The last block's events of that name."""
        return [event.event for event in self.events if event.name == name]

    def call(self, sender: str, name: str, arguments: Any = None, **payload: Any) -> str:
        """One block with one call in it. Returns its receipt's refusal, empty for success."""
        outcome = self.advance(self.sign(sender, name, arguments, **payload))
        assert len(outcome.receipts) == 1, "the block does not hold the extrinsic"
        return outcome.receipts[0].refusal

    def get_genesis_hash(self) -> Hash:
        return self.runtime.genesis_hash
