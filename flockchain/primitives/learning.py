"""Records of a learning task that every node must agree on, and the items of a block's learning section.

What a task fixes, what a voter says of an update, how the committee certifies an aggregate (PROTOCOL §4).
Tensors never appear here: the chain knows names, shapes, digests and integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from flockchain.primitives.codec import (
    HASH,
    I64,
    U8,
    U16,
    U32,
    U64,
    U128,
    EnumOf,
    FixedBytes,
    ListOf,
    Text,
    UnionOf,
    VarBytes,
    struct,
)  # fmt: skip
from flockchain.primitives.limits import (
    ADAPTER_MODULES_MAX,
    AUDIT_ROWS_MAX,
    COMMITTEE_MAX,
    MERKLE_PROOF_HASHES_MAX,
    MODULE_NAME_BYTES_MAX,
    TASK_NAME_BYTES_MAX,
    UPDATES_PER_ROUND_MAX,
)
from flockchain.primitives.numbers import AccountId, Balance, Hash, MicroNats, Round, Score, TaskId

__all__ = [
    "ADAPTER_SPEC", "AGGREGATE_CERTIFICATE", "AGGREGATE_VOTE", "AUDIT_ROW", "LEARNING_ITEM", "SCORE_COMMIT",
    "SCORE_REVEAL", "SCORE_VOTE", "TASK_SPEC", "UPDATE_RECORD", "VERDICT", "AcceptanceRule", "AdapterMode",
    "AdapterSpec", "AggregateCertificate", "AggregateVote", "AuditRow", "LearningItem", "ModuleShape", "Phase",
    "ReasonCode", "ScoreCommit", "ScoreReveal", "ScoreVote", "TaskSpec", "UpdateRecord", "UpdateScore",
    "UpdateStatus", "Verdict",
]  # fmt: skip


class AdapterMode(IntEnum):
    """What a trainer uploads and how updates add up exactly (LEARNING §5)."""

    FFA = 0  # A frozen, derived from the task's seed; updates are ΔB; the aggregate is one B per module
    STACK = 1  # FLoRA: updates are (A, B); the aggregate concatenates them, so rank grows by n·r a round


class AcceptanceRule(IntEnum):
    """How verdicts follow from scores."""

    ACCUMULATED = 0  # reputation over rounds (LEARNING §3)
    ACCEPT_ALL = 1  # every well-formed update: the undefended baseline


class Phase(IntEnum):
    """Where a round is. DRAW and TALLY are transitions between these, not phases of their own."""

    SUBMIT = 0
    COMMIT = 1
    REVEAL = 2
    AGGREGATE = 3
    ADVANCED = 4  # ended: the model moved by certificate
    VOID = 5  # ended: no quorum, no update or no certificate in time; bonds are back


class UpdateStatus(IntEnum):
    """What a voter says of one update."""

    SCORED = 0
    ABSTAIN = 1  # my evaluator gave no score
    UNAVAILABLE = 2  # I could not get the bytes
    MALFORMED = 3  # objective: not canonical, wrong names, shapes, dtype or rank (exact tier)
    DUPLICATE = 4  # objective: changes the model as an earlier update of the round does, or nearly (exact tier)


class ReasonCode(IntEnum):
    """Why an update was accepted or not."""

    ACCEPTED = 0
    LOW_REPUTATION = 1
    UNAVAILABLE = 2
    MALFORMED = 3
    DUPLICATE = 4
    NO_SCORE = 5  # no quorum of scores for it


@dataclass(frozen=True, slots=True)
class ModuleShape:
    """One adapted linear layer. Values are integers times 2**-scale_bits; int16 on the wire."""

    name: str  # dotted path in the base model, as peft names it, e.g. "model.layers.0.self_attn.q_proj"
    out_features: int
    in_features: int
    a_scale_bits: int
    b_scale_bits: int


@dataclass(frozen=True, slots=True)
class AdapterSpec:
    """Shape of a LoRA update: W ← W + (alpha / rank) · B·A, A: rank x in, B: out x rank."""

    rank: int
    alpha: int
    mode: AdapterMode
    a_seed: Hash
    modules: tuple[ModuleShape, ...]  # ascending by name


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """Everything that a task fixes when it is created. Lengths of phases in blocks; amounts in base units."""

    name: str
    base_model: Hash  # digest of the base model's folder
    adapter: AdapterSpec
    suite_root: Hash  # RFC 6962 root over the evaluation rows' bytes
    suite_rows: int
    suite_blob: Hash  # blob root of the suite's JSON lines
    suite_bytes: int
    prompts_per_round: int
    audit_rows: int
    rule: AcceptanceRule
    reputation_cap: MicroNats  # R ← min(cap, trunc(4R/5) + s)
    mass_threshold: MicroNats  # act only when Σ max(0, −R) is over it
    reputation_floor: MicroNats  # then accept those with R ≥ floor
    committee_size: int
    min_updates: int
    max_updates: int  # SUBMIT closes early when reached
    max_update_bytes: int
    submit_blocks: int
    commit_blocks: int
    reveal_blocks: int
    aggregate_blocks: int
    rounds: int
    reward_pool: Balance
    update_bond: Balance


@dataclass(frozen=True, slots=True)
class UpdateRecord:
    """A trainer's committed update. `blob` is the RFC 6962 root over 256 KiB chunks, `digest` SHA-256 of all bytes."""

    trainer: AccountId
    blob: Hash
    size_bytes: int
    digest: Hash
    bond: Balance


@dataclass(frozen=True, slots=True)
class UpdateScore:
    """A voter's word on one update; `score` is 0 unless SCORED. Leave-one-out, positive is helpful."""

    status: UpdateStatus
    score: Score


@dataclass(frozen=True, slots=True)
class ScoreVote:
    """One entry per update of the closed set, in its order, and the root of the per-example evidence.

    The evidence is one leaf per drawn prompt, in the draw's order: the loss of the candidate aggregate
    on it (I64 micro-nats per token). Zero hash when the voter abstained throughout.
    """

    entries: tuple[UpdateScore, ...]
    evidence_root: Hash


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One opened leaf of the evidence: position in the round's draw, loss, and its RFC 6962 audit path."""

    position: int
    loss: MicroNats
    path: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class ScoreCommit:
    """H(vote ‖ salt ‖ voter), signed with the voter's score key."""

    task: TaskId
    round: Round
    voter: AccountId
    commitment: Hash
    signature: bytes


@dataclass(frozen=True, slots=True)
class ScoreReveal:
    """Opens a commit (V3), with the drawn audit rows. Signed with the score key."""

    task: TaskId
    round: Round
    voter: AccountId
    vote: ScoreVote
    salt: Hash
    audit: tuple[AuditRow, ...]
    signature: bytes


@dataclass(frozen=True, slots=True)
class AggregateCertificate:
    """More than 2/3 of the committee's stake signed exactly this results root and this aggregate (V4).

    `signers` is a bitmap over the round's committee in its order (see `primitives.vote`); BLS certificate keys.
    """

    task: TaskId
    round: Round
    results_root: Hash
    aggregate: Hash  # blob root of the aggregate's canonical bytes
    aggregate_bytes: int
    signers: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class AggregateVote:
    """One member's BLS signature towards an `AggregateCertificate`, over the same message as its certificate."""

    task: TaskId
    round: Round
    results_root: Hash
    aggregate: Hash
    aggregate_bytes: int
    voter: AccountId
    signature: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state's own judgement of one update: a pure function of the revealed scores."""

    trainer: AccountId
    blob: Hash
    median_score: Score
    reputation: MicroNats  # after this round
    reason: ReasonCode


LearningItem = ScoreCommit | ScoreReveal | AggregateCertificate

_SIGNATURE = FixedBytes(64)
MODULE_SHAPE = struct(
    ModuleShape, name=Text(MODULE_NAME_BYTES_MAX), out_features=U32, in_features=U32, a_scale_bits=U8, b_scale_bits=U8
)
ADAPTER_SPEC = struct(
    AdapterSpec, rank=U16, alpha=U16, mode=EnumOf(AdapterMode), a_seed=HASH,
    modules=ListOf(MODULE_SHAPE, ADAPTER_MODULES_MAX),
)  # fmt: skip
TASK_SPEC = struct(
    TaskSpec, name=Text(TASK_NAME_BYTES_MAX), base_model=HASH, adapter=ADAPTER_SPEC, suite_root=HASH, suite_rows=U32,
    suite_blob=HASH, suite_bytes=U64, prompts_per_round=U32, audit_rows=U8, rule=EnumOf(AcceptanceRule),
    reputation_cap=I64, mass_threshold=I64, reputation_floor=I64, committee_size=U16, min_updates=U16,
    max_updates=U16, max_update_bytes=U64, submit_blocks=U32, commit_blocks=U32, reveal_blocks=U32,
    aggregate_blocks=U32, rounds=U32, reward_pool=U128, update_bond=U128,
)  # fmt: skip
UPDATE_RECORD = struct(UpdateRecord, trainer=HASH, blob=HASH, size_bytes=U64, digest=HASH, bond=U128)
UPDATE_SCORE = struct(UpdateScore, status=EnumOf(UpdateStatus), score=I64)
SCORE_VOTE = struct(ScoreVote, entries=ListOf(UPDATE_SCORE, UPDATES_PER_ROUND_MAX), evidence_root=HASH)
AUDIT_ROW = struct(AuditRow, position=U32, loss=I64, path=ListOf(HASH, MERKLE_PROOF_HASHES_MAX))
SCORE_COMMIT = struct(ScoreCommit, task=U32, round=U32, voter=HASH, commitment=HASH, signature=_SIGNATURE)
SCORE_REVEAL = struct(
    ScoreReveal, task=U32, round=U32, voter=HASH, vote=SCORE_VOTE, salt=HASH, audit=ListOf(AUDIT_ROW, AUDIT_ROWS_MAX),
    signature=_SIGNATURE,
)  # fmt: skip
AGGREGATE_CERTIFICATE = struct(
    AggregateCertificate, task=U32, round=U32, results_root=HASH, aggregate=HASH, aggregate_bytes=U64,
    signers=VarBytes(COMMITTEE_MAX // 8), signature=FixedBytes(96),
)  # fmt: skip
AGGREGATE_VOTE = struct(
    AggregateVote, task=U32, round=U32, results_root=HASH, aggregate=HASH, aggregate_bytes=U64, voter=HASH,
    signature=FixedBytes(96),
)  # fmt: skip
VERDICT = struct(Verdict, trainer=HASH, blob=HASH, median_score=I64, reputation=I64, reason=EnumOf(ReasonCode))
LEARNING_ITEM = UnionOf({0: SCORE_COMMIT, 1: SCORE_REVEAL, 2: AGGREGATE_CERTIFICATE})
