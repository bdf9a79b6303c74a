from typing import Any

import grpc.aio

from flockchain.v1 import trainer_pb2

class TrainerServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Describe: grpc.aio.UnaryUnaryMultiCallable[trainer_pb2.TrainerServiceDescribeRequest, trainer_pb2.TrainerServiceDescribeResponse]
    Train: grpc.aio.StreamStreamMultiCallable[trainer_pb2.TrainerServiceTrainRequest, trainer_pb2.TrainerServiceTrainResponse]
    Health: grpc.aio.UnaryUnaryMultiCallable[trainer_pb2.TrainerServiceHealthRequest, trainer_pb2.TrainerServiceHealthResponse]

class TrainerServiceServicer:
    def Describe(self, request: Any, context: Any) -> Any: ...
    def Train(self, request: Any, context: Any) -> Any: ...
    def Health(self, request: Any, context: Any) -> Any: ...

def add_TrainerServiceServicer_to_server(servicer: TrainerServiceServicer, server: Any) -> None: ...
