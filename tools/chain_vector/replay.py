"""Executes the recorded chain again and says what came of it, block by block, as JSON.

    python -m tools.chain_vector.replay [--bls arkworks|py-ecc] [--rebuild] [--certificates]

Whatever the interpreter, its version and its hash seed, the answer must be the one in the file. `--rebuild` builds the
state tree anew from the flat state after each block and compares it with the one that grew; `--certificates` verifies
the finalizations. Needs the chain's own dependencies only.
"""

from __future__ import annotations

import argparse
import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.bls_arkworks import ArkworksBackend
from flockchain.crypto.bls_py_ecc import PyEccBackend
from flockchain.crypto.hashing import compute_block_hash
from flockchain.crypto.voting import verify_certificate
from flockchain.primitives.block import BLOCK
from flockchain.primitives.vote import CERTIFICATE
from flockchain.runtime.execution import BLOCK_OUTCOME
from flockchain.runtime.executive import Executive
from flockchain.runtime.flock import Runtime, build_runtime
from flockchain.runtime.genesis import load_genesis
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.overlay import Overlay
from flockchain.storage.tree import StateTree

__all__ = ["FOLDER", "main", "replay"]

FOLDER = Path(__file__).parents[2] / "tests" / "vectors" / "chain"
BACKENDS: dict[str, type[BlsBackend]] = {"arkworks": ArkworksBackend, "py-ecc": PyEccBackend}


def main() -> int:
    """Replay the recorded chain and print what came of it."""
    parser = argparse.ArgumentParser(description="replay the recorded chain")
    parser.add_argument("--bls", choices=sorted(BACKENDS), default="arkworks")
    parser.add_argument("--rebuild", action="store_true")
    parser.add_argument("--certificates", action="store_true")
    options = parser.parse_args()
    found = replay(BACKENDS[options.bls](), rebuild=options.rebuild, certificates=options.certificates)
    json.dump(found, sys.stdout)
    return 0


def replay(backend: BlsBackend, *, rebuild: bool = False, certificates: bool = False) -> dict[str, Any]:
    """The chain's identity, and each block's hash, roots and the digest of its events and receipts."""
    runtime = build_runtime(load_genesis((FOLDER / "genesis.toml").read_bytes()), backend)
    executive = Executive(runtime)
    store = MemoryStore()
    store.write(runtime.genesis_changes, sync=False)
    tree = StateTree.empty().apply(runtime.genesis_changes)
    head = runtime.genesis_block.header
    blocks: list[dict[str, Any]] = []
    for recorded in json.loads((FOLDER / "blocks.json").read_text())["blocks"]:
        block = BLOCK.decode(bytes.fromhex(recorded["block"]))
        if certificates:
            _require_certified(runtime, store, recorded["certificate"], compute_block_hash(block.header))
        overlay = Overlay(store)
        outcome = executive.apply_block(overlay, block, head)
        tree = tree.apply(overlay.changes)
        store.write(overlay.changes, sync=False)
        head = block.header
        if rebuild and StateTree.build(store.scan(b"")).root != tree.root:
            raise SystemExit(f"the tree that grew is not the one that is built anew at height {head.height}")
        if tree.root != head.state_root:
            raise SystemExit(f"the state root is another at height {head.height}: {tree.root.hex()}")
        blocks.append(
            {
                "block_hash": compute_block_hash(head).hex(),
                "state_root": tree.root.hex(),
                "events_root": outcome.events_root.hex(),
                "outcome": sha256(BLOCK_OUTCOME.encode(outcome)).hexdigest(),
            }
        )
    return {"genesis_hash": runtime.genesis_hash.hex(), "blocks": blocks}


def _require_certified(runtime: Runtime, store: MemoryStore, encoded: str, block_hash: bytes) -> None:
    certificate = CERTIFICATE.decode(bytes.fromhex(encoded))
    members = runtime.views.get_validator_set(store, certificate.epoch)
    is_good = verify_certificate(runtime.bls, runtime.genesis_hash, members, certificate)
    if certificate.block_hash != block_hash or not is_good:
        raise SystemExit(f"a certificate does not hold: {encoded}")


if __name__ == "__main__":
    sys.exit(main())
