"""Genesis files and the first block: TOML in, and what every node of the chain starts from.

Knows how a file names the fields of `GenesisConfig`: tables and keys by their names, bytes as lower-case hex. A file
with an unknown, a missing or a mistyped key is refused. Does not know any field: the config's codec is the schema.
"""

from __future__ import annotations

from typing import Any, Final

import tomli_w

from flockchain.crypto.bls import BlsBackend, get_default_backend
from flockchain.primitives.block import Block
from flockchain.primitives.codec import U8, Codec, EncodeError, FixedBytes, ListOf, Struct, Text
from flockchain.primitives.errors import InvalidInput, invariant
from flockchain.primitives.numbers import Hash
from flockchain.primitives.toml_table import NotToml, decode_table
from flockchain.runtime.flock import build_runtime
from flockchain.runtime.genesis_config import GENESIS_CONFIG, GenesisConfig, require_consistent
from flockchain.storage.overlay import Changes

__all__ = ["GenesisMalformed", "GenesisProofInvalid", "build_genesis", "encode_genesis", "load_genesis"]

GENESIS_BYTES_MAX: Final = 32 * 1024 * 1024
_Integer = type(U8)


class GenesisMalformed(InvalidInput):
    """A genesis file that does not name exactly the config's fields with values of their types."""


class GenesisProofInvalid(InvalidInput):
    """A genesis validator that does not prove to hold its BLS keys."""


def load_genesis(data: bytes) -> GenesisConfig:
    """Read a genesis file. Raises `GenesisMalformed` for its form, `GenesisInconsistent` for its values."""
    try:
        table = decode_table(data, GENESIS_BYTES_MAX)
    except NotToml as error:
        raise GenesisMalformed("the genesis is not TOML", cause=error) from error
    config: GenesisConfig = _read(GENESIS_CONFIG, table, "")
    try:
        GENESIS_CONFIG.encode(config)
    except EncodeError as error:
        raise GenesisMalformed("a value of the genesis is out of range", cause=error) from error
    require_consistent(config)
    return config


def encode_genesis(config: GenesisConfig) -> bytes:
    """The file that `load_genesis` reads back as `config`."""
    return tomli_w.dumps(_write(GENESIS_CONFIG, config)).encode("utf-8")


def build_genesis(config: GenesisConfig, bls: BlsBackend | None = None) -> tuple[Block, Changes, Hash]:
    """The first block, its state and the chain's identity. Verifies the validators' proofs of possession.

    The hash is the first block's; its state root covers every value of the config by the digest in state.
    """
    backend = get_default_backend() if bls is None else bls
    for member in config.validators:
        for key, proof in (
            (member.consensus_key, member.consensus_proof),
            (member.certificate_key, member.certificate_proof),
        ):
            if not backend.verify_possession(key, proof):
                raise GenesisProofInvalid("a genesis validator does not prove its key", account=member.account, key=key)
    runtime = build_runtime(config, backend)
    return runtime.genesis_block, dict(runtime.genesis_changes), runtime.genesis_hash


def _read(codec: Codec[Any], value: Any, path: str) -> Any:
    """The value of `codec`'s type that a TOML value stands for."""
    if isinstance(codec, Struct):
        table = _require_type(value, dict, path)
        if set(table) != set(codec.codecs):
            odd = sorted(set(table) ^ set(codec.codecs))
            raise GenesisMalformed("keys are unknown or missing", table=path or "top", keys=", ".join(odd))
        return codec.cls(*[_read(part, table[name], f"{path}.{name}") for name, part in codec.codecs.items()])
    if isinstance(codec, ListOf):
        entries = _require_type(value, list, path)
        return tuple(_read(codec.item, entry, f"{path}[{at}]") for at, entry in enumerate(entries))
    if isinstance(codec, FixedBytes):
        return _read_hex(_require_type(value, str, path), codec.size_bytes, path)
    return _require_type(value, int if isinstance(codec, _Integer) else str, path)


def _read_hex(text: str, size_bytes: int, path: str) -> bytes:
    is_hex = len(text) == 2 * size_bytes and set(text) <= set("0123456789abcdef")
    if not is_hex:
        raise GenesisMalformed("a key is lower-case hex of its length", at=path, bytes=size_bytes)
    return bytes.fromhex(text)


def _require_type(value: Any, kind: type, path: str) -> Any:
    if type(value) is not kind:
        raise GenesisMalformed("a value has another type", at=path, wanted=kind.__name__, got=type(value).__name__)
    return value


def _write(codec: Codec[Any], value: Any) -> Any:
    """The TOML value that stands for `value`."""
    if isinstance(codec, Struct):
        return {name: _write(part, getattr(value, name)) for name, part in codec.codecs.items()}
    if isinstance(codec, ListOf):
        return [_write(codec.item, entry) for entry in value]
    if isinstance(codec, FixedBytes):
        return value.hex()
    invariant(isinstance(codec, _Integer | Text), "a genesis holds integers, text and bytes", codec=codec)
    return value
