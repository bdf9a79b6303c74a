"""What a light client trusts, as a record that survives it: where its trust began, and the last headers it verified.

Bounded: the oldest verified headers are forgotten, the beginning is not. Knows an encoding; which file it is in, and
whether a header deserves its place here, is for others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flockchain.crypto.hashing import compute_block_hash, compute_validators_hash
from flockchain.light.light_block import LIGHT_BLOCK, LightBlock
from flockchain.light.refusals import VerificationFailed
from flockchain.primitives.block import HEADER, Header
from flockchain.primitives.codec import HASH, ListOf, struct
from flockchain.primitives.errors import invariant
from flockchain.primitives.limits import TRUSTED_HEADERS_MAX
from flockchain.primitives.numbers import Hash, Height
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet

__all__ = ["TRUSTED_HEADER", "TRUST_STORE", "TrustStore", "TrustedHeader", "require_anchor"]


@dataclass(frozen=True, slots=True)
class TrustedHeader:
    """A header that is believed, and the validators of its epoch."""

    header: Header
    validators: ValidatorSet

    @property
    def block_hash(self) -> Hash:
        """The hash of the block that the header stands for."""
        return compute_block_hash(self.header)


@dataclass(frozen=True, slots=True)
class TrustStore:
    """`anchor` is what trust began with; `verified` follows from it, ascending by height."""

    genesis_hash: Hash
    anchor: TrustedHeader
    verified: tuple[LightBlock, ...] = ()

    @property
    def latest(self) -> TrustedHeader:
        """The newest header that is trusted."""
        if not self.verified:
            return self.anchor
        return TrustedHeader(self.verified[-1].header, self.verified[-1].validators)

    def find(self, height: Height) -> TrustedHeader | LightBlock | None:
        """What is trusted at a height, if it is still known."""
        known: tuple[TrustedHeader | LightBlock, ...] = (self.anchor, *self.verified)
        return next((entry for entry in known if entry.header.height == height), None)

    def find_below(self, height: Height) -> TrustedHeader | None:
        """The newest trusted header below a height, if one is still known."""
        known = (self.anchor, *(TrustedHeader(entry.header, entry.validators) for entry in self.verified))
        return next((entry for entry in reversed(known) if entry.header.height < height), None)

    def add(self, light_block: LightBlock) -> TrustStore:
        """With one more verified header, newer than all; the oldest is forgotten when there are too many."""
        latest = self.latest.header
        invariant(light_block.header.height > latest.height, "trust grows upwards", latest=latest.height)
        return replace(self, verified=(*self.verified, light_block)[-TRUSTED_HEADERS_MAX:])


TRUSTED_HEADER = struct(TrustedHeader, header=HEADER, validators=VALIDATOR_SET)
TRUST_STORE = struct(
    TrustStore, genesis_hash=HASH, anchor=TRUSTED_HEADER, verified=ListOf(LIGHT_BLOCK, TRUSTED_HEADERS_MAX)
)


def require_anchor(trusted_hash: Hash, header: Header, validators: ValidatorSet) -> TrustedHeader:
    """A header as an anchor of trust: it has the trusted hash, and names these validators. Raises if not."""
    if compute_block_hash(header) != trusted_hash:
        raise VerificationFailed("a header is not the trusted one", height=header.height, trusted=trusted_hash)
    if validators.epoch != header.epoch or compute_validators_hash(validators) != header.validators_hash:
        raise VerificationFailed("validators are not those of the trusted header", epoch=header.epoch)
    return TrustedHeader(header, validators)
