"""Every learning item of a final block is a member's, signed with its key, once, and a reveal opens its commit (V1-V3).

Put together here once more: who was drawn, with which score key of that epoch's set; the signed bytes; the commitment;
the RFC 6962 root of the section.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from flockchain.primitives.codec import HASH, U16, U32, ListOf
from flockchain.primitives.learning import LEARNING_ITEM, SCORE_REVEAL, SCORE_VOTE, ScoreCommit, ScoreReveal
from flockchain.primitives.limits import COMMITTEE_MAX
from flockchain.primitives.validator_set import Validator
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.block_events import COMMITTEE_DRAWN, iterate_events
from flockchain.sim.checkers.certified_models import compute_root, read_committee
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Items"]

_PROMISE: Final = "learning items"
_MEMBERS: Final = ListOf(HASH, COMMITTEE_MAX)
_SIGNATURE_BYTES: Final = 64
_Item = ScoreCommit | ScoreReveal


class Items(Checker):
    """Follows draws and commits."""

    def __init__(self) -> None:
        self._committees: dict[tuple[int, int], dict[bytes, Validator]] = {}
        self._commitments: dict[tuple[int, int, bytes], bytes] = {}
        self._revealed: set[tuple[int, int, bytes]] = set()

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        learning, where = executed.block.learning, f"at height {executed.header.height}"
        if executed.header.learning_root != compute_root([b"\0" + LEARNING_ITEM.encode(item) for item in learning]):
            yield Violation(_PROMISE, f"the root of the section is another one {where}")
        for item in learning:
            if isinstance(item, ScoreCommit | ScoreReveal):
                for fault in self._find_faults(node, item):
                    yield Violation(_PROMISE, f"a {type(item).__name__} {fault} {where}")
        for _, reader in iterate_events(executed, COMMITTEE_DRAWN):
            key = (U32.read(reader), U32.read(reader))
            reader.take(HASH.size_bytes + U16.size_bytes)
            members = read_committee(state, executed.header.epoch, _MEMBERS.read(reader))
            self._committees[key] = {member.account: member for member in members}

    def _find_faults(self, node: SimNode, item: _Item) -> Iterator[str]:
        member = self._committees.get((item.task, item.round), {}).get(item.voter)
        if member is None:
            yield "is of nobody in the committee"
            return
        try:
            VerifyKey(member.score_key).verify(_compute_signed_bytes(node.genesis_hash, item), item.signature)
        except BadSignatureError:
            yield "is not signed by its voter"
        place = (item.task, item.round, item.voter)
        if isinstance(item, ScoreCommit):
            if place in self._commitments:
                yield "is the second one of its voter"
            self._commitments.setdefault(place, item.commitment)
            return
        if place in self._revealed:
            yield "is the second one of its voter"
        self._revealed.add(place)
        opened = sha256(b"FLOCKCHAIN/score-commitment\0" + SCORE_VOTE.encode(item.vote) + item.salt + item.voter)
        if opened.digest() != self._commitments.get(place):
            yield "opens no commit of its voter"


def _compute_signed_bytes(genesis_hash: bytes, item: _Item) -> bytes:
    if isinstance(item, ScoreCommit):
        kind, payload = b"score-commit", item.voter + item.commitment
    else:
        kind, payload = b"score-reveal", SCORE_REVEAL.encode(item)[:-_SIGNATURE_BYTES]
    place = item.task.to_bytes(8, "big") + item.round.to_bytes(8, "big")
    return b"FLOCKCHAIN/" + kind + b"/v1" + genesis_hash + place + payload
