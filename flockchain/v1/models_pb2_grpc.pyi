from typing import Any

import grpc.aio

from flockchain.v1 import models_pb2

class ModelServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    GetLineage: grpc.aio.UnaryUnaryMultiCallable[models_pb2.GetLineageRequest, models_pb2.GetLineageResponse]

class ModelServiceServicer:
    def GetLineage(self, request: Any, context: Any) -> Any: ...

def add_ModelServiceServicer_to_server(servicer: ModelServiceServicer, server: Any) -> None: ...
