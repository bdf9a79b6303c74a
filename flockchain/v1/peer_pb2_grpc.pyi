from typing import Any

import grpc.aio

from flockchain.v1 import peer_pb2

class PeerServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Connect: grpc.aio.StreamStreamMultiCallable[peer_pb2.Frame, peer_pb2.Frame]
    FetchBlob: grpc.aio.UnaryStreamMultiCallable[peer_pb2.FetchBlobRequest, peer_pb2.FetchBlobResponse]

class PeerServiceServicer:
    def Connect(self, request: Any, context: Any) -> Any: ...
    def FetchBlob(self, request: Any, context: Any) -> Any: ...

def add_PeerServiceServicer_to_server(servicer: PeerServiceServicer, server: Any) -> None: ...
