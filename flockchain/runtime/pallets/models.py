"""Models: the lineage of certified aggregates of each task (PROTOCOL §4, AGGREGATE; V4).

A task's model moves only by an aggregate certificate: more than 2/3 of the committee's stake over exactly the round's
results root and one aggregate. A round in which nothing was accepted, or that is not certified in time, leaves the
model as it was: the round is void. In FFA mode the model is the last entry's aggregate; in STACK mode all of them.

Does not know the bytes of an aggregate: whoever holds the inputs can recompute them (`exact.compute_aggregate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from flockchain.primitives.codec import HASH, U32, U64, U128, struct
from flockchain.primitives.errors import invariant
from flockchain.primitives.learning import AggregateCertificate, Phase
from flockchain.primitives.numbers import Hash, Height, Round, Stake, TaskId, is_quorum
from flockchain.primitives.rounds import LINEAGE_ENTRY, CommitteeMember, LineageEntry
from flockchain.runtime.frame import Context, Pallet, StateReader, StorageMap, TupleOf
from flockchain.runtime.rounds import ROUND_KEY, RoundKey
from flockchain.runtime.score_rules import require_certificate

__all__ = ["ModelAdvanced", "Models", "find_certified", "get_lineage"]


# Events


@dataclass(frozen=True, slots=True)
class ModelAdvanced:
    """A certificate moved a task's model."""

    task: TaskId
    round: Round
    aggregate: Hash
    aggregate_bytes: int
    results_root: Hash
    signed_stake: Stake
    committee_stake: Stake


# Needs


class Rounds(Protocol):
    """The rounds of tasks. `require_phase` raises for an item that is out of place."""

    def require_phase(self, state: StateReader, key: RoundKey, phase: Phase, height: Height) -> None: ...

    def get_committee(self, state: StateReader, key: RoundKey) -> tuple[CommitteeMember, ...]: ...

    def get_results(self, state: StateReader, key: RoundKey) -> tuple[Hash, int]: ...

    def on_certified(self, ctx: Context, key: RoundKey) -> None: ...


# Storage

LENGTHS: Final = StorageMap[TaskId, int]("models", "length", U32, U32)
LINEAGE: Final = StorageMap[tuple[TaskId, int], LineageEntry]("models", "lineage", TupleOf(U32, U32), LINEAGE_ENTRY)
PLACES: Final = StorageMap[RoundKey, int]("models", "place", ROUND_KEY, U32)  # of a round's entry in the lineage


class Models(Pallet):
    """See the module."""

    name = "models"
    index = 7
    events = {  # noqa: RUF012
        0: struct(
            ModelAdvanced, task=U32, round=U32, aggregate=HASH, aggregate_bytes=U64, results_root=HASH,
            signed_stake=U128, committee_stake=U128,
        )
    }  # fmt: skip

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds
        self.items = {AggregateCertificate: self.apply_certificate}

    # Items of the learning section

    def apply_certificate(self, ctx: Context, item: AggregateCertificate) -> None:
        """V4: advance the model. Raises `InvalidInput` for a certificate that does not stand."""
        state, key, height = ctx.state, (item.task, item.round), ctx.block.height
        self._rounds.require_phase(state, key, Phase.AGGREGATE, height)
        committee = self._rounds.get_committee(state, key)
        results_root, accepted = self._rounds.get_results(state, key)
        signed = require_certificate(ctx.block.crypto, ctx.block.genesis_hash, item, results_root, committee)
        total = Stake(sum(member.stake for member in committee))
        place = LENGTHS.get_or(state, item.task, 0)
        entry = LineageEntry(
            item.round, height, results_root, item.aggregate, item.aggregate_bytes, accepted, signed, total
        )
        LINEAGE.set(state, (item.task, place), entry)
        LENGTHS.set(state, item.task, place + 1)
        PLACES.set(state, key, place)
        self._rounds.on_certified(ctx, key)
        ctx.deposit(ModelAdvanced(
            item.task, item.round, item.aggregate, item.aggregate_bytes, results_root, signed, total
        ))  # fmt: skip

    # Views

    def try_state(self, state: StateReader) -> None:
        total = 0
        for task, length in LENGTHS.items(state):
            lineage = get_lineage(state, task)
            total += length
            rounds = [entry.round for entry in lineage]
            invariant(len(rounds) == length, "a lineage has no holes", task=task, length=length, entries=len(rounds))
            invariant(rounds == sorted(set(rounds)), "a lineage follows the rounds", task=task)
            for place, entry in enumerate(lineage):
                self._try_entry(state, task, place, entry)
        places, entries = sum(1 for _ in PLACES.items(state)), sum(1 for _ in LINEAGE.items(state))
        invariant(places == entries == total, "every step is counted and found", places=places, entries=entries)

    def _try_entry(self, state: StateReader, task: TaskId, place: int, entry: LineageEntry) -> None:
        key = (task, entry.round)
        invariant(PLACES.get(state, key) == place, "a step is found by its round", task=task, round=entry.round)
        is_signed = is_quorum(entry.signed_stake, entry.committee_stake)
        invariant(is_signed, "a quorum signed every step", task=task, round=entry.round)
        is_of_round = (entry.results_root, entry.updates) == self._rounds.get_results(state, key)
        invariant(is_of_round, "a step is over its round's results", task=task, round=entry.round)


def get_lineage(state: StateReader, task: TaskId) -> tuple[LineageEntry, ...]:
    """A task's certified aggregates, oldest first."""
    return tuple(entry for _, entry in LINEAGE.items(state, (task,)))


def find_certified(state: StateReader, key: RoundKey) -> LineageEntry | None:
    """The entry that a round added to its task's lineage, or None."""
    place = PLACES.get(state, key)
    return None if place is None else LINEAGE.require(state, (key[0], place))
