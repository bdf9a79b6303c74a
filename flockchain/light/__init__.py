"""Floor 3: the light client, which trusts one header and, by certificates and validators' hashes, every later one.

Does no I/O and reads no clock. `client` has the rules, `pursuit` the way to a header far ahead, `header_proof` headers
below a certified one, and `trust_store` what survives a restart.
"""

from flockchain.light.client import LightClient, LightConfig, compute_trusting_period_ms
from flockchain.light.light_block import LIGHT_BLOCK, LightBlock, compute_common_signers
from flockchain.light.refusals import ForeignTrust, HeadersConflict, NotEnoughTrust, TrustExpired, VerificationFailed
from flockchain.light.trust_store import TRUST_STORE, TrustedHeader, TrustStore, require_anchor

__all__ = [
    "LIGHT_BLOCK", "TRUST_STORE", "ForeignTrust", "HeadersConflict", "LightBlock", "LightClient", "LightConfig",
    "NotEnoughTrust", "TrustExpired", "TrustStore", "TrustedHeader", "VerificationFailed", "compute_common_signers",
    "compute_trusting_period_ms", "require_anchor",
]  # fmt: skip
