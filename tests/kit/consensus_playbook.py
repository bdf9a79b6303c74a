"""A consensus core under test: event in, effects expected. And everybody else's signatures, at the price of a hash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TypeVar

from flockchain.consensus import ConsensusKeys, Core, CoreConfig, EpochContext, GuardState, compute_leader
from flockchain.consensus.effects import Effect, Journal, SetTimer
from flockchain.consensus.events import BlockChecked, CertificateReceived, Event, ProposalReceived, Started, TimerFired
from flockchain.consensus.guard import GUARD_RECORD
from flockchain.consensus.timers import Timer, TimerKind
from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.hashing import compute_block_hash, hash_tagged
from flockchain.crypto.voting import build_certificate, sign_vote
from flockchain.primitives.block import Block
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import (
    ZERO_HASH,
    AccountId,
    Epoch,
    Hash,
    Height,
    NodeId,
    Stake,
    View,
)
from flockchain.primitives.validator_set import Validator, ValidatorSet
from flockchain.primitives.vote import Certificate, Proposal, Vote, VoteKind
from tests.kit.blocks import build_block

__all__ = ["ANCHOR", "GENESIS_HASH", "FastBls", "Playbook", "Room", "get_node_id", "only"]

GENESIS_HASH = hash_tagged("test", b"genesis")
ANCHOR = hash_tagged("test", b"anchor")
E = TypeVar("E")


class FastBls:
    """`BlsBackend` by hashes: a signature is a hash under a registered secret key, an aggregate their exclusive or.

    It keeps what consensus relies on: unique signatures that only the key's holder makes (tests hold all keys),
    aggregates that depend on no order and verify for exactly their signers.
    """

    def __init__(self) -> None:
        self._secrets: dict[bytes, bytes] = {}
        self._signatures: dict[tuple[bytes, bytes], bytes] = {}
        self.checks = 0  # how many signatures or aggregates were verified

    def generate_secret_key(self, seed: bytes) -> bytes:
        return sha256(b"secret" + seed).digest()

    def get_public_key(self, secret_key: bytes) -> bytes:
        public_key = sha256(b"public" + secret_key).digest() + bytes(16)
        self._secrets[public_key] = secret_key
        return public_key

    def sign(self, secret_key: bytes, message: bytes) -> bytes:
        key = (secret_key, message)
        if key not in self._signatures:
            self._signatures[key] = sha256(b"sign" + secret_key + message).digest() * 3
        return self._signatures[key]

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return self.fast_aggregate_verify([public_key], message, signature)

    def aggregate(self, signatures: Sequence[bytes]) -> bytes:
        if not signatures or any(len(signature) != 96 for signature in signatures):
            raise InvalidInput("not signatures", count=len(signatures))
        total = 0
        for signature in signatures:
            total ^= int.from_bytes(signature, "big")
        return total.to_bytes(96, "big")

    def fast_aggregate_verify(self, public_keys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
        self.checks += 1
        if not public_keys or any(key not in self._secrets for key in public_keys):
            return False
        return self.aggregate([self.sign(self._secrets[key], message) for key in public_keys]) == signature

    def prove_possession(self, secret_key: bytes) -> bytes:
        return self.sign(secret_key, b"possession")

    def verify_possession(self, public_key: bytes, proof: bytes) -> bool:
        return self.verify(public_key, b"possession", proof)


def get_node_id(index: int) -> NodeId:
    """The peer identity of member `index`."""
    return NodeId(bytes([index + 1]) * 32)


@dataclass(frozen=True)
class Room:
    """An epoch with the keys of all its members."""

    context: EpochContext
    config: CoreConfig
    secrets: tuple[bytes, ...]
    played: set[int] = field(default_factory=set)  # members with a core of their own, whose words are not made up

    @classmethod
    def build(
        cls,
        stakes: Sequence[int] = (100, 100, 100, 100),
        *,
        last_height: int = 100,
        seed: bytes = b"seed",
        bls: BlsBackend | None = None,
    ) -> Room:
        backend: BlsBackend = FastBls() if bls is None else bls
        secrets = tuple(backend.generate_secret_key(sha256(bytes([index])).digest()) for index in range(len(stakes)))
        members = tuple(
            Validator(
                account=AccountId(bytes([index + 1]) * 32), node_id=get_node_id(index), score_key=bytes(32),
                consensus_key=backend.get_public_key(secret), certificate_key=bytes(48), stake=Stake(stake),
            )
            for index, (secret, stake) in enumerate(zip(secrets, stakes, strict=True))
        )  # fmt: skip
        validators = ValidatorSet(Epoch(3), members)
        context = EpochContext(
            Epoch(3), validators, hash_tagged("test", seed), ANCHOR, Height(40), Height(40 + last_height), None
        )
        config = CoreConfig(GENESIS_HASH, backend, leader_timeout_ms=200, view_timeout_ms=400, retry_ms=300)
        return cls(context, config, secrets)

    def build_core(self, my_index: int | None, records: Iterable[bytes] = (), kind: type[Core] = Core) -> Core:
        keys = None if my_index is None else ConsensusKeys(self.secrets[my_index])
        guard = GuardState.restore(self.context.epoch, records)
        return kind(self.config, replace(self.context, my_index=my_index), guard, keys)

    def get_leader(self, view: int) -> int:
        return compute_leader(self.context.validators, self.context.seed, View(view))

    def find_view(self, leader: int, start: int = 1) -> int:
        """The first view from `start` on that member `leader` leads."""
        return next(view for view in range(start, start + 200) if self.get_leader(view) == leader)

    def build_block(self, view: int, parent: Hash = ANCHOR, height: int = 41, *, tag: int = 0) -> Block:
        leader = self.context.validators.validators[self.get_leader(view)]
        return build_block(
            view=View(view), parent=parent, height=Height(height), epoch=self.context.epoch, proposer=leader.account,
            timestamp_ms=1_000 + tag,
        )  # fmt: skip

    def sign(self, kind: VoteKind, view: int, block_hash: Hash, signer: int) -> Vote:
        subject = (kind, self.context.epoch, View(view), block_hash)
        signature = sign_vote(self.config.bls, GENESIS_HASH, self.secrets[signer], *subject)
        return Vote(*subject, signer=signer, signature=signature)

    def certify(
        self, kind: VoteKind, view: int, block_hash: Hash = ZERO_HASH, signers: Sequence[int] | None = None
    ) -> Certificate:
        """By three members, if none are named: those that nobody plays come first."""
        if signers is None:
            members = range(len(self.secrets))
            signers = sorted(sorted(members, key=lambda index: (index in self.played, index))[:3])
        votes = [self.sign(kind, view, block_hash, signer) for signer in signers]
        return build_certificate(self.config.bls, self.context.validators, votes)

    def propose(self, view: int, block: Block, parent_view: int = 0) -> Proposal:
        vote = self.sign(VoteKind.NOTARIZE, view, compute_block_hash(block.header), self.get_leader(view))
        return Proposal(View(view), View(parent_view), block, vote.signature)


class Playbook:
    """One core, what its host would have on disk, and the words to play with it."""

    def __init__(self, room: Room, my_index: int | None, records: Iterable[bytes] = ()) -> None:
        self.room = room
        self.me = my_index
        if my_index is not None:
            room.played.add(my_index)
        self.journal: list[bytes] = list(records)
        self.core = room.build_core(my_index, self.journal)
        self.log: list[Effect] = []

    def start(self) -> list[Effect]:
        return self.tell(Started())

    def tell(self, event: Event) -> list[Effect]:
        """Hand in one event; journal what is to be journaled."""
        effects = self.core.on_event(event)
        self.journal += [GUARD_RECORD.encode(effect.record) for effect in effects if isinstance(effect, Journal)]
        self.log += effects
        return effects

    def fire(self, kind: TimerKind, view: int | None = None) -> list[Effect]:
        """The timer of the current view (or of `view`) is over; it must have been set."""
        timer = Timer(kind, View(self.core.view if view is None else view))
        if kind is TimerKind.RESOLVE:
            timer = Timer(kind, View(0))
        assert any(isinstance(effect, SetTimer) and effect.timer == timer for effect in self.log)
        return self.tell(TimerFired(timer))

    def hear(self, certificate: Certificate, sender: int = 0) -> list[Effect]:
        return self.tell(CertificateReceived(certificate, get_node_id(sender)))

    def see(self, proposal: Proposal) -> list[Effect]:
        """The leader's proposal arrives."""
        sender = get_node_id(self.room.get_leader(proposal.view))
        return self.tell(ProposalReceived(proposal, sender))

    def approve(self, block: Block, *, is_valid: bool = True) -> list[Effect]:
        """The host answers the check of `block`."""
        return self.tell(BlockChecked(block.header.view, compute_block_hash(block.header), is_valid))

    def restart(self) -> Playbook:
        """The same node after a crash: only the journal is left."""
        return Playbook(self.room, self.me, self.journal)


def only(effects: Iterable[Effect], kind: type[E]) -> list[E]:
    """Those effects that are of `kind`, in order."""
    return [effect for effect in effects if isinstance(effect, kind)]
