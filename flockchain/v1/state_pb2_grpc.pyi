from typing import Any

import grpc.aio

from flockchain.v1 import state_pb2

class StateServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    GetState: grpc.aio.UnaryUnaryMultiCallable[state_pb2.GetStateRequest, state_pb2.GetStateResponse]
    ProveState: grpc.aio.UnaryUnaryMultiCallable[state_pb2.ProveStateRequest, state_pb2.ProveStateResponse]
    ListState: grpc.aio.UnaryUnaryMultiCallable[state_pb2.ListStateRequest, state_pb2.ListStateResponse]

class StateServiceServicer:
    def GetState(self, request: Any, context: Any) -> Any: ...
    def ProveState(self, request: Any, context: Any) -> Any: ...
    def ListState(self, request: Any, context: Any) -> Any: ...

def add_StateServiceServicer_to_server(servicer: StateServiceServicer, server: Any) -> None: ...
