"""What one validator holds, in the end: `python -m tools.chaos.audit --api HOST:PORT --height N --extrinsics FILE`.

Prints one JSON object: the hashes of its blocks from 0 to N, and where it has each extrinsic of the file (a hash a
line). Waits for height N. Judges nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from flockchain.client import AsyncClient
from flockchain.client.errors import NotFound

_AT_ONCE = 32
_POLL_S = 0.2


async def _audit(api: str, height: int, digests: list[str]) -> dict[str, object]:
    gate = asyncio.Semaphore(_AT_ONCE)
    async with AsyncClient(api) as client:
        while (await client.chain.get_status()).height < height:  # noqa: ASYNC110 (a validator has no event for us)
            await asyncio.sleep(_POLL_S)

        async def get_hash(at: int) -> str:
            async with gate:
                return (await client.chain.get_block_hash(at)).hex()

        async def get_place(digest: str) -> tuple[str, object]:
            async with gate:
                try:
                    record = await client.extrinsics.get(bytes.fromhex(digest))
                except NotFound:
                    return digest, None
                return digest, [record.height, record.block_hash.hex()] if record.is_included else None

        hashes = await asyncio.gather(*(get_hash(at) for at in range(height + 1)))
        places = await asyncio.gather(*(get_place(digest) for digest in digests))
    return {"hashes": hashes, "places": dict(places)}


def main() -> int:
    """Read the command line and ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--api", required=True)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--extrinsics", type=Path, required=True)
    options = parser.parse_args()
    digests = options.extrinsics.read_text(encoding="ascii").split()
    print(json.dumps(asyncio.run(_audit(options.api, options.height, digests))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
