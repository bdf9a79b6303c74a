"""node.toml: what an operator may choose for one node. Frozen, validated, and unknown keys are refused.

What all nodes must agree on is in the genesis file, what nobody may change is in `primitives.limits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, TypeVar, get_type_hints

from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import MIB, PEERS_MAX, STATE_ROOTS_KEPT
from flockchain.primitives.toml_table import NotToml, decode_table

__all__ = [
    "ApiConfig", "BadNodeConfig", "EvaluatorConfig", "LogConfig", "MetricsConfig", "NodeConfig", "PeerConfig",
    "StorageConfig", "SyncConfig",
    "decode_config", "encode_config", "require_address",
]  # fmt: skip

T = TypeVar("T")
_BYTES_MAX: Final = MIB
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("console", "json")


class BadNodeConfig(Fault):
    """node.toml cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """Where peers reach this node (`listen`), what they are told if that differs (`advertise`), whom to dial."""

    listen: str = "127.0.0.1:9700"
    advertise: str = ""
    peers: tuple[str, ...] = ()
    max_peers: int = PEERS_MAX
    discover: bool = True
    reserved_slots: int = PEERS_MAX // 8
    max_inbound_per_network: int = PEERS_MAX // 4
    max_inbound_per_host: int = 4

    def __post_init__(self) -> None:
        require_address(self.listen, "peer.listen", may_be_any_port=True)
        if self.advertise:
            require_address(self.advertise, "peer.advertise")
        for address in self.peers:
            require_address(address, "peer.peers")
        if not 1 <= self.max_peers <= PEERS_MAX:
            raise BadNodeConfig("peer.max_peers is out of range", least=1, most=PEERS_MAX, got=self.max_peers)
        for key in ("reserved_slots", "max_inbound_per_network", "max_inbound_per_host"):
            if not 0 <= getattr(self, key) <= PEERS_MAX:
                raise BadNodeConfig(f"peer.{key} is out of range", least=0, most=PEERS_MAX, got=getattr(self, key))


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where clients reach this node."""

    listen: str = "127.0.0.1:9701"

    def __post_init__(self) -> None:
        require_address(self.listen, "api.listen", may_be_any_port=True)


@dataclass(frozen=True, slots=True)
class EvaluatorConfig:
    """The evaluator module that this validator asks. Without an address it abstains from judging updates."""

    address: str = ""
    silence_limit_ms: int = 60_000
    time_limit_ms: int = 600_000

    def __post_init__(self) -> None:
        if self.address:
            require_address(self.address, "evaluator.address")
        if not 0 < self.silence_limit_ms <= self.time_limit_ms <= 24 * 3600 * 1000:
            raise BadNodeConfig(
                "evaluator's limits must be positive, silence within time", silence_limit_ms=self.silence_limit_ms,
                time_limit_ms=self.time_limit_ms,
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Where Prometheus finds this node's figures; empty: nowhere."""

    listen: str = ""

    def __post_init__(self) -> None:
        if self.listen:
            require_address(self.listen, "metrics.listen", may_be_any_port=True)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is written to standard error, and how."""

    level: str = "info"
    format: str = "console"

    def __post_init__(self) -> None:
        if self.level not in LOG_LEVELS:
            raise BadNodeConfig("log.level is unknown", known=", ".join(LOG_LEVELS), got=self.level)
        if self.format not in LOG_FORMATS:
            raise BadNodeConfig("log.format is unknown", known=", ".join(LOG_FORMATS), got=self.format)


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """How this node catches up: by a snapshot of the state when it is `lag_blocks` behind or more, else by blocks.

    `checkpoint` is "HEIGHT:HASH" of an epoch's last block that you trust; empty: genesis is trusted.
    """

    state_sync: bool = True
    lag_blocks: int = 2_000
    checkpoint: str = ""

    def __post_init__(self) -> None:
        if self.lag_blocks < 1:
            raise BadNodeConfig("sync.lag_blocks must be positive", got=self.lag_blocks)
        self.read_checkpoint()

    def read_checkpoint(self) -> tuple[int, bytes] | None:
        """Height and hash of the checkpoint, if there is one."""
        if not self.checkpoint:
            return None
        height, colon, digest = self.checkpoint.partition(":")
        is_height = height.isascii() and height.isdecimal() and len(height) <= 18 and int(height) > 0
        is_hash = len(digest) == 64 and set(digest) <= set("0123456789abcdef")
        if not colon or not is_height or not is_hash:
            raise BadNodeConfig(
                "sync.checkpoint is not HEIGHT:HASH, with the hash in lower-case hex", got=self.checkpoint
            )
        return int(height), bytes.fromhex(digest)


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """What is kept: a snapshot about every `snapshot_blocks` (0: none), bodies of the last `keep_blocks` (0: all)."""

    snapshot_blocks: int = 1_000
    keep_blocks: int = 0

    def __post_init__(self) -> None:
        if self.snapshot_blocks < 0:
            raise BadNodeConfig("storage.snapshot_blocks cannot be negative", got=self.snapshot_blocks)
        if self.keep_blocks != 0 and self.keep_blocks < STATE_ROOTS_KEPT:
            raise BadNodeConfig("storage.keep_blocks is 0 or not so few", least=STATE_ROOTS_KEPT, got=self.keep_blocks)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """The whole file."""

    peer: PeerConfig = field(default_factory=PeerConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    evaluator: EvaluatorConfig = field(default_factory=EvaluatorConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    log: LogConfig = field(default_factory=LogConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)


def decode_config(data: bytes) -> NodeConfig:
    """The settings in node.toml's bytes; what is absent has its default. Raises `BadNodeConfig`."""
    try:
        table = decode_table(data, _BYTES_MAX)
    except NotToml as error:
        raise BadNodeConfig("node.toml is not TOML", error=error) from error
    return _read_table(NodeConfig, table, "")


def encode_config(config: NodeConfig) -> bytes:
    """node.toml for `config`, with every key written out."""
    lines = ["# Settings of this node. Addresses are on loopback unless you say otherwise.\n"]
    for section in fields(config):
        value = getattr(config, section.name)
        lines.append(f"\n# {_first_line(value)}\n[{section.name}]\n")
        lines.extend(f"{item.name} = {_show(getattr(value, item.name))}\n" for item in fields(value))
    return "".join(lines).encode("utf-8")


def require_address(text: str, key: str, *, may_be_any_port: bool = False) -> tuple[str, int]:
    """Host and port of `host:port` or `[ipv6]:port`; raises `BadNodeConfig`."""
    host, colon, port_text = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    port = int(port_text) if port_text.isascii() and port_text.isdecimal() and len(port_text) <= 5 else -1
    least = 0 if may_be_any_port else 1
    if not colon or not host or (":" in host and not is_bracketed) or not least <= port <= 65_535:
        raise BadNodeConfig("not an address of the form host:port", key=key, got=text)
    return (host[1:-1] if is_bracketed else host), port


def _read_table(cls: type[T], table: Mapping[str, Any], path: str) -> T:
    hints = get_type_hints(cls)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise BadNodeConfig("node.toml has unknown keys", keys=", ".join(path + name for name in unknown))
    return cls(**{name: _read_value(hints[name], value, path + name) for name, value in table.items()})


def _read_value(kind: Any, value: Any, path: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise BadNodeConfig("node.toml needs a table here", key=path)
        return _read_table(kind, value, path + ".")
    if kind == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise BadNodeConfig("node.toml needs a list of texts here", key=path)
        return tuple(value)
    if type(value) is not kind:
        raise BadNodeConfig("node.toml has a value of the wrong type", key=path, wanted=kind.__name__, got=value)
    return value


def _first_line(value: Any) -> str:
    return (type(value).__doc__ or "").strip().splitlines()[0]


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_show(item) for item in value) + "]"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
