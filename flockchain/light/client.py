"""Trusts one header, and by it newer ones: the rules of a light client (docs/adr/0007).

Sequential: a header in the epoch of the trusted one, or in the next, whose validators the trusted header names, is
believed when more than 2/3 of their stake finalized it. Skipping: a header further ahead is believed when, in addition,
all its signers are validators that are trusted already, and they hold more than 1/3 of the trusted stake.

Signers that are not trusted yet end a skip, because an aggregate signature is worth something only over keys whose
possession was shown: the chain saw that for its validators; for the keys in a forged set nobody did, and one such
key can cancel all others. Time is handed in. Every refusal leaves the trust as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.voting import verify_certificate
from flockchain.light.light_block import LightBlock, find_mismatch
from flockchain.light.refusals import (
    ForeignTrust,
    HeadersConflict,
    NotEnoughTrust,
    TrustExpired,
    VerificationFailed,
)
from flockchain.light.trust_store import TrustedHeader, TrustStore
from flockchain.primitives.block import Header
from flockchain.primitives.limits import CLOCK_DRIFT_MS_MAX
from flockchain.primitives.numbers import Hash, Stake, TimestampMs, is_more_than_one_third
from flockchain.primitives.vote import decode_bitmap

__all__ = ["LightClient", "LightConfig", "TrustedHeader", "compute_trusting_period_ms"]


@dataclass(frozen=True, slots=True)
class LightConfig:
    """Which chain, and for how long what was once trusted still is.

    `trusting_epochs`: a skip goes no further, where the chain's own rule is known.
    """

    genesis_hash: Hash
    bls: BlsBackend
    trusting_period_ms: int
    clock_drift_ms: int = CLOCK_DRIFT_MS_MAX
    trusting_epochs: int | None = None


def compute_trusting_period_ms(trusting_epochs: int, epoch_blocks: int, block_ms: int) -> int:
    """A chain's trusting period as time, when a block takes `block_ms`."""
    return trusting_epochs * epoch_blocks * block_ms


class LightClient:
    """What is trusted now, and the way to trust newer headers."""

    def __init__(self, config: LightConfig, trusted: TrustedHeader) -> None:
        self.config = config
        self.store = TrustStore(config.genesis_hash, trusted)

    @classmethod
    def resume(cls, config: LightConfig, store: TrustStore) -> LightClient:
        """Goes on from what another run of the same chain's client had verified. Raises `ForeignTrust`."""
        if store.genesis_hash != config.genesis_hash:
            raise ForeignTrust("what was trusted is another chain", kept=store.genesis_hash, wanted=config.genesis_hash)
        client = cls(config, store.anchor)
        client.store = store
        return client

    @property
    def trusted(self) -> TrustedHeader:
        """The newest trusted header."""
        return self.store.latest

    def verify(self, light_block: LightBlock, now_ms: TimestampMs | int) -> TrustedHeader:
        """Trust the light block's header, if the trusted one allows it; what is trusted already is given again.

        Raises `TrustExpired`, `NotEnoughTrust` (an epoch between has to come first), `HeadersConflict`,
        `VerificationFailed`.
        """
        self.require_fresh(now_ms)
        mismatch = find_mismatch(light_block)
        if mismatch is not None:
            raise VerificationFailed(mismatch, height=light_block.header.height)
        if light_block.header.height <= self.trusted.header.height:
            return self._get_known(light_block, now_ms)
        self._require_later(light_block.header, now_ms)
        self._require_named(light_block)
        self._require_certified(light_block)
        self.store = self.store.add(light_block)
        return self.trusted

    def require_fresh(self, now_ms: TimestampMs | int) -> None:
        """Refuse when the trusted header is older than the trusting period. Raises `TrustExpired`."""
        header = self.trusted.header
        age_ms = now_ms - header.timestamp_ms
        if age_ms >= self.config.trusting_period_ms:
            raise TrustExpired(
                "the trusted header is older than the trusting period", height=header.height, age_ms=age_ms,
                period_ms=self.config.trusting_period_ms,
            )  # fmt: skip

    def _require_later(self, header: Header, now_ms: int) -> None:
        trusted = self.trusted.header
        if header.epoch < trusted.epoch:
            raise VerificationFailed("a later header is of an earlier epoch", epoch=header.epoch, trusted=trusted.epoch)
        if header.timestamp_ms < trusted.timestamp_ms:
            raise VerificationFailed("the time runs backwards", got=header.timestamp_ms, trusted=trusted.timestamp_ms)
        if header.timestamp_ms > now_ms + self.config.clock_drift_ms:
            raise VerificationFailed("a header is from the future", got=header.timestamp_ms, now=now_ms)

    def _require_named(self, light_block: LightBlock) -> None:
        """The validators are those that the trusted header names, or the trusted ones vouch for them."""
        header, trusted = light_block.header, self.trusted.header
        if header.epoch > trusted.epoch + 1:
            self._require_vouched(light_block)
            return
        is_same = header.epoch == trusted.epoch
        named = trusted.validators_hash if is_same else trusted.next_validators_hash
        if header.validators_hash != named:
            raise VerificationFailed("validators are not those that the chain named", epoch=header.epoch)
        if is_same and header.next_validators_hash != trusted.next_validators_hash:
            raise VerificationFailed("two headers name different validators for an epoch", epoch=header.epoch + 1)

    def _require_vouched(self, light_block: LightBlock) -> None:
        """More than 1/3 of the trusted stake signed, and nobody else did."""
        trusted, epoch = self.trusted, light_block.header.epoch
        reach = self.config.trusting_epochs
        if reach is not None and epoch - trusted.header.epoch > reach:
            raise NotEnoughTrust("a skip goes no further than the trusting period", epoch=epoch, most=reach)
        members = light_block.validators.validators
        indexes = decode_bitmap(light_block.certificate.signers)
        if not indexes or indexes[-1] >= len(members):
            raise VerificationFailed("a certificate names signers that there are not", height=light_block.header.height)
        stakes = {member.consensus_key: member.stake for member in trusted.validators.validators}
        signers = {members[index].consensus_key for index in indexes}
        if len(signers) != len(indexes):
            raise VerificationFailed("one key signs twice", height=light_block.header.height)
        if not signers <= stakes.keys():
            raise NotEnoughTrust("a header is signed by validators that are not trusted yet", epoch=epoch)
        signed = Stake(sum(stakes[key] for key in signers))
        if not is_more_than_one_third(signed, trusted.validators.total_stake):
            raise NotEnoughTrust(
                "too little of the trusted stake signed", epoch=epoch, stake=signed,
                total=trusted.validators.total_stake,
            )  # fmt: skip

    def _require_certified(self, light_block: LightBlock) -> None:
        config = self.config
        if not verify_certificate(config.bls, config.genesis_hash, light_block.validators, light_block.certificate):
            header = light_block.header
            raise VerificationFailed(
                "a finalization certificate does not hold", height=header.height, epoch=header.epoch
            )

    def _get_known(self, light_block: LightBlock, now_ms: int) -> TrustedHeader:
        """What is trusted at that height, if it is this very header."""
        header = light_block.header
        known = self.store.find(header.height)
        if known is None:
            raise VerificationFailed(
                "a header is older than the trusted one; only links of parents show it", height=header.height
            )
        if known.block_hash != light_block.block_hash:
            self._require_no_fork(known, light_block, now_ms)
        return TrustedHeader(known.header, known.validators)

    def _require_no_fork(self, known: TrustedHeader | LightBlock, light_block: LightBlock, now_ms: int) -> None:
        """Refuse another header of a trusted height: as evidence, if it would have been trusted in its place."""
        below = self.store.find_below(light_block.header.height)
        if below is not None and isinstance(known, LightBlock):
            try:
                LightClient(self.config, below).verify(light_block, now_ms)
            except (NotEnoughTrust, TrustExpired):
                pass  # nobody whom we can hold to it signed it
            else:
                raise HeadersConflict(
                    "validators finalized two blocks of one height", first=known, second=light_block,
                    height=light_block.header.height,
                )  # fmt: skip
        raise VerificationFailed("a header is not the trusted one of its height", height=light_block.header.height)
