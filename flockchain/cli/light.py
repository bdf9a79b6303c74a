"""`flockchain light`: follow a chain's headers without trusting a node, and see what is trusted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from flockchain.cli.connection import HomeOption, NodeOption, connect, resolve_home
from flockchain.cli.exit_codes import NotFound
from flockchain.cli.output import Output, OutputFormat, print_record
from flockchain.cli.trust import (
    GenesisFileOption,
    GenesisOption,
    PeriodOption,
    Trust,
    TrustedOption,
    TrustFileOption,
    build_progress,
    keeping_evidence,
    open_light_client,
    read_trust,
    write_trust,
)
from flockchain.light import TrustStore

__all__ = ["app", "follow", "status"]

app = typer.Typer(name="light", help="Headers that no node has to be trusted for.", no_args_is_help=True)

_POLL_S = 2


@app.command("follow")
def follow(
    genesis_hash: GenesisOption = None, genesis: GenesisFileOption = None, trusted: TrustedOption = None,
    period: PeriodOption = None, trust: TrustFileOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C, a record for every new header.")] = False,
    home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Verify headers up to the node's newest and keep them; several --node are compared with one another."""
    file = _get_file(trust, home)
    typed = Trust(genesis_hash, genesis, trusted, period, file)
    with connect(node, home) as client, keeping_evidence(file.parent):
        light = open_light_client(client, typed)
        while True:
            before, on_step = light.store, build_progress()
            try:
                client.light.follow(light, on_step=on_step)
                agreeing = client.light.compare(light)
            finally:
                write_trust(file, light.store)
            if light.store is not before or not watch:
                print_record(_describe(light.store) | {"nodes": list(agreeing)}, output)
            if not watch:
                return
            time.sleep(_POLL_S)


@app.command("status")
def status(trust: TrustFileOption = None, home: HomeOption = None, output: Output = OutputFormat.HUMAN) -> None:
    """What is trusted: asks no node."""
    file = _get_file(trust, home)
    store = read_trust(file)
    if store is None:
        raise NotFound("nothing is trusted yet", file=file, hint="flockchain light follow --genesis FILE")
    print_record(_describe(store), output)


def _get_file(trust: Path | None, home: Path | None) -> Path:
    return trust if trust is not None else resolve_home(home) / "light" / "trust"


def _describe(store: TrustStore) -> dict[str, Any]:
    header = store.latest.header
    return {
        "height": header.height, "block_hash": store.latest.block_hash, "epoch": header.epoch,
        "state_root": header.state_root, "timestamp_ms": header.timestamp_ms,
        "age_s": max(0, time.time_ns() // 1_000_000 - header.timestamp_ms) // 1000,
        "validators": len(store.latest.validators.validators), "genesis_hash": store.genesis_hash,
        "anchor_height": store.anchor.header.height, "headers_kept": len(store.verified),
    }  # fmt: skip
