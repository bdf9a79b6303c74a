"""`flockchain state`: what stands under a key, and the proof of it, for those who ask no node."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flockchain.cli.connection import HomeOption, NodeOption, connect
from flockchain.cli.exit_codes import AlreadyThere, UserMistake
from flockchain.cli.output import Output, OutputFormat, print_record

__all__ = ["ProofFormat", "app", "parse_key", "prove"]

app = typer.Typer(name="state", help="Finalized state, with proofs.", no_args_is_help=True)

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="PALLET/ITEM, PALLET/ITEM/HEX of a map's key, or 0xHEX of the whole key.")
]


class ProofFormat(StrEnum):
    """How a proof is written."""

    FLOCKCHAIN = "flockchain"  # the chain's own encoding
    ICS23 = "ics23"  # a protobuf CommitmentProof under SmtSpec


FormatOption = Annotated[
    ProofFormat, typer.Option("--format", help="ics23: a CommitmentProof; flockchain: the chain's own encoding.")
]


@app.command("prove")
def prove(
    key: KeyArgument,
    form: FormatOption = ProofFormat.ICS23,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write the proof's bytes here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Prove a value, or that there is none, against the state root of the last finalized block."""
    from flockchain.storage.proof import PROOF

    if to is not None and to.exists() and not force:
        raise AlreadyThere("a file is there already", file=to)
    with connect(node, home) as client:
        (proven,) = client.state.prove(parse_key(key))
    data = proven.to_ics23() if form is ProofFormat.ICS23 else PROOF.encode(proven.proof)
    if to is not None:
        to.write_bytes(data)
    record = {
        "key": proven.key, "is_present": proven.value is not None, "value": proven.value,
        "height": proven.header.height, "block_hash": proven.block_hash, "state_root": proven.header.state_root,
        "format": form.value, "proof": data if to is None else to,
    }  # fmt: skip
    print_record(record, output)


def parse_key(text: str) -> bytes:
    """A state key as a person writes it."""
    pallet, _, rest = text.partition("/")
    item, _, place = rest.partition("/")
    try:
        if text.startswith("0x"):
            return bytes.fromhex(text[2:])
        if pallet and item and text.isascii():
            return f"{pallet}/{item}/".encode("ascii") + bytes.fromhex(place)
    except ValueError:
        pass
    raise UserMistake("a state key is PALLET/ITEM, PALLET/ITEM/HEX or 0xHEX", got=text)
