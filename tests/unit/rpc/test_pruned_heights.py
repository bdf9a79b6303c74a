"""What an API client hears of blocks that this node does not keep."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from flockchain.primitives.numbers import Height
from flockchain.v1 import chain_pb2, chain_pb2_grpc, events_pb2, events_pb2_grpc
from tests.kit.api_chain import ApiNode, ArchivedChain, serve


@pytest.fixture
def node(tmp_path: Path) -> ApiNode:
    """Epochs of four blocks; those below 7 are pruned."""
    chain = ArchivedChain.open()
    for _ in range(10):
        chain.advance()
    node = ApiNode(chain, tmp_path)
    node.chain.prune(Height(7), 100)
    return node


async def test_a_pruned_block_is_refused_with_the_first_height_that_is_kept(node: ApiNode) -> None:
    async with serve(node) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
        stub = chain_pb2_grpc.ChainServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetBlock(chain_pb2.GetBlockRequest(height=3))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "not kept by this node" in refused.value.details()
        assert "first=7" in refused.value.details()
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await stub.GetBlock(chain_pb2.GetBlockRequest(height=999))
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND
        assert (await stub.GetBlock(chain_pb2.GetBlockRequest(height=7))).header.height == 7


async def test_the_last_header_of_a_pruned_epoch_is_still_proven(node: ApiNode) -> None:
    async with serve(node) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
        stub = chain_pb2_grpc.ChainServiceStub(channel)
        assert (await stub.ProveHeader(chain_pb2.ProveHeaderRequest(last_of_epoch=0))).light_block_canonical
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ProveHeader(chain_pb2.ProveHeaderRequest(height=3))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_subscriber_from_a_pruned_height_is_refused(node: ApiNode) -> None:
    async with serve(node) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
        call = events_pb2_grpc.EventServiceStub(channel).Subscribe(events_pb2.SubscribeRequest(after_height=2))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _ in call:
                pass
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
