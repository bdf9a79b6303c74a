"""Verdicts are a function of the revealed votes (V4): computed here once more, from the blocks and the task alone.

The rules, in the documents' words: malformed by more than half of the committee's stake; a duplicate by blob, or by
more than half; unavailable by more than a third; without a score unless more than two thirds gave one; else the
stake-weighted median, and a reputation that fades by a fifth and is capped. Over the mass threshold, those under the
floor are out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from flockchain.primitives.codec import HASH, U16, U32, ListOf
from flockchain.primitives.learning import (
    TASK_SPEC,
    VERDICT,
    ReasonCode,
    ScoreReveal,
    ScoreVote,
    TaskSpec,
    UpdateStatus,
    Verdict,
)
from flockchain.primitives.limits import COMMITTEE_MAX
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.block_events import COMMITTEE_DRAWN, UPDATE_JUDGED, UPDATE_SUBMITTED, iterate_events
from flockchain.sim.checkers.certified_models import read_committee
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Verdicts"]

_MEMBERS: Final = ListOf(HASH, COMMITTEE_MAX)
_Key = tuple[int, int]  # task, round
_Draft = tuple[int | None, int, ReasonCode]  # median, reputation, reason


class Verdicts(Checker):
    """Collects updates, stakes and reveals of each round, and every trainer's reputation."""

    def __init__(self) -> None:
        self._updates: dict[_Key, list[tuple[bytes, bytes]]] = {}  # trainer, blob
        self._stakes: dict[_Key, dict[bytes, int]] = {}
        self._votes: dict[_Key, dict[bytes, ScoreVote]] = {}
        self._reputations: dict[tuple[int, bytes], int] = {}

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        for item in executed.block.learning:
            if isinstance(item, ScoreReveal):
                self._votes.setdefault((item.task, item.round), {})[item.voter] = item.vote
        judged: dict[_Key, list[Verdict]] = {}
        for kind, reader in iterate_events(executed, UPDATE_SUBMITTED, COMMITTEE_DRAWN, UPDATE_JUDGED):
            key = (U32.read(reader), U32.read(reader))
            if kind == COMMITTEE_DRAWN:
                reader.take(HASH.size_bytes + U16.size_bytes)
                committee = read_committee(state, executed.header.epoch, _MEMBERS.read(reader))
                self._stakes[key] = {member.account: member.stake for member in committee}
                continue
            U16.read(reader)
            if kind == UPDATE_SUBMITTED:
                self._updates.setdefault(key, []).append((HASH.read(reader), HASH.read(reader)))
            else:
                judged.setdefault(key, []).append(VERDICT.read(reader))
        for key, verdicts in judged.items():
            spec = TASK_SPEC.decode(state[b"tasks/spec/" + U32.encode(key[0])])
            yield from self._compare(key, spec, verdicts)

    def _compare(self, key: _Key, spec: TaskSpec, verdicts: list[Verdict]) -> Iterable[Violation]:
        expected = self._compute(key, spec)
        got = [(verdict.median_score, verdict.reputation, verdict.reason) for verdict in verdicts]
        if got != [(median or 0, reputation, reason) for median, reputation, reason in expected]:
            yield Violation("verdicts", f"task {key[0]} round {key[1]} was judged {got} and not {expected}")

    def _compute(self, key: _Key, spec: TaskSpec) -> list[_Draft]:
        updates = self._updates[key]
        drafts = [self._judge(key, spec, index) for index in range(len(updates))]
        mass = sum(-reputation for median, reputation, _ in drafts if median is not None and reputation < 0)
        if mass > spec.mass_threshold:
            drafts = [
                (median, reputation, ReasonCode.LOW_REPUTATION)
                if reason is ReasonCode.ACCEPTED and reputation < spec.reputation_floor
                else (median, reputation, reason)
                for median, reputation, reason in drafts
            ]
        for (trainer, _), (_, reputation, _) in zip(updates, drafts, strict=True):
            self._reputations[key[0], trainer] = reputation
        return drafts

    def _judge(self, key: _Key, spec: TaskSpec, index: int) -> _Draft:
        stakes, votes, updates = self._stakes[key], self._votes.get(key, {}), self._updates[key]
        total = sum(stakes.values())
        weight = dict.fromkeys(UpdateStatus, 0)
        scores: list[tuple[int, int]] = []
        for voter, vote in votes.items():
            entry = vote.entries[index]
            weight[entry.status] += stakes[voter]
            if entry.status is UpdateStatus.SCORED:
                scores.append((entry.score, stakes[voter]))
        trainer, blob = updates[index]
        before = self._reputations.get((key[0], trainer), 0)
        is_copy = blob in [earlier for _, earlier in updates[:index]]
        if weight[UpdateStatus.MALFORMED] * 2 > total:
            return None, before, ReasonCode.MALFORMED
        if is_copy or weight[UpdateStatus.DUPLICATE] * 2 > total:
            return None, before, ReasonCode.DUPLICATE
        if weight[UpdateStatus.UNAVAILABLE] * 3 > total:
            return None, before, ReasonCode.UNAVAILABLE
        if weight[UpdateStatus.SCORED] * 3 <= total * 2:
            return None, before, ReasonCode.NO_SCORE
        half = weight[UpdateStatus.SCORED]
        median = min(
            score for score, _ in scores if 2 * sum(stake for other, stake in scores if other <= score) >= half
        )
        faded = abs(before) * 4 // 5
        after = min(spec.reputation_cap, (faded if before >= 0 else -faded) + median)
        return median, after, ReasonCode.ACCEPTED
