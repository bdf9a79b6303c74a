"""Headers, sets and certificates of a chain whose validators change, without state and without a node.

An epoch has four blocks, one a second; who validates an epoch is said when the chain is made. Also forges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.hashing import compute_block_hash, compute_validators_hash, sha256
from flockchain.crypto.signing import compute_vote_bytes
from flockchain.light.client import LightClient, LightConfig
from flockchain.light.light_block import LightBlock
from flockchain.light.trust_store import TrustedHeader
from flockchain.primitives.block import Header
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Epoch, Hash, Height, NodeId, Stake, TimestampMs, View
from flockchain.primitives.validator_set import Validator, ValidatorSet
from flockchain.primitives.vote import Certificate, VoteKind, encode_bitmap

__all__ = ["EPOCH_BLOCKS", "GENESIS_MS", "PERIOD_MS", "Committee", "LightChain", "derive_secret"]

EPOCH_BLOCKS = 4
BLOCK_MS = 1_000
GENESIS_MS = 1_700_000_000_000
PERIOD_MS = 1_000_000
BLS = get_default_backend()

Committee = dict[str, int]  # names and stakes


@cache
def derive_secret(name: str) -> bytes:
    """A validator's consensus key."""
    return BLS.generate_secret_key(sha256(name.encode()))


@cache
def _get_public_key(name: str) -> bytes:
    return BLS.get_public_key(derive_secret(name))


@cache
def _sign(name: str, message: bytes) -> bytes:
    return BLS.sign(derive_secret(name), message)


def _build_member(name: str, stake: int) -> Validator:
    return Validator(
        AccountId(sha256(b"account" + name.encode())), NodeId(sha256(b"node" + name.encode())),
        sha256(b"score" + name.encode()), _get_public_key(name), _get_public_key(f"certificate of {name}"),
        Stake(stake),
    )  # fmt: skip


def build_set(epoch: int, committee: Committee) -> ValidatorSet:
    """The validators of an epoch, in the order of their accounts."""
    members = sorted((_build_member(*entry) for entry in committee.items()), key=lambda member: member.account)
    return ValidatorSet(Epoch(epoch), tuple(members))


@dataclass(slots=True)
class LightChain:
    """A chain with one committee an epoch; the last one goes on."""

    committees: list[Committee]
    headers: list[Header]

    @classmethod
    def make(cls, committees: Sequence[Committee], blocks: int | None = None) -> LightChain:
        chain = cls(list(committees), [])
        for _ in range((len(committees) * EPOCH_BLOCKS if blocks is None else blocks) + 1):
            chain.headers.append(chain.build_header())
        return chain

    def get_committee(self, epoch: int) -> Committee:
        return self.committees[min(epoch, len(self.committees) - 1)]

    def get_set(self, epoch: int) -> ValidatorSet:
        return build_set(epoch, self.get_committee(epoch))

    def build_header(self, **fields: Any) -> Header:
        """The header after the last one."""
        height = len(self.headers)
        epoch = max(0, height - 1) // EPOCH_BLOCKS
        header = Header(
            parent=compute_block_hash(self.headers[-1]) if height else ZERO_HASH, height=Height(height),
            epoch=Epoch(epoch), view=View(height), proposer=AccountId(ZERO_HASH),
            timestamp_ms=TimestampMs(GENESIS_MS + height * BLOCK_MS), state_root=sha256(b"state%d" % height),
            inherents_root=ZERO_HASH, learning_root=ZERO_HASH, extrinsics_root=ZERO_HASH, events_root=ZERO_HASH,
            validators_hash=compute_validators_hash(self.get_set(epoch)),
            next_validators_hash=compute_validators_hash(self.get_set(epoch + 1)), spec_version=1,
        )  # fmt: skip
        return replace(header, **fields)

    @property
    def genesis_hash(self) -> Hash:
        return compute_block_hash(self.headers[0])

    def certify(
        self, header: Header, members: ValidatorSet, names: Iterable[str], kind: VoteKind = VoteKind.FINALIZE
    ) -> LightBlock:
        """A header with the signatures of `names`, honest or not, enough or not."""
        subject = (kind, header.epoch, header.view, compute_block_hash(header))
        message = compute_vote_bytes(self.genesis_hash, *subject)
        keys = {_get_public_key(name): name for name in names}
        signers = {at for at, member in enumerate(members.validators) if member.consensus_key in keys}
        signature = BLS.aggregate([_sign(name, message) for name in keys.values()])
        return LightBlock(header, Certificate(*subject, encode_bitmap(signers), signature), members)

    def get_light_block(self, height: int, names: Iterable[str] | None = None) -> LightBlock:
        """The true header at a height, signed by its whole committee, or by `names`."""
        header = self.headers[height]
        signers = self.get_committee(header.epoch) if names is None else names
        return self.certify(header, self.get_set(header.epoch), signers)

    def get_last_of(self, epoch: int) -> LightBlock:
        return self.get_light_block((epoch + 1) * EPOCH_BLOCKS)

    def trust(self, height: int = 0, **config: Any) -> LightClient:
        """A client that trusts the header at a height."""
        header = self.headers[height]
        chosen = LightConfig(self.genesis_hash, BLS, PERIOD_MS)
        return LightClient(replace(chosen, **config), TrustedHeader(header, self.get_set(header.epoch)))

    def get_time(self, height: int) -> int:
        """When the block at a height was made."""
        return GENESIS_MS + height * BLOCK_MS
