"""Files that people and nodes read: journal, keystore, genesis, settings, tasks. Damaged, they are refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flockchain.client.task_file import decode_task_file, encode_task_file
from flockchain.crypto.keystore import KdfCost, KeyRole, KeyStore
from flockchain.node.config import NodeConfig, PeerConfig, decode_config, encode_config
from flockchain.primitives.errors import Fault, Refused
from flockchain.primitives.learning import TaskSpec
from flockchain.runtime.genesis import build_genesis, load_genesis
from flockchain.runtime.genesis_config import GenesisConfig, compute_config_digest
from flockchain.storage.journal import open_journal
from tests.fuzz.subject import Subject, Target
from tests.kit.keys import build_validator_keys
from tests.kit.learning import build_spec
from tests.kit.runtime_chain import GENESIS_FOLDER

__all__ = ["TARGETS"]

_CHEAP = KdfCost(operations=1, memory_bytes=8192)
_GENESES_BUILT_MAX = 40  # each verifies the validators' proofs of possession


def build_journal_subject() -> Subject:
    """A journal gives back the first records that were appended to it, in order, or the node does not start."""
    folder = tempfile.TemporaryDirectory(prefix="flockchain-fuzz-")
    path = Path(folder.name) / "journal"
    records = [bytes([number]) * size for number, size in enumerate((40, 1, 200, 90, 17))]
    journal = open_journal(path)
    for record in records:
        journal.append(record)
    journal.close()

    def decode(data: bytes) -> tuple[bytes, ...]:
        path.write_bytes(data)
        opened = open_journal(path)
        try:
            return tuple(opened.records())
        finally:
            opened.close()

    def accepts(read: tuple[bytes, ...]) -> bool:
        return list(read) != records[: len(read)]

    return Subject((path.read_bytes(),), decode, accepts, refusals=(Fault,), finish=folder.cleanup)


def build_keystore_subject() -> Subject:
    """A keystore gives back the secrets that were put in, each under its role, or nothing."""
    folder = tempfile.TemporaryDirectory(prefix="flockchain-fuzz-")
    keys = build_validator_keys(0)
    secrets = {
        KeyRole.ACCOUNT: keys.account_seed, KeyRole.NODE: keys.node_seed, KeyRole.CONSENSUS: keys.consensus_secret,
    }  # fmt: skip
    path = Path(folder.name) / "keys.json"
    KeyStore(path).create("password", secrets, cost=_CHEAP)
    sample = path.read_bytes()

    def decode(data: bytes) -> KeyStore:
        path.write_bytes(data)
        store = KeyStore(path)
        store.list()
        return store

    def accepts(store: KeyStore) -> bool:
        if b'"memory_bytes": 8192' not in path.read_bytes():
            return False  # what a file may ask of memory and time is bounded, and too much for ten thousand runs
        opened = store.unlock("password")
        return any(secrets.get(role) != secret for role, secret in opened.items())

    refusals = (Fault, Refused)
    return Subject((sample,), decode, accepts, refusals=refusals, finish=folder.cleanup)


def build_genesis_subject() -> Subject:
    """A genesis file is that chain's, or another chain's, or none: nothing else has the chain's digest."""
    sample = (GENESIS_FOLDER / "minimal.toml").read_bytes()
    original = load_genesis(sample)
    digest = compute_config_digest(original)
    built = 0

    def accepts(config: GenesisConfig) -> bool:
        nonlocal built
        if built < _GENESES_BUILT_MAX:
            built += 1
            build_genesis(config)
        return compute_config_digest(config) == digest and config != original

    return Subject((sample,), load_genesis, accepts)


def build_settings_subject() -> Subject:
    """node.toml: what is read can be written out and read again to the same."""
    config = NodeConfig(peer=PeerConfig(listen="127.0.0.1:9700", peers=("127.0.0.1:9800", "[::1]:9900")))

    def accepts(read: NodeConfig) -> bool:
        return decode_config(encode_config(read)) != read

    return Subject((encode_config(config),), decode_config, accepts, refusals=(Fault,))


def build_task_file_subject() -> Subject:
    """A task's file: what is read is a task that can be written out and read again to the same."""
    suite = b'{"answer":"4","prompt":"2+2"}\n' * 3
    sample = encode_task_file(build_spec())

    def accepts(spec: TaskSpec) -> bool:
        return decode_task_file(encode_task_file(spec), suite) != spec

    return Subject((sample,), lambda data: decode_task_file(data, suite), accepts)


TARGETS = (
    Target("journal", build_journal_subject),
    Target("keystore", build_keystore_subject),
    Target("genesis", build_genesis_subject),
    Target("node-settings", build_settings_subject),
    Target("task-file", build_task_file_subject),
)
