"""Long finalized chains without a network: four validators' keys in one process, real signatures, the production
Executive, Ledger and Archive. What a node finds there is what consensus would have left.

Blocks are 200 ms apart, hold transfers between many accounts, and the last one is in the past.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from flockchain.consensus.elector import compute_leader
from flockchain.crypto import ed25519
from flockchain.crypto.bls import BlsBackend, get_default_backend
from flockchain.crypto.hashing import compute_block_hash, sha256
from flockchain.crypto.signing import compute_reveal_bytes
from flockchain.crypto.voting import build_certificate, sign_vote
from flockchain.primitives.block import Block
from flockchain.primitives.extrinsic import Call, ExtrinsicPayload
from flockchain.primitives.numbers import AccountId, Balance, Epoch, Height, Nonce, TimestampMs, View
from flockchain.primitives.vote import Certificate, Vote, VoteKind
from flockchain.replica.effects import CommitBlocks
from flockchain.runtime.dev_keys import ValidatorSecrets, build_genesis_validator, derive_dev_keys
from flockchain.runtime.executive import BlockDraft, Executive
from flockchain.runtime.extrinsics import sign_extrinsic
from flockchain.runtime.flock import build_runtime
from flockchain.runtime.genesis_config import GenesisAccount, GenesisConfig
from flockchain.runtime.ledger import Ledger
from flockchain.runtime.pallets.balances import Transfer
from flockchain.storage.archive import Archive
from flockchain.storage.snapshot_shelf import SnapshotShelf, write_snapshot
from flockchain.storage.tree import StateTree
from flockchain.sync.retention import RetentionConfig, is_snapshot_due
from tests.kit.runtime_chain import load_minimal_genesis

__all__ = ["BLOCK_MS", "LongChain", "build_long_genesis"]

BLOCK_MS = 200
VALIDATORS = 4
_BALANCE = Balance(10**12)


@dataclass(frozen=True, slots=True)
class Sender:
    """An account that pays others."""

    seed: bytes
    account: AccountId


def build_senders(count: int) -> tuple[Sender, ...]:
    """The same accounts every time."""
    seeds = (sha256(b"sender %d" % number) for number in range(count))
    return tuple(Sender(seed, AccountId(ed25519.get_public_key(seed))) for seed in seeds)


def build_long_genesis(blocks: int, *, epoch_blocks: int = 50, accounts: int = 100) -> GenesisConfig:
    """A chain that was `blocks` long about now, with four validators of equal stake."""
    bls = get_default_backend()
    template = load_minimal_genesis()
    members = tuple(
        build_genesis_validator(derive_dev_keys(f"validator-{number}"), bls, template.validators[0].stake, 0)
        for number in range(VALIDATORS)
    )
    holders = tuple(GenesisAccount(sender.account, _BALANCE) for sender in build_senders(accounts))
    return replace(
        template, chain="long", epoch_blocks=epoch_blocks, validators=members,
        timestamp_ms=TimestampMs(time.time_ns() // 1_000_000 - (blocks + 100) * BLOCK_MS),
        accounts=tuple(sorted((*template.accounts, *holders), key=lambda holder: holder.account)),
    )  # fmt: skip


class LongChain:
    """A chain in an archive; `grow` makes and finalizes blocks, with snapshots on the shelf where they are due."""

    def __init__(
        self, genesis: GenesisConfig, archive: Archive, shelf: SnapshotShelf | None = None, accounts: int = 100,
        retention: RetentionConfig | None = None,
    ) -> None:  # fmt: skip
        self.genesis = genesis
        self.archive = archive
        self.bls: BlsBackend = get_default_backend()
        self.runtime = build_runtime(genesis, self.bls)
        archive.initialise(self.runtime.genesis_hash, self.runtime.genesis_block, self.runtime.genesis_changes)
        tree = StateTree.build(archive.iterate_state())
        self.ledger = Ledger(Executive(self.runtime), archive.state, tree, self.runtime.genesis_block)
        self._shelf = shelf
        self._retention = retention or RetentionConfig()
        self._senders = build_senders(accounts)
        self._nonces = [0] * accounts
        self._sent = 0
        secrets = [derive_dev_keys(f"validator-{number}") for number in range(VALIDATORS)]
        self._secrets: dict[AccountId, ValidatorSecrets] = {secret.account: secret for secret in secrets}
        pallet = next(pallet for pallet in self.runtime.pallets if pallet.name == "balances")
        self._pallet_index = pallet.index
        self._transfer = next(call for call in pallet.calls if call.name == "transfer")

    @property
    def height(self) -> Height:
        return self.ledger.finalized.header.height

    def grow(self, blocks: int, transfers: int = 2) -> None:
        """That many blocks more, each with that many transfers and a certificate of its own."""
        for _ in range(blocks):
            block, certificate = self.build_next(transfers)
            self.commit(block, certificate)

    def build_next(self, transfers: int = 2) -> tuple[Block, Certificate]:
        """The next block, proposed by its leader, and its finalization."""
        parent = self.ledger.finalized
        height = Height(parent.header.height + 1)
        epoch = self.runtime.views.get_epoch(height)
        view = View(parent.header.view + 1 if parent.header.epoch == epoch and height > 1 else 1)
        members = self.runtime.views.get_validator_set(parent.state, epoch)
        seed = self.runtime.views.get_epoch_seed(parent.state, epoch)
        leader = members.validators[compute_leader(members, seed, view)].account
        reveal = self.bls.sign(
            self._secrets[leader].consensus_secret, compute_reveal_bytes(self.runtime.genesis_hash, epoch, view)
        )
        draft = BlockDraft(
            parent=parent.header, parent_hash=parent.block_hash, view=view, epoch=epoch, proposer=leader,
            timestamp_ms=TimestampMs(parent.header.timestamp_ms + BLOCK_MS), reveal=reveal, evidence=(), learning=(),
        )  # fmt: skip
        checked = [self.ledger.executive.check_extrinsic(raw) for raw in self._sign_transfers(height, transfers)]
        block = self.ledger.build(draft, checked)
        return block, self._certify(block, epoch, view)

    def commit(self, block: Block, certificate: Certificate) -> None:
        """Finalize a block that was built here."""
        executed = self.ledger.finalize(compute_block_hash(block.header))
        self.archive.commit(CommitBlocks(tuple(executed), certificate).build_commits(), certificate)
        self.ledger.settle()
        head = self.ledger.finalized
        epoch = head.header.epoch
        before = Height(self.runtime.views.get_last_height(Epoch(epoch - 1)) if epoch else 0)
        is_end = head.header.height == self.runtime.views.get_last_height(epoch)
        if self._shelf is not None and is_end and is_snapshot_due(self._retention, head.header.height, before):
            frozen = self.archive.freeze()
            write_snapshot(self._shelf, head.tree, frozen, head.header.height, head.block_hash)
            frozen.close()

    def _sign_transfers(self, height: Height, count: int) -> Iterator[bytes]:
        for _ in range(count):
            at, self._sent = self._sent % len(self._senders), self._sent + 1
            sender, target = self._senders[at], self._senders[(at * 7 + self._sent) % len(self._senders)]
            arguments = self._transfer.arguments.encode(Transfer(target.account, Balance(1_000)))
            call = Call(self._pallet_index, self._transfer.index, arguments)
            payload = ExtrinsicPayload(
                sender=sender.account, nonce=Nonce(self._nonces[at]), tip=Balance(0), birth=Height(height - 1),
                lifetime_blocks=16, spec_version=self.runtime.spec_version, call=call,
            )  # fmt: skip
            self._nonces[at] += 1
            yield sign_extrinsic(sender.seed, self.runtime.genesis_hash, payload)

    def _certify(self, block: Block, epoch: Epoch, view: View) -> Certificate:
        members = self.runtime.views.get_validator_set(self.ledger.finalized.state, epoch)
        block_hash = compute_block_hash(block.header)
        genesis_hash, kind = self.runtime.genesis_hash, VoteKind.FINALIZE
        votes = []
        for signer, member in enumerate(members.validators[:3]):
            secret = self._secrets[member.account].consensus_secret
            signature = sign_vote(self.bls, genesis_hash, secret, kind, epoch, view, block_hash)
            votes.append(Vote(kind, epoch, view, block_hash, signer, signature))
        return build_certificate(self.bls, members, votes)
