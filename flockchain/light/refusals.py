"""Why a light client does not trust something, by what one can do about it.

`VerificationFailed`: it is false, ask another node. `NotEnoughTrust`: fetch a header between. `TrustExpired`: only a
person can help, with a newer block that is trusted. `HeadersConflict`: validators signed two chains; keep the evidence.
"""

from __future__ import annotations

from flockchain.light.light_block import LightBlock
from flockchain.primitives.errors import InvalidInput, Refused

__all__ = ["ForeignTrust", "HeadersConflict", "NotEnoughTrust", "TrustExpired", "VerificationFailed"]


class VerificationFailed(InvalidInput):
    """A proof, a certificate or a digest does not hold."""


class NotEnoughTrust(Refused):
    """The trusted validators alone do not vouch for the header: an epoch between must be verified first."""


class TrustExpired(Refused):
    """The trusted header is so old that its validators may have left, and their signatures cost them nothing."""

    hint = "--trusted HEIGHT:HASH of a recent block, from a source that you believe; or a longer --trusting-period"


class ForeignTrust(Refused):
    """What an earlier run trusted is a block of another chain."""


class HeadersConflict(VerificationFailed):
    """Two headers of one height, each of which would be trusted without the other: an attack, and its evidence."""

    hint = "believe neither; publish the evidence, and ask the chain's people which block is theirs"

    def __init__(self, sentence: str, /, *, first: LightBlock, second: LightBlock, **values: object) -> None:
        super().__init__(sentence, **values)
        self.first = first
        self.second = second
