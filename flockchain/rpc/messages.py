"""Chain records as messages. The canonical bytes go with the readable fields, so that both say the same.

Knows records and messages; reads nothing and decides nothing. A message's enumeration is the chain's number plus one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flockchain.primitives.block import Header
from flockchain.primitives.learning import (
    ADAPTER_SPEC,
    AGGREGATE_CERTIFICATE,
    AdapterSpec,
    AggregateCertificate,
    UpdateRecord,
    Verdict,
)
from flockchain.primitives.rounds import (
    LINEAGE_ENTRY,
    ROUND_RECORD,
    TASK_RECORD,
    CommitteeMember,
    LineageEntry,
    RoundRecord,
    TaskRecord,
)
from flockchain.primitives.schema import to_plain
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet
from flockchain.runtime.metadata import DecodedEvent
from flockchain.v1 import (
    chain_pb2,
    extrinsics_pb2,
    learning_pb2,
    models_pb2,
    rounds_pb2,
    tasks_pb2,
)  # fmt: skip

__all__ = [
    "build_adapter", "build_event", "build_header", "build_lineage_entry", "build_round", "build_task", "build_update",
    "build_validators", "build_verdict",
]  # fmt: skip


def build_header(header: Header) -> chain_pb2.Header:
    """A header for readers."""
    return chain_pb2.Header(
        parent=header.parent, height=header.height, epoch=header.epoch, view=header.view, proposer=header.proposer,
        timestamp_ms=header.timestamp_ms, state_root=header.state_root, inherents_root=header.inherents_root,
        learning_root=header.learning_root, extrinsics_root=header.extrinsics_root, events_root=header.events_root,
        validators_hash=header.validators_hash, next_validators_hash=header.next_validators_hash,
        spec_version=header.spec_version,
    )  # fmt: skip


def build_validators(members: ValidatorSet) -> chain_pb2.GetValidatorSetResponse:
    """An epoch's validators."""
    return chain_pb2.GetValidatorSetResponse(
        epoch=members.epoch,
        validators=[
            chain_pb2.Validator(
                account=member.account, node_id=member.node_id, score_key=member.score_key,
                consensus_key=member.consensus_key, certificate_key=member.certificate_key, stake=str(member.stake),
            )
            for member in members.validators
        ],
        set_bytes_canonical=VALIDATOR_SET.encode(members),
    )  # fmt: skip


def build_event(decoded: DecodedEvent, index: tuple[int, int], data: bytes) -> extrinsics_pb2.RuntimeEvent:
    """An event with its names and fields. `index` is (pallet, event), `data` the encoded fields."""
    return extrinsics_pb2.RuntimeEvent(
        pallet_index=index[0], pallet=decoded.pallet, event_index=index[1], event=decoded.name,
        extrinsic_index=decoded.extrinsic, data=data,
        fields_json=json.dumps(to_plain(decoded.event), separators=(",", ":")),
    )  # fmt: skip


def build_task(record: TaskRecord) -> tasks_pb2.Task:
    """A task."""
    spec = record.spec
    return tasks_pb2.Task(
        id=record.task, name=spec.name, creator=record.creator, base_model=spec.base_model,
        adapter=build_adapter(spec.adapter), suite_root=spec.suite_root, suite_rows=spec.suite_rows,
        suite_blob=spec.suite_blob, suite_bytes=spec.suite_bytes, prompts_per_round=spec.prompts_per_round,
        audit_rows=spec.audit_rows, rule=_number(spec.rule), reputation_cap=spec.reputation_cap,
        mass_threshold=spec.mass_threshold, reputation_floor=spec.reputation_floor,
        committee_size=spec.committee_size, min_updates=spec.min_updates, max_updates=spec.max_updates,
        max_update_bytes=spec.max_update_bytes, submit_blocks=spec.submit_blocks, commit_blocks=spec.commit_blocks,
        reveal_blocks=spec.reveal_blocks, aggregate_blocks=spec.aggregate_blocks, rounds=spec.rounds,
        reward_pool=str(spec.reward_pool), update_bond=str(spec.update_bond), current_round=record.round,
        status=_number(record.status), rounds_advanced=record.rounds_advanced, created_height=record.created,
        pool_left=str(record.pool_left), record_bytes_canonical=TASK_RECORD.encode(record),
    )  # fmt: skip


def build_adapter(spec: AdapterSpec) -> learning_pb2.AdapterSpec:
    """An adapter's shape."""
    return learning_pb2.AdapterSpec(
        rank=spec.rank, alpha=spec.alpha, mode=_number(spec.mode), a_seed=spec.a_seed,
        modules=[
            learning_pb2.ModuleShape(
                name=module.name, out_features=module.out_features, in_features=module.in_features,
                a_scale_bits=module.a_scale_bits, b_scale_bits=module.b_scale_bits,
            )
            for module in spec.modules
        ],
        spec_bytes_canonical=ADAPTER_SPEC.encode(spec),
    )  # fmt: skip


def build_update(record: UpdateRecord) -> rounds_pb2.Update:
    """A committed update."""
    return rounds_pb2.Update(
        trainer=record.trainer, blob=record.blob, size_bytes=record.size_bytes, digest=record.digest,
        bond=str(record.bond),
    )  # fmt: skip


def build_verdict(verdict: Verdict) -> rounds_pb2.Verdict:
    """A judgement."""
    return rounds_pb2.Verdict(
        trainer=verdict.trainer, blob=verdict.blob, median_score=verdict.median_score, reputation=verdict.reputation,
        reason=_number(verdict.reason),
    )  # fmt: skip


def build_round(record: RoundRecord, prompt_rows: Sequence[int]) -> rounds_pb2.Round:
    """A round as far as it has come."""
    committed = {commit.voter for commit in record.commits}
    revealed = {reveal.voter for reveal in record.reveals}
    certified = record.certified
    return rounds_pb2.Round(
        task=record.task, round=record.round, phase=_number(record.phase), void_reason=_number(record.void_reason),
        opened_height=record.opened, phase_opened_height=record.phase_opened, deadline_height=record.deadline,
        ended_height=record.ended, updates=[build_update(update) for update in record.updates],
        committee=[
            _build_member(member, member.account in committed, member.account in revealed)
            for member in record.committee
        ],
        prompt_rows=prompt_rows, audit_positions=record.audit_positions,
        reveals=[
            rounds_pb2.Reveal(
                voter=reveal.voter, evidence_root=reveal.vote.evidence_root,
                scores=[
                    rounds_pb2.UpdateScore(status=_number(entry.status), score=entry.score)
                    for entry in reveal.vote.entries
                ],
            )
            for reveal in record.reveals
        ],
        verdicts=[build_verdict(verdict) for verdict in record.verdicts], results_root=record.results_root,
        aggregate=certified.aggregate if certified else b"",
        aggregate_bytes=certified.aggregate_bytes if certified else 0,
        record_bytes_canonical=ROUND_RECORD.encode(record),
    )  # fmt: skip


def build_lineage_entry(
    entry: LineageEntry, state_key: bytes, certificate: AggregateCertificate | None
) -> models_pb2.LineageEntry:
    """One step of a model."""
    return models_pb2.LineageEntry(
        round=entry.round, aggregate=entry.aggregate, aggregate_bytes=entry.aggregate_bytes,
        results_root=entry.results_root, height=entry.height, updates=entry.updates,
        signed_stake=str(entry.signed_stake), committee_stake=str(entry.committee_stake), state_key=state_key,
        entry_bytes_canonical=LINEAGE_ENTRY.encode(entry),
        certificate_bytes_canonical=AGGREGATE_CERTIFICATE.encode(certificate) if certificate else b"",
    )  # fmt: skip


def _build_member(member: CommitteeMember, has_committed: bool, has_revealed: bool) -> rounds_pb2.CommitteeMember:
    return rounds_pb2.CommitteeMember(
        account=member.account, stake=str(member.stake), score_key=member.score_key,
        certificate_key=member.certificate_key, has_committed=has_committed, has_revealed=has_revealed,
    )  # fmt: skip


def _number(member: int) -> Any:
    """The message's number of an enumeration's member; typed loosely because each field has a type of its own."""
    return int(member) + 1
