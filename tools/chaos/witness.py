"""A client beside one validator, outside of its process: gives it load, and writes down what it says is final.

    python -m tools.chaos.witness --api HOST:PORT --out FILE --account SEED --rate N

One JSON object a line, appended as it is heard, so it stands when the validator is killed a moment later:
`status` (height after each connection), `final` (height, hash, those of our extrinsics that are in the block),
`accepted` (a count). Judges nothing. Runs until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from flockchain.client import Account, AsyncClient, CallRequest, FinalizedBlock, Timing, build_extrinsic
from flockchain.crypto.hashing import compute_extrinsic_hash, hash_tagged
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.numbers import Nonce

__all__ = ["derive_account"]

_TIMING = Timing(deadline_ms=3_000, stream_silence_ms=60_000, attempts=1)
_TICK_S = 0.25
_AGAIN_S = 0.2
_LIFETIME_BLOCKS = 1024
_WAITING_MAX = 200  # extrinsics that are under way; above this the load waits


def derive_account(name: str) -> Account:
    """The account that the witness of validator `name` pays from."""
    return Account(hash_tagged("chaos-account", name.encode()))


class Witness:
    """One validator's client and its records."""

    def __init__(self, client: AsyncClient, account: Account, rate: int, out: Path) -> None:
        self._client = client
        self._account = account
        self._rate = rate
        self._file = out.open("a", encoding="utf-8")
        self._waiting: dict[bytes, float] = {}
        self._due = 0.0  # transfers that the rate asks for and that were not handed over yet
        self._ticked_s = time.monotonic()
        self._height: int | None = None

    async def run(self) -> None:
        """Both halves, for ever."""
        await asyncio.gather(self._follow(), self._submit())

    def _write(self, kind: str, **values: Any) -> None:
        self._file.write(json.dumps({"kind": kind, "at_ms": time.time_ns() // 1_000_000, **values}) + "\n")
        self._file.flush()

    async def _follow(self) -> None:
        while True:
            try:
                status = await self._client.chain.get_status()
                self._write("status", height=status.height, hash=status.finalized_hash.hex())
                if self._height is None:
                    self._height = status.height
                async for item in self._client.events.subscribe(self._height, without_runtime_events=True):
                    if isinstance(item, FinalizedBlock):
                        self._note(item)
            except FlockchainError:
                await asyncio.sleep(_AGAIN_S)

    def _note(self, block: FinalizedBlock) -> None:
        self._height = block.height
        ours = [digest.hex() for digest in block.extrinsic_hashes if self._waiting.pop(digest, None) is not None]
        self._write(
            "final", height=block.height, hash=block.block_hash.hex(), epoch=block.epoch, view=block.view, ours=ours,
            extrinsics=len(block.extrinsic_hashes),
        )  # fmt: skip

    async def _submit(self) -> None:
        metadata = None
        while True:
            await asyncio.sleep(_TICK_S)
            self._forget_old()
            try:
                metadata = metadata or await self._client.chain.get_metadata()
                await self._submit_some(metadata)
            except FlockchainError:
                await asyncio.sleep(_AGAIN_S)

    async def _submit_some(self, metadata: Any) -> None:
        now = time.monotonic()
        self._due = min(self._due + (now - self._ticked_s) * self._rate, float(_WAITING_MAX))
        self._ticked_s = now
        count = min(int(self._due), _WAITING_MAX - len(self._waiting))
        if count <= 0:
            return
        status = await self._client.chain.get_status()
        nonce = (await self._client.extrinsics.get_account(self._account.account)).next_nonce
        call = metadata.encode_call(CallRequest("balances.transfer", {"target": bytes([7]) * 32, "amount": 1_000_000}))
        batch = [
            build_extrinsic(
                call, account=self._account, status=status, nonce=Nonce(nonce + at), lifetime_blocks=_LIFETIME_BLOCKS
            )
            for at in range(count)
        ]
        digests = [compute_extrinsic_hash(raw) for raw in batch]
        self._waiting.update((digest, now) for digest in digests)  # before: the block may be heard of first
        outcomes = await self._client.extrinsics.submit_batch(batch)
        self._due -= count
        for digest, outcome in zip(digests, outcomes, strict=True):
            if outcome.extrinsic_hash is None:
                self._waiting.pop(digest, None)
        self._write("accepted", count=sum(outcome.extrinsic_hash is not None for outcome in outcomes))

    def _forget_old(self) -> None:
        """What a killed validator took with it is not waited for."""
        oldest = time.monotonic() - 30
        self._waiting = {digest: at for digest, at in self._waiting.items() if at > oldest}


async def _run(options: argparse.Namespace) -> None:
    async with AsyncClient(options.api, timing=_TIMING) as client:
        await Witness(client, derive_account(options.account), options.rate, options.out).run()


def main() -> int:
    """Read the command line and watch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--api", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--rate", type=int, default=10, help="transfers a second")
    asyncio.run(_run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
