"""A probe as a file: canonical bytes, the last 32 of which are the digest of all before. No pickle, nothing runs.

    file = magic ‖ kind ‖ record ‖ SHA-256(magic ‖ kind ‖ record)

The digest is the probe's version. One probe has one encoding; a damaged or padded file is refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from flockchain.primitives.codec import I64, U32, ListOf, Text, UnionOf, struct
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import ADAPTER_MODULES_MAX, MIB, MODULE_NAME_BYTES_MAX
from flockchain.primitives.numbers import Hash
from flockchain_ml.probes.integer_probe import STATISTICS_MAX, IntegerProbe
from flockchain_ml.probes.logistic import LogisticProbe, ProbeModule
from flockchain_ml.probes.reals import F64, Float32Array

__all__ = [
    "PROBE_FILE_BYTES_MAX", "AnyProbe", "ProbeFileInvalid", "compute_probe_digest", "decode_probe", "encode_probe",
    "read_probe", "write_probe",
]  # fmt: skip

AnyProbe = LogisticProbe | IntegerProbe

PROBE_FILE_BYTES_MAX: Final = 64 * MIB
_MAGIC: Final = b"FLOCKCHAIN/probe/v1\0"
_DIGEST_BYTES: Final = 32
_NAME: Final = Text(MODULE_NAME_BYTES_MAX)
_MODULE: Final = struct(ProbeModule, name=_NAME, out_features=U32, rank=U32)
_LOGISTIC: Final = struct(
    LogisticProbe,
    modules=ListOf(_MODULE, ADAPTER_MODULES_MAX),
    weights=Float32Array(PROBE_FILE_BYTES_MAX // 4),
    bias=F64,
    threshold=F64,
)
_INTEGER: Final = struct(
    IntegerProbe,
    statistics=ListOf(_NAME, STATISTICS_MAX),
    weights=ListOf(I64, STATISTICS_MAX),
    bias=I64,
    threshold=I64,
)
_PROBE: Final = UnionOf({1: _LOGISTIC, 2: _INTEGER})  # append-only


class ProbeFileInvalid(InvalidInput):
    """Bytes that are not a probe's canonical file."""


def encode_probe(probe: AnyProbe) -> bytes:
    """The file's bytes."""
    body = _MAGIC + _PROBE.encode(probe)
    return body + hashlib.sha256(body).digest()


def decode_probe(data: bytes) -> AnyProbe:
    """Raises `ProbeFileInvalid`, `DecodeError` or `ProbeInvalid`; bounded before anything is read."""
    if len(data) > PROBE_FILE_BYTES_MAX:
        raise ProbeFileInvalid("a probe's file is too large", most=PROBE_FILE_BYTES_MAX, got=len(data))
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if not body.startswith(_MAGIC):
        raise ProbeFileInvalid("this is no probe's file", start=data[: len(_MAGIC)])
    if hashlib.sha256(body).digest() != digest:
        raise ProbeFileInvalid("a probe's file is damaged: its digest is another", digest=digest)
    probe: AnyProbe = _PROBE.decode(body[len(_MAGIC) :])
    return probe


def compute_probe_digest(probe: AnyProbe) -> Hash:
    """The version of a probe."""
    return Hash(encode_probe(probe)[-_DIGEST_BYTES:])


def write_probe(path: Path, probe: AnyProbe) -> Hash:
    """Write the file; returns the digest."""
    path.write_bytes(encode_probe(probe))
    return compute_probe_digest(probe)


def read_probe(path: Path, expected: Hash | None = None) -> AnyProbe:
    """Read a file; another version than `expected` is refused."""
    if path.stat().st_size > PROBE_FILE_BYTES_MAX:
        raise ProbeFileInvalid("a probe's file is too large", most=PROBE_FILE_BYTES_MAX, path=path)
    data = path.read_bytes()
    probe = decode_probe(data)
    if expected is not None and data[-_DIGEST_BYTES:] != expected:
        raise ProbeFileInvalid("this is another version of the probe", expected=expected, got=data[-_DIGEST_BYTES:])
    return probe
