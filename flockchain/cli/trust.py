"""What a person trusts before a node is asked: a chain, maybe one of its blocks, and what an earlier run verified.

Knows the options and the file that trust is kept in. Whether a header deserves trust is for `flockchain.light`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flockchain.cli.connection import parse_hash
from flockchain.cli.exit_codes import UserMistake
from flockchain.cli.output import print_note
from flockchain.light import LIGHT_BLOCK, TRUST_STORE, HeadersConflict, LightBlock, LightClient, TrustStore
from flockchain.primitives.codec import DecodeError
from flockchain.primitives.numbers import Hash, Height
from flockchain.storage.disk import make_folder, replace_file

if TYPE_CHECKING:
    from flockchain.client import Client

__all__ = [
    "GenesisFileOption", "GenesisOption", "PeriodOption", "Trust", "TrustFileOption", "TrustedOption", "build_progress",
    "keeping_evidence", "open_light_client", "parse_duration_ms", "parse_trusted", "read_trust", "write_trust",
]  # fmt: skip

GenesisOption = Annotated[str | None, typer.Option("--genesis-hash", metavar="HASH", help="The chain that you trust.")]
GenesisFileOption = Annotated[
    Path | None,
    typer.Option("--genesis", metavar="FILE", exists=True, dir_okay=False, help="The genesis file that you trust."),
]
TrustedOption = Annotated[
    str | None, typer.Option("--trusted", metavar="HEIGHT:HASH", help="A recent block that you trust.")
]
PeriodOption = Annotated[
    str | None,
    typer.Option("--trusting-period", metavar="TIME", help="How old a trusted block may be: 36h, 14d. [chain's own]"),
]
TrustFileOption = Annotated[
    Path | None, typer.Option("--trust", metavar="FILE", dir_okay=False, help="Where what was verified is kept.")
]

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NOTE_EVERY_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Trust:
    """The options, as they were typed."""

    genesis_hash: str | None = None
    genesis: Path | None = None
    trusted: str | None = None
    period: str | None = None
    file: Path | None = None


def open_light_client(client: Client, trust: Trust) -> LightClient:
    """A light client that goes on from the trust's file, or starts from what the options name."""
    from flockchain.client import Checkpoint

    genesis_hash = _get_genesis_hash(trust)
    period_ms = None if trust.period is None else parse_duration_ms(trust.period)
    kept = read_trust(trust.file) if trust.file is not None and trust.trusted is None else None
    if kept is not None:
        if genesis_hash is not None and genesis_hash != kept.genesis_hash:
            raise UserMistake("the file's trust is in another chain", file=trust.file, hint="name another --trust FILE")
        return client.light.resume(kept, period_ms)
    if genesis_hash is None:
        print_note("note: taking the node's word for the genesis hash; --genesis-hash gives your own")
        genesis_hash = client.chain.get_status().genesis_hash
    height, block_hash = parse_trusted(trust.trusted)
    return client.light.start(Checkpoint(genesis_hash, height, block_hash, period_ms))


def read_trust(file: Path) -> TrustStore | None:
    """What an earlier run verified, or None where nothing is kept yet."""
    if not file.exists():
        return None
    try:
        kept: TrustStore = TRUST_STORE.decode(file.read_bytes())
    except DecodeError as error:
        raise UserMistake(
            "the file of kept trust cannot be read", file=file, cause=error, hint="remove it and start again"
        ) from error
    return kept


def write_trust(file: Path, store: TrustStore) -> None:
    """Keep what was verified, durably."""
    make_folder(file.parent)
    replace_file(file, TRUST_STORE.encode(store))


def parse_trusted(text: str | None) -> tuple[Height, Hash | None]:
    """Height and hash of a trusted block; genesis when none is given."""
    if text is None:
        return Height(0), None
    height, colon, block = text.partition(":")
    if not colon or not height.isascii() or not height.isdecimal() or len(height) > 19:
        raise UserMistake("a trusted block is HEIGHT:HASH", got=text)
    return Height(int(height)), parse_hash(block, "a trusted block's hash")


def parse_duration_ms(text: str) -> int:
    """A time such as 90s, 30m, 36h or 14d, in milliseconds."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text, re.ASCII)
    if match is None or int(match.group(1)) == 0:
        raise UserMistake("a time is a number and one of s, m, h, d, such as 36h", got=text)
    return int(match.group(1)) * _UNITS_MS[match.group(2)]


def build_progress() -> Callable[[LightBlock], None]:
    """Tells the person now and then how far the headers are verified."""
    steps, told_ms = 0, time.monotonic_ns() // 1_000_000

    def on_step(light_block: LightBlock) -> None:
        nonlocal steps, told_ms
        steps += 1
        now_ms = time.monotonic_ns() // 1_000_000
        if now_ms - told_ms >= _NOTE_EVERY_MS:
            told_ms = now_ms
            header = light_block.header
            print_note(f"verified {steps} headers, to height {header.height} of epoch {header.epoch}")

    return on_step


@contextmanager
def keeping_evidence(folder: Path) -> Iterator[None]:
    """Where two certified headers of one height are met, both are written into `folder` before the error goes on."""
    try:
        yield
    except HeadersConflict as conflict:
        height = conflict.first.header.height
        file = folder / f"conflict-{height}.json"
        pair = [LIGHT_BLOCK.encode(part).hex() for part in (conflict.first, conflict.second)]
        document = {"height": height, "light_blocks": pair}
        make_folder(folder)
        replace_file(file, json.dumps(document, indent=2).encode("ascii"))
        print_note(f"evidence of the attack is in {file}")
        raise


def _get_genesis_hash(trust: Trust) -> Hash | None:
    if trust.genesis_hash is not None and trust.genesis is not None:
        raise UserMistake("--genesis and --genesis-hash both name a chain", hint="give one of them")
    if trust.genesis_hash is not None:
        return parse_hash(trust.genesis_hash, "a genesis hash")
    if trust.genesis is None:
        return None
    from flockchain.runtime.genesis import build_genesis, load_genesis

    return build_genesis(load_genesis(trust.genesis.read_bytes()))[2]
