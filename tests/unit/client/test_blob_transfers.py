"""Blobs go both ways in verified chunks, resume where they broke off, and stay within what a task allows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from flockchain.client import AsyncClient, Timing
from flockchain.client.blobs import compute_root_of_bytes
from flockchain.client.errors import BrokenAnswer, CallRefused, InvalidRequest, NodeBusy, NotFound
from flockchain.crypto.merkle import compute_audit_path_of_hashes, compute_leaf_hash
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import BLOB_BYTES_MAX, CHUNK_BYTES
from flockchain.rpc import ApiLimits
from flockchain.rpc.uploads import UploadLimits
from flockchain.storage.blobs import BlobStore, compute_blob_root
from flockchain.v1 import blobs_pb2
from flockchain.v1.blobs_pb2_grpc import BlobServiceStub
from tests.kit.api_chain import ApiNode, build_learning_node, serve

QUICK = Timing(deadline_ms=2_000, attempts=3, backoff_ms=10, poll_ms=10)
DATA = b"".join(bytes([number]) * CHUNK_BYTES for number in range(4)) + b"the rest"
ROOT = compute_blob_root(DATA)
CHUNKS = [DATA[at : at + CHUNK_BYTES] for at in range(0, len(DATA), CHUNK_BYTES)]
LEAVES = [compute_leaf_hash(chunk) for chunk in CHUNKS]


@pytest.fixture
def node(tmp_path: Path) -> ApiNode:
    return build_learning_node(tmp_path, max_update_bytes=len(DATA))[0]


def build_chunk(number: int, **fields: Any) -> blobs_pb2.UploadBlobRequest:
    chunk = {"index": number, "data": CHUNKS[number], "audit_path": compute_audit_path_of_hashes(LEAVES, number)}
    return blobs_pb2.UploadBlobRequest(chunk=blobs_pb2.Chunk(**{**chunk, **fields}))


async def upload(endpoint: str, *parts: blobs_pb2.UploadBlobRequest, **header: Any) -> blobs_pb2.UploadBlobResponse:
    """An upload by hand."""
    fields = {"root": ROOT, "size_bytes": len(DATA), "task": 0, **header}

    async def send() -> AsyncIterator[blobs_pb2.UploadBlobRequest]:
        yield blobs_pb2.UploadBlobRequest(header=blobs_pb2.UploadHeader(**fields))
        for part in parts:
            yield part

    async with grpc.aio.insecure_channel(endpoint) as channel:
        return await BlobServiceStub(channel).UploadBlob(send(), timeout=5)


async def test_bytes_come_back_as_they_were_sent(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        for data in (b"x", DATA[: CHUNK_BYTES - 1], DATA[:CHUNK_BYTES], DATA[: CHUNK_BYTES + 1], DATA):
            root = await client.blobs.put(data, task=0)
            assert root == compute_root_of_bytes(data) == compute_blob_root(data)
            assert await client.blobs.has(root)
            assert await client.blobs.get(root) == data


async def test_an_upload_that_broke_off_goes_on_with_the_missing_chunks(node: ApiNode) -> None:
    async with serve(node) as endpoint:
        with pytest.raises(grpc.aio.AioRpcError, match="ends before the blob is complete"):
            await upload(endpoint, build_chunk(3), build_chunk(0))
        assert not node.blobs.has(ROOT)
    node.blobs = BlobStore(node.blobs._path)  # a node that restarted
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        async with grpc.aio.insecure_channel(endpoint) as channel:
            asked = blobs_pb2.HasChunksRequest(root=ROOT, size_bytes=len(DATA))
            missing = (await BlobServiceStub(channel).HasChunks(asked)).missing
        assert [(span.first, span.last) for span in missing] == [(1, 2), (4, 4)]
        answer = await upload(endpoint, build_chunk(1), build_chunk(2), build_chunk(4))
        assert (answer.complete, answer.chunks_stored) == (True, 3)
        assert await client.blobs.get(ROOT) == DATA


async def test_a_chunk_that_does_not_belong_is_refused_and_what_was_kept_stays(node: ApiNode) -> None:
    path = compute_audit_path_of_hashes(LEAVES, 1)
    wrong = [
        build_chunk(1, data=CHUNKS[2]),
        build_chunk(1, index=2),
        build_chunk(1, index=9),
        build_chunk(1, audit_path=path[:-1]),
        build_chunk(1, audit_path=[*path, path[0]]),
        build_chunk(1, data=CHUNKS[1][:-1]),
        blobs_pb2.UploadBlobRequest(),
    ]
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        for part in wrong:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await upload(endpoint, build_chunk(0), part)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "Traceback" not in (caught.value.details() or "")
        assert not await client.blobs.has(ROOT)
        await client.blobs.put(DATA, task=0)
        assert await client.blobs.get(ROOT) == DATA


async def test_uploads_that_no_task_allows_leave_nothing_behind(node: ApiNode) -> None:
    codes: dict[grpc.StatusCode, list[dict[str, Any]]] = {
        grpc.StatusCode.INVALID_ARGUMENT: [
            {"size_bytes": len(DATA) + 1}, {"size_bytes": 0}, {"root": b"short"},
            {"task": None, "size_bytes": BLOB_BYTES_MAX + 1},
        ],
        grpc.StatusCode.NOT_FOUND: [{"task": 5}],
    }  # fmt: skip
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        for code, headers in codes.items():
            for header in headers:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await upload(endpoint, build_chunk(0), **header)
                assert caught.value.code() is code
        with pytest.raises(InvalidRequest):
            await client.blobs.put(DATA + b"!", task=0)
        with pytest.raises(InvalidInput):
            await client.blobs.put(b"")
    assert not list(node.blobs.roots())
    assert not list((node.blobs._path / "partial").iterdir())


async def test_blobs_that_the_chain_does_not_name_are_bounded_and_dropped_after_a_while(node: ApiNode) -> None:
    limits = ApiLimits(uploads=UploadLimits(unclaimed_blobs=2, unclaimed_blocks=3))
    async with serve(node, limits) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        first = await client.blobs.put(b"one", task=0)
        await client.blobs.put(b"two", task=0)
        with pytest.raises(NodeBusy):
            await client.blobs.put(b"three", task=0)
        assert await client.blobs.put(b"one", task=0) == first
        for _ in range(4):
            node.make_block()
        third = await client.blobs.put(b"three", task=0)
    assert list(node.blobs.roots()) == [third]


async def test_an_update_that_a_round_names_stays(tmp_path: Path) -> None:
    node, world = build_learning_node(tmp_path)
    limits = ApiLimits(uploads=UploadLimits(unclaimed_blobs=1, unclaimed_blocks=0))
    async with serve(node, limits) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        root = await client.blobs.put(b"an update", task=0)
        assert world.submit("account-0", b"an update") == ""
        await client.blobs.put(b"another", task=0)
        assert await client.blobs.has(root)


async def test_the_suite_of_a_task_under_way_is_not_given_to_anybody(tmp_path: Path) -> None:
    suite = b'{"prompt": "1 + 1 =", "answer": "2"}\n'
    node, world = build_learning_node(tmp_path, suite_blob=compute_blob_root(suite))
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        root = await client.blobs.put(suite)
        with pytest.raises(CallRefused, match="validators only"):
            await client.blobs.get(root)
        assert world.cancel("faucet") == ""
        assert await client.blobs.get(root) == suite


async def test_uploads_go_to_every_node_and_downloads_come_from_any(node: ApiNode, tmp_path: Path) -> None:
    other, _ = build_learning_node(tmp_path / "other", max_update_bytes=len(DATA))
    async with serve(node) as one, serve(other) as two:
        async with AsyncClient(one, "127.0.0.1:1", two, timing=QUICK) as client:
            assert await client.blobs.put(DATA, task=0) == ROOT
        assert node.blobs.has(ROOT)
        node.blobs.delete(ROOT)
        async with AsyncClient(one, two, timing=QUICK) as client:
            assert await client.blobs.get(ROOT) == DATA
            with pytest.raises(NotFound):
                await client.blobs.get(bytes(32))


async def test_a_node_that_serves_other_bytes_is_found_out(node: ApiNode, monkeypatch: pytest.MonkeyPatch) -> None:
    root, other = node.blobs.put(DATA), node.blobs.put(DATA[::-1])
    honest = node.blobs.read_chunk
    lies = [
        lambda _, index: honest(other, index),
        lambda _, index: (honest(root, index)[0], ()),
        lambda _, index: (honest(root, index)[0][:-1], honest(root, index)[1]),
        lambda _, index: honest(root, 0),
    ]
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        for lie in lies:
            monkeypatch.setattr(node.blobs, "read_chunk", lie)
            with pytest.raises(BrokenAnswer):
                await client.blobs.get(root)
        monkeypatch.setattr(node.blobs, "read_chunk", honest)
        with pytest.raises(BrokenAnswer):
            await client.blobs.get(root, most_bytes=len(DATA) - 1)
        assert await client.blobs.get(root) == DATA
