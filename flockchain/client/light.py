"""`client.light`: follows the chain's headers without trusting the node, from one block that is trusted.

Fetches what `flockchain.light` asks for and hands it the time; what is believed is decided there. The node's answers
may be lies, so a refusal is an answer, too: `TrustExpired` and `HeadersConflict` say what to do next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flockchain.client.chain import Chain
from flockchain.client.errors import CallRefused, NotFound, VerificationFailed
from flockchain.client.transport import Transport
from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.hashing import compute_block_hash
from flockchain.light.client import LightClient, LightConfig, compute_trusting_period_ms
from flockchain.light.header_proof import HeaderProof, HeaderTrail, require_linked
from flockchain.light.light_block import LightBlock
from flockchain.light.pursuit import Pursuit
from flockchain.light.trust_store import TrustedHeader, TrustStore, require_anchor
from flockchain.primitives.block import Header
from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import NEAR_EPOCHS_MAX
from flockchain.primitives.numbers import Epoch, Hash, Height

__all__ = ["Checkpoint", "HistoryMissing", "Light", "Steps", "get_now_ms"]

_GENESIS: Final = Height(0)
_MISSING: Final = (NotFound, CallRefused)  # it was never there, or was pruned

Steps = Callable[[LightBlock], None]  # told of every light block that was verified on the way


class HistoryMissing(NotFound):
    """The node no longer has a header or the validators that the way needs, or never had them."""

    hint = "ask a node that keeps the whole chain (--node), or start from a later block that you trust (--trusted)"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is trusted before anything is asked: a chain, one of its blocks (None: the genesis), and for how long.

    The period is the chain's own when None is given, which asks the node for the genesis file and checks its hash.
    """

    genesis_hash: Hash
    height: Height = _GENESIS
    block_hash: Hash | None = None
    trusting_period_ms: int | None = None


def get_now_ms() -> int:
    """The time, Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Light:
    """Leads light clients through the node's headers."""

    def __init__(self, transport: Transport, chain: Chain) -> None:
        self._transport = transport
        self._chain = chain

    async def fetch_config(self, genesis_hash: Hash, trusting_period_ms: int | None = None) -> LightConfig:
        """The chain's rules for light clients, from its genesis file, whose hash must be this. Raises if it is not."""
        bls = get_default_backend()
        if trusting_period_ms is not None:
            return LightConfig(genesis_hash, bls, trusting_period_ms)
        from flockchain.runtime.flock import build_runtime  # not needed when the period is given
        from flockchain.runtime.genesis import load_genesis

        rules = load_genesis((await self._chain.get_genesis()).toml)
        if build_runtime(rules, bls).genesis_hash != genesis_hash:
            raise VerificationFailed("the node's genesis file is of another chain", trusted=genesis_hash)
        epochs = rules.staking.trusting_epochs
        period_ms = compute_trusting_period_ms(epochs, rules.epoch_blocks, rules.consensus.idle_block_ms)
        return LightConfig(genesis_hash, bls, period_ms, trusting_epochs=epochs)

    async def start(self, checkpoint: Checkpoint) -> LightClient:
        """A light client that trusts the checkpoint's block and nothing else. Raises `VerificationFailed`."""
        config = await self.fetch_config(checkpoint.genesis_hash, checkpoint.trusting_period_ms)
        trusted_hash = checkpoint.block_hash or checkpoint.genesis_hash
        try:
            header = await self._fetch_header(checkpoint.height)
            validators = await self._chain.get_validator_set(header.epoch)
        except _MISSING as error:
            raise HistoryMissing("the node does not have the trusted block", height=checkpoint.height) from error
        return LightClient(config, require_anchor(trusted_hash, header, validators))

    async def resume(self, store: TrustStore, trusting_period_ms: int | None = None) -> LightClient:
        """A light client that goes on from what an earlier one had verified."""
        return LightClient.resume(await self.fetch_config(store.genesis_hash, trusting_period_ms), store)

    async def follow(
        self, client: LightClient, height: Height | int | None = None, *, now_ms: int | None = None,
        near_epochs: int = NEAR_EPOCHS_MAX, on_step: Steps | None = None,
    ) -> TrustedHeader:  # fmt: skip
        """Trust the newest header, or the first certified one from `height` on. Raises as `LightClient.verify` does."""
        proof = await self.fetch_proof(height)
        await self.reach(client, proof, now_ms=now_ms, near_epochs=near_epochs, on_step=on_step)
        return client.trusted

    async def fetch_proof(self, height: Height | int | None = None) -> HeaderProof:
        """What proves the header at `height`, or the newest. Raises `HistoryMissing`."""
        try:
            return await self._chain.get_header_proof(height)
        except _MISSING as error:
            raise HistoryMissing("the node has no proof of that header", height=height) from error

    async def reach(
        self, client: LightClient, proof: HeaderProof, *, now_ms: int | None = None,
        near_epochs: int = NEAR_EPOCHS_MAX, on_step: Steps | None = None,
    ) -> Header:  # fmt: skip
        """Trust the proof's light block, over as many epochs as it takes; gives the proven header."""
        client.require_fresh(get_now_ms() if now_ms is None else now_ms)
        header = require_linked(proof)
        pursuit = Pursuit(client, proof.light_block, near_epochs=near_epochs)
        pursuit.advance(get_now_ms() if now_ms is None else now_ms)
        told = 0
        while True:
            for hop in pursuit.hops[told:]:
                if on_step is not None:
                    on_step(hop)
            told = len(pursuit.hops)
            if pursuit.wanted is None:
                return header
            light_block = await self._fetch_last_of(pursuit.wanted)
            pursuit.on_light_block(light_block, get_now_ms() if now_ms is None else now_ms)

    async def fetch_trail(
        self, client: LightClient, height: Height | int, *, now_ms: int | None = None, on_step: Steps | None = None
    ) -> HeaderTrail:
        """What leads from the client's trust to the header at `height`. Raises as `LightClient.verify` does."""
        proof = await self.fetch_proof(height)
        hops: list[LightBlock] = []

        def on_hop(hop: LightBlock) -> None:
            hops.append(hop)
            if on_step is not None:
                on_step(hop)

        await self.reach(client, proof, now_ms=now_ms, on_step=on_hop)
        return HeaderTrail(tuple(hops), proof)

    async def compare(self, client: LightClient, *, now_ms: int | None = None) -> tuple[str, ...]:
        """Ask every node for the trusted header; gives the endpoints that have the same. Silent nodes are left out.

        Raises `HeadersConflict` when another node shows another header that the same validators certified, and
        `VerificationFailed` when a node shows one that is not certified.
        """
        trusted = client.trusted
        agreeing: list[str] = []
        for link in self._transport.links:
            try:
                proof = await self._chain.get_header_proof(trusted.header.height, link=link)
            except (*_MISSING, Fault):
                continue
            if compute_block_hash(require_linked(proof)) != trusted.block_hash:
                other = LightClient.resume(client.config, client.store)
                other.verify(proof.light_block, get_now_ms() if now_ms is None else now_ms)
                raise VerificationFailed("a node's chain goes on from another block", node=link.endpoint)
            agreeing.append(link.endpoint)
        return tuple(agreeing)

    async def _fetch_header(self, height: Height) -> Header:
        """The header at a height, on the node's word; a node without the block may still have it as an epoch's last."""
        try:
            return (await self._chain.get_block(height)).header
        except _MISSING:
            return (await self._chain.get_header_proof(height)).header

    async def _fetch_last_of(self, epoch: Epoch) -> LightBlock:
        try:
            return await self._chain.get_light_block(epoch)
        except _MISSING as error:
            raise HistoryMissing("the node does not have the last header of an epoch", epoch=epoch) from error
