from typing import Any

import grpc.aio

from flockchain.v1 import updates_pb2

class UpdateServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    FindUpdate: grpc.aio.UnaryUnaryMultiCallable[updates_pb2.FindUpdateRequest, updates_pb2.FindUpdateResponse]

class UpdateServiceServicer:
    def FindUpdate(self, request: Any, context: Any) -> Any: ...

def add_UpdateServiceServicer_to_server(servicer: UpdateServiceServicer, server: Any) -> None: ...
