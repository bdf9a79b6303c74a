"""A model advances only by a certificate with more than 2/3 of the committee's stake, and once a round.

Recomputed from the blocks and the state: who was drawn, with which stake and keys in the set of that epoch; the root
over the verdicts; the aggregate signature. A lineage's entry never changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from flockchain.crypto.signing import compute_aggregate_bytes
from flockchain.primitives.codec import HASH, U16, U32, U64, ListOf
from flockchain.primitives.learning import AggregateCertificate
from flockchain.primitives.limits import COMMITTEE_MAX
from flockchain.primitives.rounds import LINEAGE_ENTRY, LineageEntry
from flockchain.primitives.validator_set import VALIDATOR_SET, Validator
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.block_events import COMMITTEE_DRAWN, UPDATE_JUDGED, iterate_events
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["CertifiedModels", "compute_root", "read_committee"]

_PROMISE: Final = "certified model"
_LINEAGE: Final = b"models/lineage/"
_MEMBERS: Final = ListOf(HASH, COMMITTEE_MAX)
_Key = tuple[int, int]  # task, round


class CertifiedModels(Checker):
    """Follows draws and verdicts, and holds every step of a lineage against them."""

    def __init__(self) -> None:
        self._committees: dict[_Key, tuple[Validator, ...]] = {}
        self._verdicts: dict[_Key, list[bytes]] = {}
        self._advanced: set[_Key] = set()
        self._entries: dict[bytes, bytes] = {}

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        certificates: dict[_Key, AggregateCertificate] = {
            (item.task, item.round): item for item in executed.block.learning if isinstance(item, AggregateCertificate)
        }
        for key, value in executed.changes.items():
            if not key.startswith(_LINEAGE):
                continue
            if value is None or key in self._entries:
                yield Violation(_PROMISE, f"a step of a lineage changed at height {executed.header.height}")
                continue
            self._entries[key] = value
            entry: LineageEntry = LINEAGE_ENTRY.decode(value)
            subject: _Key = (U32.decode(key[len(_LINEAGE) :][:4]), entry.round)
            yield from self._judge(node, subject, entry, certificates.get(subject))
        for kind, reader in iterate_events(executed, COMMITTEE_DRAWN, UPDATE_JUDGED):
            subject = (U32.read(reader), U32.read(reader))
            if kind == COMMITTEE_DRAWN:
                reader.take(HASH.size_bytes + U16.size_bytes)
                self._committees[subject] = read_committee(state, executed.header.epoch, _MEMBERS.read(reader))
            else:
                reader.take(U16.size_bytes)
                self._verdicts.setdefault(subject, []).append(reader.data[reader.offset :])

    def _judge(
        self, node: SimNode, subject: _Key, entry: LineageEntry, certificate: AggregateCertificate | None
    ) -> Iterator[Violation]:
        where = f"task {subject[0]} round {subject[1]}"
        if subject in self._advanced:
            yield Violation(_PROMISE, f"{where} advanced twice")
        self._advanced.add(subject)
        if certificate is None:
            yield Violation(_PROMISE, f"{where} advanced without a certificate in the block")
            return
        if (entry.aggregate, entry.results_root) != (certificate.aggregate, certificate.results_root):
            yield Violation(_PROMISE, f"{where} took another aggregate than the certified one")
        if certificate.results_root != compute_root([b"\0" + verdict for verdict in self._verdicts[subject]]):
            yield Violation(_PROMISE, f"{where} was certified over other results")
        committee = self._committees[subject]
        signers = [at for at in range(8 * len(certificate.signers)) if certificate.signers[at // 8] >> at % 8 & 1]
        total = sum(member.stake for member in committee)
        signed = sum(committee[at].stake for at in signers if at < len(committee))
        if any(at >= len(committee) for at in signers) or 3 * signed <= 2 * total:
            yield Violation(_PROMISE, f"{where} was certified by {signed} of {total}")
            return
        if (entry.signed_stake, entry.committee_stake) != (signed, total):
            yield Violation(_PROMISE, f"{where} names {entry.signed_stake} of {entry.committee_stake} as its stake")
        keys = [committee[at].certificate_key for at in signers]
        message = compute_aggregate_bytes(
            node.genesis_hash, certificate.task, certificate.round, certificate.results_root, certificate.aggregate,
            certificate.aggregate_bytes,
        )  # fmt: skip
        if not node.world.bls.fast_aggregate_verify(keys, message, certificate.signature):
            yield Violation(_PROMISE, f"{where} has a certificate that does not verify")


def read_committee(state: Mapping[bytes, bytes], epoch: int, accounts: Iterable[bytes]) -> tuple[Validator, ...]:
    """The named members of an epoch's set, in the order named."""
    members = VALIDATOR_SET.decode(state[b"staking/set/" + U64.encode(epoch)]).validators
    by_account = {member.account: member for member in members}
    return tuple(by_account[account] for account in accounts)  # type: ignore[index]


def compute_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 over leaves that carry their prefix."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + compute_root(leaves[:split]) + compute_root(leaves[split:])).digest()
