"""A base model as a folder on disk: which files count, their digest, and what is refused.

Knows no torch. Weights are safetensors only and no code in the folder is ever run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import Hash

__all__ = ["FolderRefused", "compute_folder_digest", "require_safe_folder"]

_COUNTED_SUFFIXES: Final = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja"})
_TAG: Final = b"FLOCKCHAIN/model-folder/v1\0"
_READ_BYTES: Final = 1 << 20
_JSON_BYTES_MAX: Final = 64 << 20


class FolderRefused(InvalidInput):
    """A model folder that must not be loaded."""


def require_safe_folder(folder: Path) -> None:
    """Refuse a folder without safetensors weights, or one that asks for its own code to be run."""
    if not folder.is_dir():
        raise FolderRefused("a base model is a folder on this machine", folder=folder)
    if not any(folder.glob("*.safetensors")):
        raise FolderRefused("a base model holds its weights in safetensors files", folder=folder)
    for name in ("config.json", "tokenizer_config.json"):
        if "auto_map" in _read_object(folder / name):
            raise FolderRefused("a base model must not bring its own code", folder=folder, file=name)


def compute_folder_digest(folder: Path) -> Hash:
    """SHA-256 over the names, sizes and digests of the files that loading can read, in ascending order of name."""
    require_safe_folder(folder)
    names = sorted(path.name for path in folder.iterdir() if path.suffix in _COUNTED_SUFFIXES and path.is_file())
    digest = hashlib.sha256(_TAG)
    for name in names:
        encoded = name.encode("utf-8")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
        digest.update((folder / name).stat().st_size.to_bytes(8, "big"))
        digest.update(_compute_file_digest(folder / name))
    return Hash(digest.digest())


def _compute_file_digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.digest()


def _read_object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _JSON_BYTES_MAX:
            raise FolderRefused("a configuration file is too large", file=path)
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FolderRefused("a base model needs readable configuration files", file=path) from error
    if not isinstance(value, dict):
        raise FolderRefused("a configuration file holds one JSON object", file=path)
    return value
