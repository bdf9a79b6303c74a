"""`flockchain start`: run a node until it is told to stop."""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from flockchain.cli.connection import HomeOption, resolve_home
from flockchain.cli.exit_codes import NotFound

__all__ = ["start"]


_ACCEPT_HELP: Final = (
    "Vouch for a data folder that was moved or restored: no other node has its keys, and nothing was signed with them "
    "after it was copied. Without this the node does not vote until an epoch begins."
)


def start(
    home: HomeOption = None,
    accept_restored: Annotated[bool, typer.Option("--accept-restored", help=_ACCEPT_HELP)] = False,
) -> None:
    """Run the node of a folder until SIGTERM or Ctrl-C. It logs to standard error."""
    folder = resolve_home(home)
    if not (folder / "node.toml").exists():
        raise NotFound("there is no node in this folder", home=folder, hint=f"flockchain init --home {folder}")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when gRPC loads; what it says of strangers is no log of ours
    from flockchain.node.app import run_node

    raise typer.Exit(run_node(folder, is_restored_accepted=accept_restored))
