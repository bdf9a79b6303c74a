"""Trusts one block hash and verifies the rest: headers by certificates, state by proofs, files by their roots.

Pure: what was fetched once can be verified again offline, by anyone. A chain of custody goes from a trusted header
over the last header of every epoch, each finalized by that epoch's validators, to the header that is asked about.
From the genesis hash nothing else has to be trusted; where a node no longer has the validators of the first epochs,
start from a later block whose hash you trust.
"""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.client.errors import VerificationFailed
from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.hashing import compute_block_hash, compute_validators_hash
from flockchain.crypto.voting import verify_certificate
from flockchain.primitives.block import Header
from flockchain.primitives.numbers import Epoch, Hash
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import Certificate, VoteKind

__all__ = ["EpochStep", "HeaderProof", "HeaderTrail", "require_header", "require_trail"]


@dataclass(frozen=True, slots=True)
class HeaderProof:
    """Headers from the wanted one up to one with a finalization certificate, each the parent of the next."""

    headers: tuple[Header, ...]
    certificate: Certificate | None  # None for the genesis block only

    @property
    def header(self) -> Header:
        """The header that is proven."""
        return self.headers[0]


@dataclass(frozen=True, slots=True)
class EpochStep:
    """An epoch's validators, and its last header, which names the next epoch's."""

    validators: ValidatorSet
    boundary: HeaderProof


@dataclass(frozen=True, slots=True)
class HeaderTrail:
    """From a trusted header to another: the epochs between, and the target under its own epoch's validators."""

    trusted: Header
    steps: tuple[EpochStep, ...]  # from the trusted header's epoch up to the one before the target's
    validators: ValidatorSet  # of the target's epoch
    target: HeaderProof


def require_trail(bls: BlsBackend, genesis_hash: Hash, trusted_hash: Hash, trail: HeaderTrail) -> Header:
    """The target header, now as trustworthy as `trusted_hash`. Raises `VerificationFailed`."""
    trusted = trail.trusted
    if compute_block_hash(trusted) != trusted_hash:
        raise VerificationFailed("the trail does not start at the trusted block", trusted=trusted_hash)
    if compute_block_hash(trail.target.header) == trusted_hash:
        return trusted
    known = {trusted.epoch: trusted.validators_hash, Epoch(trusted.epoch + 1): trusted.next_validators_hash}
    epoch = trusted.epoch
    for step in trail.steps:
        header = _require_in_epoch(bls, genesis_hash, known, epoch, step.validators, step.boundary)
        epoch = Epoch(epoch + 1)
        if known.setdefault(epoch, header.next_validators_hash) != header.next_validators_hash:
            raise VerificationFailed("two headers name different validators for an epoch", epoch=epoch)
    return _require_in_epoch(bls, genesis_hash, known, epoch, trail.validators, trail.target)


def require_header(bls: BlsBackend, genesis_hash: Hash, validators: ValidatorSet, proof: HeaderProof) -> Header:
    """The proven header, finalized by `validators`, known to be its epoch's. Raises `VerificationFailed`."""
    certificate, last = proof.certificate, proof.headers[-1]
    if certificate is None or certificate.kind is not VoteKind.FINALIZE:
        raise VerificationFailed("a header comes without a finalization", height=proof.header.height)
    if certificate.epoch != validators.epoch or any(header.epoch != validators.epoch for header in proof.headers):
        raise VerificationFailed("a header is of another epoch than its validators", epoch=validators.epoch)
    for parent, child in zip(proof.headers, proof.headers[1:], strict=False):
        if child.parent != compute_block_hash(parent) or child.height != parent.height + 1:
            raise VerificationFailed("headers do not follow one another", height=child.height)
    if certificate.block_hash != compute_block_hash(last):
        raise VerificationFailed("a certificate is of another block", height=last.height)
    if not verify_certificate(bls, genesis_hash, validators, certificate):
        raise VerificationFailed("a finalization certificate does not hold", height=last.height, epoch=last.epoch)
    return proof.header


def _require_in_epoch(
    bls: BlsBackend, genesis_hash: Hash, known: dict[Epoch, Hash], epoch: Epoch, validators: ValidatorSet,
    proof: HeaderProof,
) -> Header:  # fmt: skip
    if validators.epoch != epoch or compute_validators_hash(validators) != known.get(epoch):
        raise VerificationFailed("validators are not those that the chain named", epoch=epoch)
    header = require_header(bls, genesis_hash, validators, proof)
    if header.validators_hash != known[epoch]:
        raise VerificationFailed("a header names other validators for its epoch", height=header.height)
    return header
