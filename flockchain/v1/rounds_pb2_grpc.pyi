from typing import Any

import grpc.aio

from flockchain.v1 import rounds_pb2

class RoundServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    GetRound: grpc.aio.UnaryUnaryMultiCallable[rounds_pb2.GetRoundRequest, rounds_pb2.GetRoundResponse]

class RoundServiceServicer:
    def GetRound(self, request: Any, context: Any) -> Any: ...

def add_RoundServiceServicer_to_server(servicer: RoundServiceServicer, server: Any) -> None: ...
