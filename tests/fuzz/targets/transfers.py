"""Blobs on their way: chunks with audit paths, and the files of updates and aggregates that they add up to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from google.protobuf.message import DecodeError as ProtobufDecodeError

from flockchain.exact import (
    compute_aggregate,
    decode_aggregate,
    decode_update,
    encode_aggregate,
    encode_update,
)
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.learning import AdapterMode
from flockchain.primitives.limits import CHUNK_BYTES
from flockchain.storage.blobs import BlobStore, compute_blob_root
from flockchain.v1 import blobs_pb2
from tests.fuzz.subject import Subject, Target
from tests.kit.learning import build_adapter, build_update

__all__ = ["TARGETS"]

_TAIL_BYTES = 100


def build_chunk_subject() -> Subject:
    """A message of an upload with the last chunk of a blob; the blob's name decides whether it is kept."""
    blob = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"t" * _TAIL_BYTES
    root = compute_blob_root(blob)
    folder = tempfile.TemporaryDirectory(prefix="flockchain-fuzz-")
    whole = BlobStore(Path(folder.name) / "whole")
    whole.put(blob)
    data, path = whole.read_chunk(root, 2)
    partial = BlobStore(Path(folder.name) / "partial").open_partial(root, len(blob))

    def decode(raw: bytes) -> blobs_pb2.Chunk:
        return blobs_pb2.UploadBlobRequest.FromString(raw).chunk

    def accepts(chunk: blobs_pb2.Chunk) -> bool:
        partial.put_chunk(chunk.index, chunk.data, tuple(chunk.audit_path))
        return (chunk.index, chunk.data) != (2, data)

    def finish() -> None:
        partial.put_chunk(2, data, path)
        assert partial.missing_chunks == (0, 1)
        partial.close()
        folder.cleanup()

    sample = blobs_pb2.UploadBlobRequest(chunk=blobs_pb2.Chunk(index=2, data=data, audit_path=path))
    refusals = (InvalidInput, Refused, ProtobufDecodeError)
    return Subject((sample.SerializeToString(),), decode, accepts, refusals=refusals, finish=finish)


def build_update_subject() -> Subject:
    """The file of an update: other integers are another update, with another name; anything else is no file."""
    adapter = build_adapter()
    samples = tuple(build_update(adapter, seed) for seed in range(3))
    names = {compute_blob_root(sample) for sample in samples}
    return Subject(
        samples,
        lambda data: decode_update(data, adapter),
        lambda tensors: compute_blob_root(encode_update(tensors, adapter)) in names,
        lambda tensors: encode_update(tensors, adapter),
        is_verifier=True,
    )


def build_aggregate_subject() -> Subject:
    """The file of a stacked aggregate, whose size says how many updates it holds."""
    adapter = build_adapter(AdapterMode.STACK)
    updates = [build_update(adapter, seed) for seed in range(3)]
    samples = tuple(compute_aggregate(adapter, None, updates[:count]) for count in (1, 2, 3))
    names = {compute_blob_root(sample) for sample in samples}
    return Subject(
        samples,
        lambda data: decode_aggregate(data, adapter),
        lambda tensors: compute_blob_root(encode_aggregate(tensors, adapter)) in names,
        lambda tensors: encode_aggregate(tensors, adapter),
        is_verifier=True,
    )


TARGETS = (
    Target("blob-chunk", build_chunk_subject),
    Target("update-file", build_update_subject),
    Target("aggregate-file", build_aggregate_subject),
)
