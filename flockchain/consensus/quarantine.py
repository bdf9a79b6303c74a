"""Whether our records of what this key signed may be trusted, and where it therefore signs nothing.

Two things are asked before a vote (R13). *Listening*: at the start of a process, and whenever a quarantine ends, peers
are asked for votes that carry our signature; until they have answered nothing is signed. *Quarantine*: records that may
lack votes (a `SuspectRecord`) forbid every epoch that began before the moment from which they are known to be whole
again: whoever signed with this key and records that are gone cannot have signed in an epoch that began later.

A vote in our name that the records lack (R14) means that they are not whole, or that somebody else signs with this key.
Before we sign again it starts a quarantine. While we sign it ends our signing until the operator has had a look:
nobody can tell from inside which of two nodes is the wrong one.

Spans epochs, and holds what outlives a consensus core. Knows no peers by name but as who has answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flockchain.consensus.guard import GUARD_RECORD, SuspectRecord, VoteRecord
from flockchain.primitives.numbers import Epoch, Hash, NodeId, View
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import Vote, VoteKind

__all__ = ["FOREVER_MS", "Quarantine", "QuarantineConfig", "Signing"]

FOREVER_MS: Final = 2**64 - 1  # no epoch begins after this: signs nothing until the operator says so

_ROUNDS: Final = 12  # of asking, until whoever has not answered is waited for no more
_ROUNDS_MAX: Final = 40  # until any one answer is enough


class Signing(StrEnum):
    """Whether this key is used now."""

    FREE = "signing"
    LISTENING = "listening: peers are asked what this key signed"
    QUARANTINED = "quarantined: records of what this key signed may be missing; signs in an epoch that begins later"
    STOPPED = "stopped: this key signed what this node has no record of"


@dataclass(frozen=True, slots=True)
class QuarantineConfig:
    """Times in milliseconds. `margin_ms`: how far clocks and the times of blocks may be apart."""

    round_ms: int = 250  # between questions to peers that have not answered
    margin_ms: int = 4_000


class Quarantine:
    """One key's licence to sign, in one life of its node."""

    def __init__(self, config: QuarantineConfig, records: Sequence[bytes]) -> None:
        self._config = config
        self._since_ms: int | None = None
        self._known: set[tuple[Epoch, VoteKind, View, Hash]] = set()
        for encoded in records:
            record = GUARD_RECORD.decode(encoded)
            if isinstance(record, SuspectRecord):
                self._since_ms = record.since_ms
            elif isinstance(record, VoteRecord):
                self._known.add((record.epoch, record.kind, record.view, record.block_hash))
        self._is_clear = False  # the open epoch began after our records became whole
        self._is_listening = True
        self._rounds = 0
        self._answered: set[NodeId] = set()
        self.is_blank = not records  # never signed, as far as we know: a new node, or one that lost its folder

    @property
    def signing(self) -> Signing:
        """Where we stand."""
        if self._since_ms == FOREVER_MS:
            return Signing.STOPPED
        if not self._is_clear:
            return Signing.QUARANTINED
        return Signing.LISTENING if self._is_listening else Signing.FREE

    @property
    def is_listening(self) -> bool:
        """Whether peers are being asked."""
        return self._is_listening and self._is_clear

    @property
    def round_ms(self) -> int:
        return self._config.round_ms

    def on_epoch(self, anchor_ms: int | None) -> bool:
        """An epoch is open whose anchor has this time (None: unknown). True: a quarantine is over; listen now."""
        was_clear, since_ms = self._is_clear, self._since_ms
        self._is_clear = since_ms is None or (anchor_ms is not None and anchor_ms > since_ms + self._config.margin_ms)
        if not self._is_clear or was_clear or since_ms is None:
            return False
        self._listen()
        return True

    def on_answer(self, peer: NodeId) -> bool:
        """`peer` has told what it knows. False if it was not asked, or has answered before."""
        if not self.is_listening or peer in self._answered:
            return False
        self._answered.add(peer)
        return True

    def find_silent(self, peers: Iterable[NodeId]) -> tuple[NodeId, ...]:
        """Those that have not answered."""
        return tuple(peer for peer in peers if peer not in self._answered)

    def on_round(self) -> None:
        """Time to ask again."""
        self._rounds += 1

    def end_if_heard(
        self, validators: ValidatorSet, me: int | None, peers: Iterable[NodeId], *, is_behind: bool
    ) -> bool:
        """End the listening if enough has been heard from `peers`, our direct neighbours now.

        At once when all of them that are validators have answered, and with ourselves they are a quorum; later with
        less, so that neither the silent nor the dead keep us from voting. A node that seems to be behind waits longer:
        what it may have signed is ahead of it.
        """
        if not self.is_listening:
            return False
        own = {me} if me is not None else set()
        seat_of = {member.node_id: index for index, member in enumerate(validators.validators)}
        seats = {seat_of[peer] for peer in peers if peer in seat_of} - own
        heard = {seat_of[peer] for peer in self._answered if peer in seat_of} - own
        is_enough = validators.has_quorum(own) or (seats <= heard and validators.has_quorum(heard | own))
        if not is_enough and self._rounds >= _ROUNDS:
            is_enough = _is_over_a_third(validators, heard)
        if self._rounds >= _ROUNDS_MAX:
            is_enough = is_enough or bool(self._answered)
        elif is_behind:
            is_enough = False
        self._is_listening = not is_enough
        return is_enough

    def is_unknown(self, vote: Vote) -> bool:
        """Whether a vote of an epoch that is not open here is missing in the records of our start."""
        return (vote.epoch, vote.kind, vote.view, vote.block_hash) not in self._known

    def on_unknown_vote(self, now_ms: int) -> SuspectRecord | None:
        """R14. A vote of ours that we have no record of; what to write down, if it changes anything."""
        signing = self.signing
        if signing is Signing.FREE:
            return self._suspect(FOREVER_MS)
        return self._suspect(now_ms) if signing is Signing.LISTENING else None

    def on_synced(self) -> bool:
        """Blocks came that were made without this node. A blank one that still listens begins anew: True.

        What its key may have signed is of the views where the others are now, and they answer for those only.
        """
        if not self.is_blank or not self.is_listening:
            return False
        self._listen()
        return True

    def _suspect(self, since_ms: int) -> SuspectRecord:
        self._since_ms = since_ms
        self._is_clear = False
        self.is_blank = False
        return SuspectRecord(since_ms)

    def _listen(self) -> None:
        self._is_listening = True
        self._rounds = 0
        self._answered.clear()


def _is_over_a_third(validators: ValidatorSet, members: set[int]) -> bool:
    """Whether an honest one must be among them."""
    return 3 * sum(validators.validators[index].stake for index in members) > validators.total_stake
