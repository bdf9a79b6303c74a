"""Every certificate that an honest node passes on or commits with is of more than 2/3 of its own epoch's stake.

Counted by the set that the chain's state fixed for that epoch, each member once, and the aggregate verified over bytes
that are put together here. And no view is both nullified and final, nor certified for two blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from flockchain.gossip import messages as wire
from flockchain.primitives.codec import U64
from flockchain.primitives.numbers import Hash
from flockchain.primitives.validator_set import VALIDATOR_SET, Validator
from flockchain.primitives.vote import Certificate, VoteKind
from flockchain.replica.effects import CommitBlocks, ReplicaEffect, SendMessage
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.signed_bytes import compute_signed_bytes

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Certificates", "iterate_certificates"]

_SET: Final = b"staking/set/"
_KINDS: Final = (wire.MessageKind.CERTIFICATE, wire.MessageKind.CERTIFICATES_REPLY)


class Certificates(Checker):
    """Keeps the set of every epoch, and what was certified in every view."""

    def __init__(self) -> None:
        self._sets: dict[int, tuple[Validator, ...]] = {}
        self._judged: set[Certificate] = set()
        self._payloads: set[bytes] = set()
        self._waiting: list[tuple[SimNode, Certificate]] = []  # of an epoch whose set no final block holds yet
        self._final: dict[tuple[int, int], Hash] = {}
        self._notarized: dict[tuple[int, int], Hash] = {}
        self._nullified: set[tuple[int, int]] = set()

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is not None:
            return
        if isinstance(effect, CommitBlocks):
            yield from self._see(node, effect.certificate)
        elif isinstance(effect, SendMessage) and effect.payload[0] in _KINDS and effect.payload not in self._payloads:
            self._payloads.add(effect.payload)
            for certificate in iterate_certificates(effect):
                yield from self._see(node, certificate)

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        if any(key.startswith(_SET) for key in executed.changes):
            self._learn(state)
            waiting, self._waiting = self._waiting, []
            for source, certificate in waiting:
                yield from self._judge(source, certificate)

    def _learn(self, state: Mapping[bytes, bytes]) -> None:
        for key, value in state.items():
            if key.startswith(_SET):
                self._sets[U64.decode(key[len(_SET) :])] = VALIDATOR_SET.decode(value).validators

    def _see(self, node: SimNode, certificate: Certificate) -> Iterator[Violation]:
        if certificate in self._judged:
            return
        self._judged.add(certificate)
        if not self._sets:
            self._learn(node.world.mirror.state)
        if certificate.epoch not in self._sets:
            self._waiting.append((node, certificate))
            return
        yield from self._judge(node, certificate)

    def _judge(self, node: SimNode, certificate: Certificate) -> Iterator[Violation]:
        members = self._sets.get(certificate.epoch)
        place = (certificate.epoch, certificate.view)
        where = f"{certificate.kind.name} of {place[0]}/{place[1]}"
        if members is None:
            yield Violation("quorum", f"{where} is of an epoch that nobody knows")
            return
        bits = int.from_bytes(certificate.signers, "little")
        signers = [at for at in range(bits.bit_length()) if bits >> at & 1]
        if bits.bit_length() > len(members):
            yield Violation("quorum", f"{where} names a signer outside its epoch's set")
            return
        signed, total = sum(members[at].stake for at in signers), sum(member.stake for member in members)
        if 3 * signed <= 2 * total:
            yield Violation("quorum", f"{where} was signed by {signed} of {total}")
        message = compute_signed_bytes(node.genesis_hash, certificate)
        keys = [members[at].consensus_key for at in signers]
        if not node.world.bls.fast_aggregate_verify(keys, message, certificate.signature):
            yield Violation("quorum", f"{where} does not verify")
        yield from self._compare(place, certificate)

    def _compare(self, place: tuple[int, int], certificate: Certificate) -> Iterator[Violation]:
        if certificate.kind is VoteKind.NULLIFY:
            self._nullified.add(place)
        else:
            held = self._final if certificate.kind is VoteKind.FINALIZE else self._notarized
            held.setdefault(place, certificate.block_hash)
            known = {book[place] for book in (self._final, self._notarized) if place in book}
            if len(known | {certificate.block_hash}) > 1:
                yield Violation("one certificate", f"two blocks are certified in {place[0]}/{place[1]}")
        if place in self._nullified and place in self._final:
            yield Violation("one certificate", f"view {place[0]}/{place[1]} is nullified and final")


def iterate_certificates(effect: ReplicaEffect) -> Iterator[Certificate]:
    """The consensus certificates that a message carries to enter views with."""
    if isinstance(effect, SendMessage) and effect.payload[0] in _KINDS:
        message = wire.decode_message(effect.payload)
        if isinstance(message, wire.CertificateMessage):
            yield message.certificate
        elif isinstance(message, wire.CertificatesReply):
            yield from message.certificates
