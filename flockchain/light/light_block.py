"""A header with everything that shows it final: its certificate, and the validators of its epoch.

Knows that the three belong together, and their encoding. Does not know whether the validators are the chain's: that is
for a `LightClient`, from what it trusts already.
"""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.crypto.hashing import compute_block_hash, compute_validators_hash
from flockchain.primitives.block import HEADER, Header
from flockchain.primitives.codec import struct
from flockchain.primitives.numbers import Hash
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet
from flockchain.primitives.vote import CERTIFICATE, Certificate, VoteKind, decode_bitmap

__all__ = ["LIGHT_BLOCK", "LightBlock", "compute_common_signers", "find_mismatch"]


@dataclass(frozen=True, slots=True)
class LightBlock:
    """`certificate` finalizes exactly `header`; `validators` are those of `header.epoch`."""

    header: Header
    certificate: Certificate
    validators: ValidatorSet

    @property
    def block_hash(self) -> Hash:
        """The hash of the block that the header stands for."""
        return compute_block_hash(self.header)


LIGHT_BLOCK = struct(LightBlock, header=HEADER, certificate=CERTIFICATE, validators=VALIDATOR_SET)


def find_mismatch(light_block: LightBlock) -> str | None:
    """How the parts do not belong together, or None. Looks at no signature."""
    header, certificate, validators = light_block.header, light_block.certificate, light_block.validators
    if certificate.kind is not VoteKind.FINALIZE:
        return "a certificate does not finalize"
    if certificate.block_hash != light_block.block_hash:
        return "a certificate is of another block"
    if not header.epoch == certificate.epoch == validators.epoch:
        return "a header, its certificate and its validators are of different epochs"
    if compute_validators_hash(validators) != header.validators_hash:
        return "a header names other validators for its epoch"
    return None


def compute_common_signers(first: LightBlock, second: LightBlock) -> tuple[int, ...]:
    """Who signed both, as indexes into the set that both have: of two certified headers, more than a third of stake."""
    both = set(decode_bitmap(first.certificate.signers)) & set(decode_bitmap(second.certificate.signers))
    return tuple(sorted(both)) if first.validators == second.validators else ()
