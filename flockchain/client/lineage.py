"""Verifies a model's lineage offline: a trail of headers to a state root, and proofs of every entry against it.

A state root of a finalized header stands for the chain's own check of each aggregate certificate (V4). Imports the
runtime for the keys of the state, so nothing imports this module before it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.client.errors import VerificationFailed
from flockchain.client.state import ProvenValue
from flockchain.client.verification import HeaderTrail, require_trail
from flockchain.crypto.bls import BlsBackend
from flockchain.primitives.block import Header
from flockchain.primitives.codec import U32
from flockchain.primitives.learning import TASK_SPEC, TaskSpec
from flockchain.primitives.numbers import Hash, TaskId
from flockchain.primitives.rounds import LINEAGE_ENTRY, LineageEntry
from flockchain.runtime.pallets.models import LENGTHS, LINEAGE
from flockchain.runtime.pallets.tasks import SPECS
from flockchain.storage.proof import verify_proof

__all__ = ["ModelProof", "VerifiedModel", "compute_keys", "decode_length", "require_model"]


@dataclass(frozen=True, slots=True)
class ModelProof:
    """All that is needed to verify a lineage offline: a trail of headers, and proofs against the last one's state."""

    task: TaskId
    trail: HeaderTrail
    spec: ProvenValue
    length: ProvenValue
    entries: tuple[ProvenValue, ...]


@dataclass(frozen=True, slots=True)
class VerifiedModel:
    """What a proof showed: at `header`, the task had exactly this lineage."""

    task: TaskId
    header: Header
    spec: TaskSpec
    lineage: tuple[LineageEntry, ...]


def compute_keys(task: TaskId, steps: int) -> list[bytes]:
    """The state keys of a task's spec, of its lineage's length, and of the first `steps` entries."""
    return [SPECS.get_key(task), LENGTHS.get_key(task), *[LINEAGE.get_key((task, place)) for place in range(steps)]]


def decode_length(value: bytes | None) -> int:
    """How many steps a lineage has, by the state's value."""
    return 0 if value is None else U32.decode(value)


def require_model(bls: BlsBackend, genesis_hash: Hash, trusted_hash: Hash, proof: ModelProof) -> VerifiedModel:
    """What `proof` shows, offline. `trusted_hash` is the trusted block's hash. Raises `VerificationFailed`."""
    header = require_trail(bls, genesis_hash, trusted_hash, proof.trail)
    keys = compute_keys(proof.task, len(proof.entries))
    proven = (proof.spec, proof.length, *proof.entries)
    for key, item in zip(keys, proven, strict=True):
        if item.key != key or not verify_proof(header.state_root, key, item.value, item.proof):
            raise VerificationFailed("a state proof does not hold", key=key, height=header.height)
    if proof.spec.value is None:
        raise VerificationFailed("the chain has no such task", task=proof.task)
    length = decode_length(proof.length.value)
    values = [item.value for item in proof.entries if item.value is not None]
    if length != len(proof.entries) or len(values) != length:
        raise VerificationFailed("the lineage is not complete", wanted=length, got=len(values))
    lineage = tuple(LINEAGE_ENTRY.decode(value) for value in values)
    return VerifiedModel(proof.task, header, TASK_SPEC.decode(proof.spec.value), lineage)
