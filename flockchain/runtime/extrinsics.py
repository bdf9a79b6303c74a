"""What can be said of an extrinsic without any state: its form, its signature, its call, its fee.

A checked extrinsic was decoded and verified once; a bounded cache by digest keeps it, so that admission, building and
executing a block together verify one signature once. Knows nothing of nonces, balances or what is pending.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import compute_extrinsic_hash
from flockchain.crypto.signing import compute_extrinsic_bytes
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.extrinsic import SIGNED_EXTRINSIC, ExtrinsicPayload, SignedExtrinsic
from flockchain.primitives.limits import EXTRINSIC_BYTES_MAX
from flockchain.primitives.numbers import AccountId, Balance, Hash, Nonce
from flockchain.runtime.flock import Runtime
from flockchain.runtime.frame import CallSpec

__all__ = [
    "EXTRINSIC_WEIGHT", "CheckedExtrinsic", "ExtrinsicChecker", "ExtrinsicTooBig", "SignatureInvalid", "UnknownCall",
    "WrongSpecVersion", "sign_extrinsic",
]  # fmt: skip

EXTRINSIC_WEIGHT: Final = 80  # microseconds: decoding, a signature, nonce, fee and receipt of any extrinsic
CACHE_ENTRIES_MAX: Final = 32_768


class ExtrinsicTooBig(InvalidInput):
    """More bytes or weight than any block may hold."""


class SignatureInvalid(InvalidInput):
    """A signature that is not the sender's over these bytes on this chain."""


class UnknownCall(InvalidInput):
    """The runtime has no such call."""


class WrongSpecVersion(InvalidInput):
    """Signed for another version of the runtime, in which the same bytes could mean something else."""


@dataclass(frozen=True, slots=True)
class CheckedExtrinsic:
    """A well-formed extrinsic with a valid signature. `fee` is without the tip; `weight` is the whole of it."""

    raw: bytes
    digest: Hash
    payload: ExtrinsicPayload
    call: CallSpec
    arguments: Any
    weight: int
    fee: Balance

    @property
    def sender(self) -> AccountId:
        return self.payload.sender

    @property
    def nonce(self) -> Nonce:
        return self.payload.nonce

    @property
    def tip(self) -> int:
        return self.payload.tip

    @property
    def size_bytes(self) -> int:
        return len(self.raw)

    @property
    def last_height(self) -> int:
        """The last block that may hold it."""
        return self.payload.birth + self.payload.lifetime_blocks


class ExtrinsicChecker:
    """Checks extrinsics of one chain."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._checked: OrderedDict[Hash, CheckedExtrinsic] = OrderedDict()

    def check(self, raw: bytes) -> CheckedExtrinsic:
        """Decode and verify, or raise `InvalidInput`. What was checked before is not verified again."""
        digest = compute_extrinsic_hash(raw)
        known = self._checked.get(digest)
        if known is not None:
            self._checked.move_to_end(digest)
            return known
        checked = self._verify(raw, digest)
        self._checked[digest] = checked
        if len(self._checked) > CACHE_ENTRIES_MAX:
            self._checked.popitem(last=False)
        return checked

    def _verify(self, raw: bytes, digest: Hash) -> CheckedExtrinsic:
        if len(raw) > EXTRINSIC_BYTES_MAX:
            raise ExtrinsicTooBig("the extrinsic has too many bytes", most=EXTRINSIC_BYTES_MAX, got=len(raw))
        signed = SIGNED_EXTRINSIC.decode(raw)
        payload, runtime = signed.payload, self._runtime
        if payload.spec_version != runtime.spec_version:
            raise WrongSpecVersion("the extrinsic is for another runtime", ours=runtime.spec_version,
                                   got=payload.spec_version)  # fmt: skip
        call = runtime.calls.get((payload.call.pallet, payload.call.call))
        if call is None:
            raise UnknownCall("there is no such call", pallet=payload.call.pallet, call=payload.call.call)
        arguments = call.arguments.decode(payload.call.arguments)
        weight = EXTRINSIC_WEIGHT + call.weight
        if weight > runtime.config.blocks.max_weight:
            raise ExtrinsicTooBig("no block can hold this call", most=runtime.config.blocks.max_weight, weight=weight)
        message = compute_extrinsic_bytes(runtime.genesis_hash, payload)
        if not ed25519.verify(payload.sender, message, signed.signature):
            raise SignatureInvalid("the signature is not the sender's on this chain", sender=payload.sender)
        fee = runtime.balances.compute_fee(len(raw), weight)
        return CheckedExtrinsic(raw, digest, payload, call, arguments, weight, fee)


def sign_extrinsic(seed: bytes, genesis_hash: Hash, payload: ExtrinsicPayload) -> bytes:
    """The canonical bytes of `payload` signed with the sender's ed25519 seed for one chain."""
    signature = ed25519.sign(seed, compute_extrinsic_bytes(genesis_hash, payload))
    return SIGNED_EXTRINSIC.encode(SignedExtrinsic(payload, signature))
