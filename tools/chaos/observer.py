"""A peer of every validator that only listens, and writes down every vote that it hears.

    python -m tools.chaos.observer --genesis FILE --listen HOST:PORT --out FILE --peer HOST:PORT ...

One JSON object a line: epoch, view, kind, block hash, signer. A leader's proposal counts as its NOTARIZE, which it is.
Relays nothing, answers nothing, signs nothing, judges nothing. Runs until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from flockchain.crypto import ed25519
from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.hashing import compute_block_hash, hash_tagged
from flockchain.gossip.messages import ProposalMessage, StatusMessage, VoteMessage, decode_message, encode_message
from flockchain.node.handshake import RemotePeer
from flockchain.node.links import LinkEnd
from flockchain.node.standing import Misdeed
from flockchain.node.transport import Transport, TransportConfig
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import Epoch, Height, NodeId, View
from flockchain.runtime.genesis import build_genesis, load_genesis

_STATUS_S = 1.0
_LEADER = "leader"


class Observer:
    """What a transport tells its host, written down."""

    def __init__(self, out: Path) -> None:
        self._file = out.open("a", encoding="utf-8")
        self._known: set[tuple[int, int, str, str, str]] = set()

    def on_peer_connected(self, peer: RemotePeer) -> None:
        self._write({"connected": peer.node_id.hex()})

    def on_peer_message(self, peer: NodeId, payload: bytes) -> None:
        try:
            message = decode_message(payload)
        except InvalidInput as error:
            self._write({"nonsense": str(error), "from": peer.hex()})
            return
        if isinstance(message, VoteMessage):
            vote = message.vote
            self._note(vote.epoch, vote.view, vote.kind.name, vote.block_hash.hex(), str(vote.signer))
        elif isinstance(message, ProposalMessage):
            header = message.proposal.block.header
            self._note(header.epoch, message.proposal.view, "NOTARIZE", compute_block_hash(header).hex(), _LEADER)

    def on_peer_gone(self, peer: NodeId, why: LinkEnd, details: str) -> None:
        self._write({"gone": peer.hex(), "reason": why.value, "details": details})

    def on_peer_refused(self, address: str, reason: str) -> None:
        self._write({"refused": address, "reason": reason})

    def on_peer_misdeed(self, peer: NodeId, misdeed: Misdeed, reason: str) -> None:
        self._write({"misdeed": misdeed.name, "from": peer.hex(), "reason": reason})

    def on_banned(self, peer: NodeId, host: str, what: str) -> None:
        self._write({"banned": what, "peer": peer.hex(), "host": host})

    def on_message_dropped(self, peer: NodeId, channel: str) -> None:
        self._write({"dropped": channel, "peer": peer.hex()})

    def on_peer_file_trouble(self, reason: str) -> None:
        self._write({"trouble": reason})

    def _note(self, epoch: int, view: int, kind: str, block_hash: str, signer: str) -> None:
        vote = (epoch, view, kind, block_hash, signer)
        if vote not in self._known:
            self._known.add(vote)
            self._write({"vote": vote})

    def _write(self, line: object) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


async def _run(options: argparse.Namespace) -> None:
    _, _, genesis_hash = build_genesis(load_genesis(options.genesis.read_bytes()), get_default_backend())
    seed = hash_tagged("chaos-observer", b"")
    node_id = NodeId(ed25519.get_public_key(seed))
    config = TransportConfig(options.listen, static_peers=tuple(options.peer), is_discovering=False)
    transport = Transport(config, genesis_hash, node_id, seed, Observer(options.out))
    await transport.start()
    status = encode_message(StatusMessage(Height(0), genesis_hash, Epoch(0), View(0)))
    try:
        while True:
            transport.send([peer.node_id for peer in transport.peers], status)
            await asyncio.sleep(_STATUS_S)
    finally:
        await transport.stop()


def main() -> int:
    """Read the command line and listen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genesis", type=Path, required=True)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--peer", action="append", required=True)
    asyncio.run(_run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
