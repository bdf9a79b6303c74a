"""The genesis files that come with the package: which there are, and their bytes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from flockchain.primitives.errors import Refused

__all__ = ["ChainUnknown", "find_shipped_genesis", "list_shipped_chains", "load_shipped_genesis"]

_SUFFIX = ".toml"


class ChainUnknown(Refused):
    """No genesis file of this name comes with the package."""


def list_shipped_chains() -> tuple[str, ...]:
    """The names, ascending."""
    return tuple(sorted(file.stem for file in _get_folder().glob(f"*{_SUFFIX}")))


def find_shipped_genesis(chain: str) -> Path:
    """The genesis file of `chain`. Raises `ChainUnknown`."""
    known = list_shipped_chains()
    if chain not in known:
        raise ChainUnknown("no genesis of this name comes with flockchain", chain=chain, known=", ".join(known))
    return _get_folder() / f"{chain}{_SUFFIX}"


def load_shipped_genesis(chain: str) -> bytes:
    """The bytes of that file."""
    return find_shipped_genesis(chain).read_bytes()


def _get_folder() -> Path:
    return Path(str(files("flockchain"))) / "genesis"
