"""Verifies a model's lineage offline: headers from a trusted block to a state root, proofs of every entry against it.

Each step's aggregate certificate is not verified again, because that would show nothing more: who the committee was,
and with which keys and stakes, is only in the same state that has the entry, and more than 2/3 of the stake finalized
that state after checking the certificate (PROTOCOL §3, V4). A long lineage is proven in pages, each against a later
header; an entry of an earlier page stands in the last one's state too, because the chain only ever adds entries.
Imports the runtime for the keys of the state, so nothing imports this module before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flockchain.client.errors import VerificationFailed
from flockchain.client.state import PROVEN_VALUE, ProvenValue
from flockchain.light.client import LightClient, LightConfig
from flockchain.light.header_proof import HEADER_TRAIL, HeaderTrail, require_trail
from flockchain.light.trust_store import TRUSTED_HEADER, TrustedHeader, require_anchor
from flockchain.primitives.block import Header
from flockchain.primitives.codec import U32, ListOf, struct
from flockchain.primitives.learning import TASK_SPEC, TaskSpec
from flockchain.primitives.limits import PROVEN_KEYS_MAX, TASK_ROUNDS_MAX
from flockchain.primitives.numbers import Hash, TaskId, TimestampMs
from flockchain.primitives.rounds import LINEAGE_ENTRY, LineageEntry
from flockchain.runtime.pallets.models import LENGTHS, LINEAGE
from flockchain.runtime.pallets.tasks import SPECS
from flockchain.storage.proof import verify_proof

__all__ = [
    "MODEL_PROOF", "STEPS_PER_PAGE", "ModelPage", "ModelProof", "VerifiedModel", "compute_keys", "decode_length",
    "read_model", "require_model",
]  # fmt: skip

STEPS_PER_PAGE = PROVEN_KEYS_MAX - 2


@dataclass(frozen=True, slots=True)
class ModelPage:
    """The task's spec, its lineage's length and some entries, in the state of the header that the trail leads to."""

    trail: HeaderTrail
    values: tuple[ProvenValue, ...]

    @property
    def header(self) -> Header:
        """The header against whose state root the values are proven."""
        return self.trail.target.header


@dataclass(frozen=True, slots=True)
class ModelProof:
    """All that is needed to verify a lineage offline. Each page's trail goes on from where the one before ends."""

    task: TaskId
    anchor: TrustedHeader
    pages: tuple[ModelPage, ...]


@dataclass(frozen=True, slots=True)
class VerifiedModel:
    """What a proof showed: at `header`, the task had exactly this lineage."""

    task: TaskId
    header: Header
    spec: TaskSpec
    lineage: tuple[LineageEntry, ...]


_PAGE = struct(ModelPage, trail=HEADER_TRAIL, values=ListOf(PROVEN_VALUE, PROVEN_KEYS_MAX))
MODEL_PROOF = struct(ModelProof, task=U32, anchor=TRUSTED_HEADER, pages=ListOf(_PAGE, TASK_ROUNDS_MAX + 1))


def compute_keys(task: TaskId, first: int, steps: int) -> list[bytes]:
    """The state keys of a page: the task's spec, its lineage's length, and `steps` entries from `first` on."""
    places = range(first, first + steps)
    return [SPECS.get_key(task), LENGTHS.get_key(task), *[LINEAGE.get_key((task, place)) for place in places]]


def decode_length(value: bytes | None) -> int:
    """How many steps a lineage has, by the state's value."""
    return 0 if value is None else U32.decode(value)


def require_model(
    config: LightConfig, trusted_hash: Hash, proof: ModelProof, now_ms: TimestampMs | int
) -> VerifiedModel:
    """What `proof` shows, offline. `trusted_hash` is the trusted block's hash. Raises as `LightClient.verify` does."""
    client = LightClient(config, require_anchor(trusted_hash, proof.anchor.header, proof.anchor.validators))
    for page in proof.pages:
        require_trail(client, page.trail, now_ms)
    return read_model(proof)


def read_model(proof: ModelProof) -> VerifiedModel:
    """What a proof shows whose headers are trusted already. Raises `VerificationFailed`."""
    if not proof.pages:
        raise VerificationFailed("a proof of a model has no page", task=proof.task)
    lineage: list[LineageEntry] = []
    for page in proof.pages:
        lineage += [LINEAGE_ENTRY.decode(value) for value in _require_page(proof.task, page, len(lineage))]
    last = proof.pages[-1]
    spec = last.values[0].value
    if spec is None:
        raise VerificationFailed("the chain has no such task", task=proof.task)
    length = decode_length(last.values[1].value)
    if length != len(lineage):
        raise VerificationFailed("the lineage is not complete", wanted=length, got=len(lineage))
    heights = [page.header.height for page in proof.pages]
    if heights != sorted(heights):
        raise VerificationFailed("the pages of a proof are out of order", heights=heights[:8])
    return VerifiedModel(proof.task, last.header, TASK_SPEC.decode(spec), tuple(lineage))


def _require_page(task: TaskId, page: ModelPage, first: int) -> Iterator[bytes]:
    """The encoded entries of a page, whose first is the lineage's `first`."""
    keys = compute_keys(task, first, len(page.values) - 2)
    for key, item in zip(keys, page.values, strict=False):
        if item.key != key or not verify_proof(page.header.state_root, key, item.value, item.proof):
            raise VerificationFailed("a state proof does not hold", key=key, height=page.header.height)
    if len(page.values) < 2:
        raise VerificationFailed("a page of a proof lacks the task or the length", values=len(page.values))
    for item in page.values[2:]:
        if item.value is None:
            raise VerificationFailed("the lineage has a hole", key=item.key, height=page.header.height)
        yield item.value
