"""Learning rounds on the tests' chain: a small task, updates with real bytes, members that vote as they are told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from flockchain.crypto.hashing import compute_learning_root
from flockchain.duties import DutyKeys, compute_evidence_root
from flockchain.duties.ballots import Signer
from flockchain.duties.records import AggregateDuty, CommitDuty
from flockchain.exact import compute_aggregate, compute_update_bytes, encode_update
from flockchain.primitives.learning import (
    AcceptanceRule,
    AdapterMode,
    AdapterSpec,
    AggregateCertificate,
    LearningItem,
    ModuleShape,
    Phase,
    ReasonCode,
    ScoreCommit,
    ScoreReveal,
    ScoreVote,
    TaskSpec,
    UpdateScore,
    UpdateStatus,
)
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Balance, Hash, MicroNats, Round, Score, TaskId
from flockchain.primitives.rounds import CommitteeMember, RoundRecord, TaskRecord
from flockchain.primitives.vote import encode_bitmap
from flockchain.runtime import learning_views
from flockchain.runtime.executive import InvalidBlock
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.runtime.pallets.tasks import CancelTask, CreateTask
from flockchain.runtime.pallets.updates import SubmitUpdate
from flockchain.storage.blobs import compute_blob_root
from flockchain.storage.overlay import Overlay
from tests.kit.runtime_chain import FLOCK, RuntimeChain

__all__ = [
    "LearningChain", "build_adapter", "build_losses", "build_spec", "build_update", "build_vote_of", "get_tensor_names",
]  # fmt: skip

MODULES = (
    ModuleShape("layers.0.down", out_features=6, in_features=10, a_scale_bits=16, b_scale_bits=14),
    ModuleShape("layers.0.q", out_features=4, in_features=6, a_scale_bits=17, b_scale_bits=14),
)


def build_adapter(mode: AdapterMode = AdapterMode.FFA, rank: int = 2) -> AdapterSpec:
    """Two small layers."""
    return AdapterSpec(rank, 2 * rank, mode, Hash(hashlib.sha256(b"a").digest()), MODULES)


def build_spec(**fields: Any) -> TaskSpec:
    """A task of three rounds whose phases are a few blocks long; `fields` replace what they name."""
    adapter = fields.get("adapter", build_adapter())
    spec = TaskSpec(
        name="a task", base_model=Hash(b"\1" * 32), adapter=adapter, suite_root=Hash(b"\2" * 32), suite_rows=100,
        suite_blob=Hash(b"\3" * 32), suite_bytes=5_000, prompts_per_round=20, audit_rows=3,
        rule=AcceptanceRule.ACCUMULATED, reputation_cap=MicroNats(5_000), mass_threshold=MicroNats(80_000),
        reputation_floor=MicroNats(-10_000), committee_size=4, min_updates=2, max_updates=3,
        max_update_bytes=2 * compute_update_bytes(adapter), submit_blocks=6, commit_blocks=6, reveal_blocks=6,
        aggregate_blocks=6, rounds=3, reward_pool=Balance(900 * FLOCK), update_bond=Balance(200 * FLOCK),
    )  # fmt: skip
    return replace(spec, **fields)


def build_update(adapter: AdapterSpec, seed: int) -> bytes:
    """An update that only `seed` determines."""
    generator = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, int]] = {}
    for module in adapter.modules:
        if adapter.mode is AdapterMode.STACK:
            shapes[f"{module.name}.lora_A"] = (adapter.rank, module.in_features)
        shapes[f"{module.name}.lora_B"] = (module.out_features, adapter.rank)
    tensors = {name: generator.integers(-900, 900, shape).astype(np.int16) for name, shape in shapes.items()}
    return encode_update(tensors, adapter)


def get_tensor_names(adapter: AdapterSpec) -> list[str]:
    """The names of an FFA update's tensors."""
    return [f"{module.name}.lora_B" for module in adapter.modules]


def build_losses(count: int = 20, start: int = 1_000_000) -> tuple[MicroNats, ...]:
    """Losses that differ row by row."""
    return tuple(MicroNats(start + 7 * row) for row in range(count))


def build_vote_of(entries: Sequence[int | UpdateStatus], losses: Sequence[int]) -> ScoreVote:
    """A vote of scores (integers) and statuses, with the evidence of `losses`."""
    scores = [
        (entry, Score(0)) if isinstance(entry, UpdateStatus) else (UpdateStatus.SCORED, Score(entry))
        for entry in entries
    ]
    return ScoreVote(
        tuple(UpdateScore(*score) for score in scores), compute_evidence_root(losses) if losses else ZERO_HASH
    )


@dataclass(slots=True)
class LearningChain:
    """A chain with one task under test. Members act by their place in the round's committee."""

    chain: RuntimeChain
    task: TaskId
    spec: TaskSpec
    blobs: dict[Hash, bytes] = field(default_factory=dict)

    @classmethod
    def start(cls, config: GenesisConfig | None = None, **fields: Any) -> LearningChain:
        """A fresh chain on which the faucet has created a task."""
        spec = build_spec(**fields)
        world = cls(RuntimeChain.start(config), TaskId(0), spec)
        assert world.chain.call("faucet", "tasks.create", CreateTask(spec)) == ""
        return world

    # Reads

    @property
    def record(self) -> TaskRecord:
        record = learning_views.find_task(self.chain.store, self.task)
        assert record is not None
        return record

    @property
    def round(self) -> RoundRecord:
        """The current round (the last one when the task is over)."""
        return self.get_round(self.record.round)

    def get_round(self, number: int) -> RoundRecord:
        record = learning_views.find_round(self.chain.store, self.task, Round(number))
        assert record is not None
        return record

    def get_stake(self, member: CommitteeMember) -> int:
        """Stake of a member in the set of the epoch after next, so after any slash."""
        return next(v.stake for v in self.chain.members.validators if v.account == member.account)

    def get_signer(self, member: CommitteeMember) -> Signer:
        secrets = self.chain.secrets[member.account]
        keys = DutyKeys(member.account, secrets.score_seed, secrets.certificate_secret)
        return Signer(self.chain.runtime.genesis_hash, self.chain.runtime.bls, keys)

    # Submissions

    def submit(self, trainer: str, data: bytes, **fields: Any) -> str:
        """One block in which `trainer` commits to `data`; returns the refusal."""
        root = compute_blob_root(data)
        self.blobs[root] = data
        digest = Hash(hashlib.sha256(data).digest())
        arguments = SubmitUpdate(self.task, self.record.round, root, len(data), digest)
        return self.chain.call(trainer, "updates.submit", replace(arguments, **fields))

    def cancel(self, sender: str) -> str:
        return self.chain.call(sender, "tasks.cancel", CancelTask(self.task))

    def submit_all(self, count: int | None = None) -> None:
        """Different updates of account-0, account-1, ... , by default as many as the round takes."""
        for number in range(self.spec.max_updates if count is None else count):
            seed = 1_000 * self.record.round + number
            assert self.submit(f"account-{number}", build_update(self.spec.adapter, seed)) == ""

    # Items

    def build_duty(self, vote: ScoreVote, losses: Sequence[int]) -> CommitDuty:
        evidence = tuple(MicroNats(loss) for loss in losses) if vote.evidence_root != ZERO_HASH else ()
        return CommitDuty(self.task, self.record.round, vote, evidence)

    def build_commit(self, member: int, entries: Sequence[int | UpdateStatus]) -> ScoreCommit:
        losses = self.get_losses(entries)
        duty = self.build_duty(build_vote_of(entries, losses), losses)
        return self.get_signer(self.round.committee[member]).build_commit(duty)

    def build_reveal(self, member: int, entries: Sequence[int | UpdateStatus]) -> ScoreReveal:
        losses = self.get_losses(entries)
        duty = self.build_duty(build_vote_of(entries, losses), losses)
        return self.get_signer(self.round.committee[member]).build_reveal(duty, self.round.audit_positions)

    def get_losses(self, entries: Sequence[int | UpdateStatus]) -> tuple[MicroNats, ...]:
        is_scored = any(not isinstance(entry, UpdateStatus) for entry in entries)
        return build_losses(self.spec.prompts_per_round) if is_scored else ()

    def compute_aggregate(self) -> bytes:
        """The aggregate of the round's accepted updates on top of the lineage."""
        record = self.round
        lineage = learning_views.get_lineage(self.chain.store, self.task)
        previous = self.blobs[lineage[-1].aggregate] if lineage else None
        accepted = [
            self.blobs[update.blob]
            for update, verdict in zip(record.updates, record.verdicts, strict=True)
            if verdict.reason is ReasonCode.ACCEPTED
        ]
        data = compute_aggregate(self.spec.adapter, previous, accepted)
        self.blobs[compute_blob_root(data)] = data
        return data

    def build_certificate(self, signers: Iterable[int], **fields: Any) -> AggregateCertificate:
        """A certificate that members at `signers` really signed; `fields` replace what all of them sign."""
        record, data = self.round, self.compute_aggregate()
        duty = AggregateDuty(self.task, record.round, record.results_root, compute_blob_root(data), len(data))
        duty = replace(duty, **fields)
        members = sorted(set(signers))
        votes = [self.get_signer(record.committee[index]).build_aggregate_vote(duty) for index in members]
        signature = self.chain.runtime.bls.aggregate([vote.signature for vote in votes])
        return AggregateCertificate(
            duty.task, duty.round, duty.results_root, duty.aggregate, duty.aggregate_bytes, encode_bitmap(set(members)),
            signature,
        )  # fmt: skip

    # Progress

    def advance(self, *items: LearningItem) -> None:
        """One block with exactly these items."""
        block = self.chain.build(learning=items)
        assert block.learning == items, "the block does not hold the items"
        self.chain.apply(block)

    def get_refusal(self, item: LearningItem, *before: LearningItem) -> BaseException | None:
        """Why a block that carries `item`, after the good ones `before`, is invalid; it changes nothing."""
        good = self.chain.build(learning=before)
        assert good.learning == before
        assert self.chain.build(learning=(*before, item)).learning == before, "a leader would have put the item in"
        items = (*before, item)
        header = replace(good.header, learning_root=compute_learning_root(items))
        overlay = Overlay(self.chain.store)
        try:
            self.chain.executive.apply_block(overlay, replace(good, header=header, learning=items), self.chain.head)
        except InvalidBlock as error:
            assert overlay.changes == {}, "an invalid block left changes behind"
            return error.__cause__
        raise AssertionError("the block was valid")

    def advance_to(self, phase: Phase, most: int = 40) -> None:
        """Empty blocks until the current round is in `phase`."""
        for _ in range(most):
            if self.round.phase is phase:
                return
            self.chain.advance()
        raise AssertionError(f"the round never came to {phase.name}: {self.round.phase.name}")

    def commit_all(self, *votes: Sequence[int | UpdateStatus], members: Iterable[int] | None = None) -> None:
        """COMMIT: each member its vote (or all the same one) in one block, then on to REVEAL."""
        self.advance_to(Phase.COMMIT)
        self.advance(*[self.build_commit(at, vote) for at, vote in self._deal(votes, members)])
        self.advance_to(Phase.REVEAL)

    def reveal_all(self, *votes: Sequence[int | UpdateStatus], members: Iterable[int] | None = None) -> None:
        """REVEAL, in one block."""
        self.advance(*[self.build_reveal(at, vote) for at, vote in self._deal(votes, members)])

    def judge(self, *votes: Sequence[int | UpdateStatus]) -> None:
        """Commit and reveal by all members."""
        self.commit_all(*votes)
        self.reveal_all(*votes)

    def _deal(
        self, votes: Sequence[Sequence[int | UpdateStatus]], members: Iterable[int] | None
    ) -> list[tuple[int, Sequence[int | UpdateStatus]]]:
        places = list(range(len(self.round.committee))) if members is None else list(members)
        return [(place, votes[at if len(votes) > 1 else 0]) for at, place in enumerate(places)]

    def get_reputation(self, trainer: AccountId) -> int:
        return learning_views.get_reputation(self.chain.store, self.task, trainer)
