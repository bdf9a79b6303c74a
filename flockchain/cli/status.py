"""`flockchain status`: where a node is."""

from __future__ import annotations

from flockchain.cli.connection import HomeOption, NodeOption, connect
from flockchain.cli.output import Output, OutputFormat, print_record

__all__ = ["status"]


def status(home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN) -> None:
    """Height, view, finalized hash and peers of a running node."""
    with connect(node, home) as client:
        print_record(client.chain.get_status(), output)
