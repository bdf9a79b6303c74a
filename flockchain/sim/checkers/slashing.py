"""No honest validator is ever slashed for an offence; a proven equivocator is, once for each offence.

Proven: an honest node passed the evidence on, and both signatures hold. The offence must then be on the chain at the
latest when that same node, not restarted since, has a block of its own finalized while the evidence is young enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flockchain.crypto.hashing import compute_block_hash
from flockchain.gossip import messages as wire
from flockchain.primitives.codec import HASH, U8, U32, U64
from flockchain.primitives.evidence import EVIDENCE, ScoreEvidence, VoteEvidence
from flockchain.primitives.learning import ScoreCommit
from flockchain.primitives.limits import EVIDENCE_PER_BLOCK_MAX
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.primitives.validator_set import VALIDATOR_SET
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.block_events import (
    COMMITTEE_DRAWN,
    MEMBER_ABSENT,
    OFFENCE_REPORTED,
    SLASHED,
    iterate_events,
)
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.signed_bytes import is_signed

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Slashing"]

_PROMISE: Final = "slashing"
_DOUBLE_SCORE: Final = 3

_Offence = tuple[bytes, int, int]  # offender, view (or task and round), kind


@dataclass(frozen=True, slots=True)
class _Proof:
    """Evidence that a node passed on in one of its lives."""

    life: int
    at_ms: int
    evidence: VoteEvidence | ScoreEvidence


class Slashing(Checker):
    """Remembers the offences on the chain, and who could have proven which."""

    def __init__(self) -> None:
        self._reported: set[tuple[_Offence, int]] = set()  # with the epoch
        self._proofs: dict[NodeId, dict[bytes, _Proof]] = {}
        self._draws: dict[tuple[int, int], int] = {}  # task, round -> epoch
        self._drafted_ms: dict[Hash, int] = {}  # when its leader first showed a block

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is not None or not isinstance(effect, SendMessage):
            return ()
        if effect.payload[0] == wire.MessageKind.EVIDENCE:
            raw = wire.decode_message(effect.payload).evidence  # type: ignore[union-attr]
            known = self._proofs.setdefault(node.node_id, {})
            if raw not in known or known[raw].life != node.life:
                known[raw] = _Proof(node.life, node.world.now_ms, EVIDENCE.decode(raw))
        elif effect.payload[0] == wire.MessageKind.PROPOSAL:
            header = wire.decode_message(effect.payload).proposal.block.header  # type: ignore[union-attr]
            if header.proposer == node.account:
                self._drafted_ms.setdefault(compute_block_hash(header), node.world.now_ms)
        return ()

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        world = node.world
        honest = {each.account for each in world.nodes if each.adversary is None}
        for _, reader in iterate_events(executed, OFFENCE_REPORTED):
            offender, epoch, view, kind = HASH.read(reader), U64.read(reader), U64.read(reader), U8.read(reader)
            offence = ((offender, view, kind), epoch)
            where = f"kind {kind} in {epoch}/{view} at height {executed.header.height}"
            if offender in honest:
                yield Violation(_PROMISE, f"an honest validator was slashed, {where}")
            if offence in self._reported:
                yield Violation(_PROMISE, f"an offence was punished twice, {where}")
            self._reported.add(offence)
            world.mark("offence")
        if sorted(_list_slashed(executed)) != sorted(_list_guilty(executed)):
            yield Violation(_PROMISE, f"others lost stake than those at fault, at height {executed.header.height}")
        for _, reader in iterate_events(executed, COMMITTEE_DRAWN):
            self._draws[U32.read(reader), U32.read(reader)] = executed.header.epoch
        proposer = next(each for each in world.nodes if each.account == executed.header.proposer)
        if proposer.adversary is None:
            yield from self._judge(proposer, executed, state)

    def _judge(self, proposer: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        """What the proposer could prove when it drafted this block must be on the chain now."""
        drafted_ms = self._drafted_ms.get(executed.block_hash, 0)
        own = self._proofs.get(proposer.node_id, {})
        due = [raw for raw, proof in own.items() if proof.life == proposer.life and proof.at_ms < drafted_ms]
        if len(due) > EVIDENCE_PER_BLOCK_MAX:
            return  # one block may not hold all of it
        for raw in due:
            missing = self._find_missing(proposer, own.pop(raw).evidence, executed, state)
            if missing is not None:
                seen = f"kind {missing[2]} in {missing[1]} by height {executed.header.height}"
                yield Violation(_PROMISE, f"an offence is proven and not punished, {seen}")

    def _find_missing(
        self, node: SimNode, evidence: VoteEvidence | ScoreEvidence, executed: ExecutedBlock,
        state: Mapping[bytes, bytes],
    ) -> _Offence | None:  # fmt: skip
        """The offence, if it is young, proven and not on the chain."""
        now, age = executed.header.epoch, node.world.genesis.staking.evidence_age_epochs
        first = evidence.first
        if isinstance(first, ScoreCommit):
            view, epoch = first.task << 32 | first.round, self._draws[first.task, first.round]
            offence: _Offence = (first.voter, view, _DOUBLE_SCORE)
            return offence if now - age < epoch and (offence, epoch) not in self._reported else None
        raw_set = state.get(b"staking/set/" + U64.encode(first.epoch))
        if raw_set is None or not now - age < first.epoch <= now:
            return None
        offender = VALIDATOR_SET.decode(raw_set).validators[first.signer]
        second: Vote = evidence.second  # type: ignore[assignment]
        kinds = {first.kind, second.kind}
        kind = 2 if VoteKind.NULLIFY in kinds else int(VoteKind.FINALIZE in kinds)
        offence = (offender.account, first.view, kind)
        if (offence, first.epoch) in self._reported:
            return None
        return offence if all(is_signed(node, vote, offender.consensus_key) for vote in (first, second)) else None


def _list_slashed(executed: ExecutedBlock) -> list[bytes]:
    """Whose stake was taken, each time."""
    return [HASH.read(reader) for _, reader in iterate_events(executed, SLASHED)]


def _list_guilty(executed: ExecutedBlock) -> list[bytes]:
    """Who was found at fault, each time: offenders, and members that were absent from their round."""
    guilty: list[bytes] = []
    for kind, reader in iterate_events(executed, OFFENCE_REPORTED, MEMBER_ABSENT):
        if kind == MEMBER_ABSENT:
            reader.take(2 * U32.size_bytes)
        guilty.append(HASH.read(reader))
    return guilty
