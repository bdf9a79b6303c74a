"""`client.extrinsics`: build, sign and submit calls, and wait for what becomes of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flockchain.client.account import Signer
from flockchain.client.chain import Chain
from flockchain.client.errors import BrokenAnswer, CallRefused, DeadlineExceeded, ExtrinsicFailed, NotFound
from flockchain.client.metadata import CallRequest
from flockchain.client.records import AccountRecord, ExtrinsicRecord, StatusRecord, read_amount
from flockchain.client.transport import Transport
from flockchain.crypto.hashing import compute_extrinsic_hash
from flockchain.crypto.signing import compute_extrinsic_bytes
from flockchain.primitives.extrinsic import SIGNED_EXTRINSIC, Call, ExtrinsicPayload, SignedExtrinsic
from flockchain.primitives.numbers import AccountId, Balance, Hash, Height, Nonce
from flockchain.v1 import extrinsics_pb2
from flockchain.v1.extrinsics_pb2_grpc import ExtrinsicServiceStub

__all__ = ["LIFETIME_BLOCKS", "ExtrinsicHandle", "Extrinsics", "SubmitOutcome", "build_extrinsic"]

LIFETIME_BLOCKS: Final = 256  # how long a submitted extrinsic stays valid, unless said otherwise


@dataclass(frozen=True, slots=True)
class SubmitOutcome:
    """Of one extrinsic of a batch: its hash, or why the node did not take it."""

    extrinsic_hash: Hash | None
    refusal: str
    is_invalid: bool


class ExtrinsicHandle:
    """A submitted extrinsic."""

    def __init__(self, extrinsics: Extrinsics, extrinsic_hash: Hash, last_height: Height) -> None:
        self._extrinsics = extrinsics
        self.extrinsic_hash = extrinsic_hash
        self.last_height = last_height  # the last block that may include it

    async def wait(self, timeout_s: int = 60) -> ExtrinsicRecord:
        """Until it is in a finalized block. See `Extrinsics.wait`."""
        return await self._extrinsics.wait(self.extrinsic_hash, timeout_s=timeout_s, last_height=self.last_height)


class Extrinsics:
    """The way of calls into the chain."""

    def __init__(self, transport: Transport, chain: Chain) -> None:
        self._transport = transport
        self._chain = chain
        self._locks: defaultdict[AccountId, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def submit(
        self, call: CallRequest | str, arguments: Mapping[str, Any] | object | None = None, *, account: Signer,
        tip: int = 0, lifetime_blocks: int = LIFETIME_BLOCKS,
    ) -> ExtrinsicHandle:  # fmt: skip
        """Sign a call with the account's next nonce and hand it to the node.

            await client.extrinsics.submit("balances.transfer", {"to": bob, "amount": 5}, account=alice)

        Calls of one account through one client go in order. Raises `UnknownCall`, `EncodeError`, `CallRefused`.
        """
        request = call if isinstance(call, CallRequest) else CallRequest(call, arguments or {})
        async with self._locks[account.account]:
            status = await self._chain.get_status()
            metadata = await self._chain.get_metadata(status.spec_version)
            nonce = (await self.get_account(account.account)).next_nonce
            raw = build_extrinsic(
                metadata.encode_call(request), account=account, status=status, nonce=nonce, tip=tip,
                lifetime_blocks=lifetime_blocks,
            )  # fmt: skip
            extrinsic_hash = await self.submit_raw(raw)
        return ExtrinsicHandle(self, extrinsic_hash, Height(status.height + lifetime_blocks))

    async def submit_raw(self, raw: bytes) -> Hash:
        """Hand over signed bytes; repeating it is harmless. Returns the extrinsic's hash."""
        message = await self._transport.call(
            lambda used: used.get(ExtrinsicServiceStub).SubmitExtrinsic,
            extrinsics_pb2.SubmitExtrinsicRequest(extrinsic=raw),
        )
        extrinsic_hash = compute_extrinsic_hash(raw)
        if message.extrinsic_hash != extrinsic_hash:
            raise BrokenAnswer("the node names another extrinsic", wanted=extrinsic_hash, got=message.extrinsic_hash)
        return extrinsic_hash

    async def submit_batch(self, raws: Sequence[bytes]) -> tuple[SubmitOutcome, ...]:
        """Hand over many at once; each has its own outcome, in the order given."""
        message = await self._transport.call(
            lambda used: used.get(ExtrinsicServiceStub).SubmitExtrinsics,
            extrinsics_pb2.SubmitExtrinsicsRequest(extrinsics=raws),
        )
        if len(message.outcomes) != len(raws):
            raise BrokenAnswer("the node answered for another batch", wanted=len(raws), got=len(message.outcomes))
        return tuple(
            SubmitOutcome(Hash(item.extrinsic_hash) if item.extrinsic_hash else None, item.refusal, item.invalid)
            for item in message.outcomes
        )

    async def get(self, extrinsic_hash: Hash | bytes) -> ExtrinsicRecord:
        """Where it is. Raises `NotFound` when the node knows nothing of it."""
        message = await self._transport.call(
            lambda used: used.get(ExtrinsicServiceStub).GetExtrinsic,
            extrinsics_pb2.GetExtrinsicRequest(extrinsic_hash=extrinsic_hash),
        )
        return ExtrinsicRecord.from_message(Hash(bytes(extrinsic_hash)), message)

    async def wait(
        self, extrinsic_hash: Hash | bytes, *, timeout_s: int = 60, last_height: Height | None = None
    ) -> ExtrinsicRecord:
        """Until it is in a finalized block.

        Raises `ExtrinsicFailed` with the chain's sentence when its call was refused there, `CallRefused` when
        `last_height` passed without it, `DeadlineExceeded` after `timeout_s`.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_s
        while True:
            try:
                record = await self.get(extrinsic_hash)
                if record.is_included:
                    return _require_success(record)
            except NotFound:
                await self._require_alive(last_height)
            if loop.time() >= ends:
                raise DeadlineExceeded("the extrinsic is not in a block yet", timeout_s=timeout_s)
            await asyncio.sleep(self._transport.timing.poll_ms / 1000)

    async def get_account(self, account: AccountId | bytes) -> AccountRecord:
        """Nonces and free balance; zero for an account that the chain does not know."""
        message = await self._transport.call(
            lambda used: used.get(ExtrinsicServiceStub).GetAccount, extrinsics_pb2.GetAccountRequest(account=account)
        )
        return AccountRecord(
            AccountId(bytes(account)), Nonce(message.nonce), Nonce(message.next_nonce),
            Balance(read_amount(message.balance)),
        )  # fmt: skip

    async def _require_alive(self, last_height: Height | None) -> None:
        if last_height is None:
            return
        height = (await self._chain.get_status()).height
        if height > last_height:
            raise CallRefused("the extrinsic expired before a block took it", height=height, last_height=last_height)


def build_extrinsic(
    call: Call, *, account: Signer, status: StatusRecord, nonce: Nonce | int, tip: int = 0,
    lifetime_blocks: int = LIFETIME_BLOCKS,
) -> bytes:  # fmt: skip
    """A signed extrinsic for the chain of `status`, born at its height. Sends nothing."""
    payload = ExtrinsicPayload(
        sender=account.account, nonce=Nonce(nonce), tip=tip, birth=status.height, lifetime_blocks=lifetime_blocks,
        spec_version=status.spec_version, call=call,
    )  # fmt: skip
    signature = account.sign(compute_extrinsic_bytes(status.genesis_hash, payload))
    return SIGNED_EXTRINSIC.encode(SignedExtrinsic(payload, signature))


def _require_success(record: ExtrinsicRecord) -> ExtrinsicRecord:
    if not record.has_succeeded:
        raise ExtrinsicFailed(record.refusal or "the call was refused", height=record.height, index=record.index)
    return record
