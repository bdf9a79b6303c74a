"""What a committee member owes a round: fetch, evaluate, commit, reveal, certify. State in, work orders out."""

from flockchain.duties.ballots import DutyKeys
from flockchain.duties.core import DutyConfig, DutyCore, RoundViews
from flockchain.duties.evidence import compute_audit_rows, compute_evidence_root
from flockchain.duties.findings import compute_findings
from flockchain.duties.orders import (
    Aggregate,
    AggregateDone,
    AggregateFailed,
    AggregateOrder,
    BlobFailed,
    BlobFetched,
    BlobRef,
    DutyEffect,
    DutyResult,
    Evaluate,
    EvaluateDone,
    EvaluateFailed,
    EvaluateOrder,
    FetchBlob,
    JournalDuty,
    SubmitAggregateVote,
    SubmitItem,
)

__all__ = [
    "Aggregate",
    "AggregateDone",
    "AggregateFailed",
    "AggregateOrder",
    "BlobFailed",
    "BlobFetched",
    "BlobRef",
    "DutyConfig",
    "DutyCore",
    "DutyEffect",
    "DutyKeys",
    "DutyResult",
    "Evaluate",
    "EvaluateDone",
    "EvaluateFailed",
    "EvaluateOrder",
    "FetchBlob",
    "JournalDuty",
    "RoundViews",
    "SubmitAggregateVote",
    "SubmitItem",
    "compute_audit_rows",
    "compute_evidence_root",
    "compute_findings",
]
