"""What the report says of each round and of each participant: pure descriptions of finalized records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flockchain.primitives.learning import Phase, ReasonCode
from flockchain.primitives.numbers import AccountId
from flockchain.primitives.rounds import RoundRecord

__all__ = ["count_verdicts", "describe_round_record"]


def describe_round_record(record: RoundRecord, names: Mapping[AccountId, str]) -> dict[str, Any]:
    """One round of the report. `names` are the participants' by account; scores are micro-nats per token."""
    return {
        "task": record.task,
        "round": record.round,
        "updates": len(record.updates),
        "trainers": [_name(names, update.trainer) for update in record.updates],
        "scores": [
            {
                "voter": _name(names, reveal.voter),
                "statuses": [entry.status.name.lower() for entry in reveal.vote.entries],
                "scores": [entry.score for entry in reveal.vote.entries],
            }
            for reveal in record.reveals
        ],
        "verdicts": [
            {
                "trainer": _name(names, verdict.trainer),
                "update": verdict.blob.hex(),
                "reason": verdict.reason.name.lower(),
                "reason_code": int(verdict.reason),
                "median_score": verdict.median_score,
                "reputation": verdict.reputation,
            }
            for verdict in record.verdicts
        ],
        "aggregate_root": record.certified.aggregate.hex() if record.certified else None,
        "certificate_stake_fraction": _compute_fraction(record),
        "advanced": record.phase is Phase.ADVANCED,
        "void_reason": record.void_reason.name.lower(),
        "heights": {"opened": record.opened, "ended": record.ended},
    }


def count_verdicts(records: tuple[RoundRecord, ...], account: AccountId) -> tuple[int, int]:
    """How many updates of a trainer were accepted, and how many were not."""
    own = [verdict for record in records for verdict in record.verdicts if verdict.trainer == account]
    accepted = sum(verdict.reason is ReasonCode.ACCEPTED for verdict in own)
    return accepted, len(own) - accepted


def _compute_fraction(record: RoundRecord) -> float | None:
    """The part of the committee's stake that signed the certificate."""
    certified = record.certified
    if certified is None or not certified.committee_stake:
        return None
    return round(int(certified.signed_stake) / int(certified.committee_stake), 6)


def _name(names: Mapping[AccountId, str], account: AccountId) -> str:
    return names.get(account, account.hex())
