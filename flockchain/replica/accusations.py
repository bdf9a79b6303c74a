"""Evidence of offences: heard or made here, proven at the door, kept until a final block holds it.

Two score commits of one member in one round are put together here; what votes prove comes from the consensus core.
Knows the finalized state, by which it judges. Does not know peers: whom to blame for a forgery is not its business.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_score_commit_bytes
from flockchain.gossip.messages import EvidenceMessage
from flockchain.primitives.block import Block
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.evidence import EVIDENCE, ScoreEvidence
from flockchain.primitives.learning import SCORE_COMMIT, LearningItem, ScoreCommit
from flockchain.primitives.limits import EVIDENCE_PER_BLOCK_MAX
from flockchain.primitives.numbers import AccountId, Hash, Round, TaskId
from flockchain.replica.outbox import Outbox
from flockchain.runtime.learning_views import find_member, is_round_over
from flockchain.runtime.ledger import Ledger

__all__ = ["Accusations"]

_KEPT_MAX: Final = 256


class Accusations:
    """What waits for a block of ours, and the first commit of each member in the rounds under way."""

    def __init__(self, ledger: Ledger, outbox: Outbox) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._waiting: OrderedDict[Hash, bytes] = OrderedDict()
        self._commits: dict[tuple[TaskId, Round, AccountId], ScoreCommit] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def accuse(self, evidence: bytes) -> None:
        """Keep encoded evidence for a block of ours and pass it on, unless it waits already.

        Raises `InvalidInput` for what proves nothing, or nothing that the finalized state does not know.
        """
        digest = sha256(evidence)
        if digest in self._waiting:
            return
        head = self._ledger.finalized
        self._ledger.executive.require_evidence(head.state, head.header, evidence)
        self._waiting[digest] = evidence
        if len(self._waiting) > _KEPT_MAX:
            self._waiting.popitem(last=False)
        self._outbox.broadcast(EvidenceMessage(evidence))

    def hear(self, items: Iterable[LearningItem]) -> None:
        """Items from gossip or from a block: accuse whoever commits to two votes in a round.

        A commit that no member signed, or of a round that the state does not know yet, is not heard.
        """
        for item in items:
            if not isinstance(item, ScoreCommit):
                continue
            key = (item.task, item.round, item.voter)
            first = self._commits.get(key)
            if (first is not None and first.commitment == item.commitment) or not self._is_signed(item):
                continue
            if first is None:
                self._commits[key] = item
                continue
            low, high = sorted((first, item), key=SCORE_COMMIT.encode)
            with suppress(InvalidInput):  # known already, or too old
                self.accuse(EVIDENCE.encode(ScoreEvidence(low, high)))

    def take(self) -> tuple[bytes, ...]:
        """What a block should carry; nothing is removed."""
        return tuple(self._waiting.values())[:EVIDENCE_PER_BLOCK_MAX]

    def on_built(self, drafted: Iterable[bytes], included: Iterable[bytes]) -> None:
        """A block had to leave out some of what was drafted: its state knows better, so that is done with.

        What is included stays, because the block may never be final.
        """
        for evidence in set(drafted) - set(included):
            self._waiting.pop(sha256(evidence), None)

    def on_finalized(self, block: Block) -> None:
        """Forget what the final block holds, and the commits of rounds that are over; hear its own commits."""
        for evidence in block.evidence:
            self._waiting.pop(sha256(evidence), None)
        state = self._ledger.finalized.state
        over = {pair for pair in {(task, round_) for task, round_, _ in self._commits} if is_round_over(state, *pair)}
        self._commits = {key: kept for key, kept in self._commits.items() if (key[0], key[1]) not in over}
        self.hear(block.learning)

    def _is_signed(self, commit: ScoreCommit) -> bool:
        member = find_member(self._ledger.finalized.state, commit.task, commit.round, commit.voter)
        if member is None:
            return False
        message = compute_score_commit_bytes(self._ledger.executive.runtime.genesis_hash, commit)
        return ed25519.verify(member.score_key, message, commit.signature)
