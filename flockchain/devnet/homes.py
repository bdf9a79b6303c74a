"""Writes a planned devnet to disk: the genesis, each node's folder, and the account of each participant.

Knows what the files are called; starts nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from flockchain.crypto.bls import get_default_backend
from flockchain.devnet.plan import DevnetPlan, NodePlan, build_genesis_config
from flockchain.devnet.shipped_chains import load_shipped_genesis
from flockchain.node.config import ApiConfig, EvaluatorConfig, LogConfig, MetricsConfig, NodeConfig, PeerConfig
from flockchain.node.home import NodeSecrets, initialise_home
from flockchain.runtime.genesis import encode_genesis, load_genesis

__all__ = ["clear_home", "write_homes"]

_MARK = "devnet.json"  # a folder with this file is ours to empty


def clear_home(home: Path) -> None:
    """Remove what an earlier devnet left in `home`, and nothing else."""
    if not (home / _MARK).exists():
        return
    for item in home.iterdir():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()


def write_homes(plan: DevnetPlan, timestamp_ms: int) -> bytes:
    """Write everything that the processes read; returns the genesis file's bytes."""
    plan.settings.home.mkdir(parents=True, exist_ok=True)
    (plan.settings.home / _MARK).write_text(json.dumps(_describe(plan), indent=2) + "\n", encoding="utf-8")
    template = load_genesis(load_shipped_genesis("devnet"))
    genesis = encode_genesis(build_genesis_config(plan, template, timestamp_ms, get_default_backend()))
    plan.genesis_file.write_bytes(genesis)
    for node in plan.nodes:
        _write_node(plan, node, genesis)
    for trainer in plan.trainers:
        _write_secret(trainer.key_file, trainer.account_seed)
    _write_secret(plan.creator_key_file, plan.creator_seed)
    return genesis


def _describe(plan: DevnetPlan) -> dict[str, Any]:
    """Where everything is, for people and scripts."""
    return {
        "chain": plan.chain,
        "seed": plan.settings.seed,
        "genesis": str(plan.genesis_file),
        "nodes": [
            {"name": node.name, "home": str(node.home), "peer": node.peer_address, "api": node.api_address,
             "metrics": node.metrics_address, "evaluator": node.evaluator_address,
             "account": node.secrets.account.hex()}
            for node in plan.nodes
        ],
        "creator_key_file": str(plan.creator_key_file),
    }  # fmt: skip


def _write_node(plan: DevnetPlan, node: NodePlan, genesis: bytes) -> None:
    """Each node dials those before it, so that every pair has exactly one connection."""
    earlier = plan.nodes[: plan.nodes.index(node)]
    config = NodeConfig(
        peer=PeerConfig(listen=node.peer_address, peers=tuple(other.peer_address for other in earlier)),
        api=ApiConfig(listen=node.api_address),
        evaluator=EvaluatorConfig(address=node.evaluator_address),
        metrics=MetricsConfig(listen=node.metrics_address),
        log=LogConfig(format="json"),
    )
    keys = node.secrets
    secrets = NodeSecrets(
        keys.account_seed, keys.node_seed, keys.score_seed, keys.consensus_secret, keys.certificate_secret
    )
    initialise_home(node.home, genesis, config, secrets)


def _write_secret(file: Path, secret: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as sink:
        sink.write(secret.hex() + "\n")
