from typing import Any

import grpc.aio

from flockchain.v1 import evaluator_pb2

class EvaluatorServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Describe: grpc.aio.UnaryUnaryMultiCallable[evaluator_pb2.EvaluatorServiceDescribeRequest, evaluator_pb2.EvaluatorServiceDescribeResponse]
    Evaluate: grpc.aio.StreamStreamMultiCallable[evaluator_pb2.EvaluatorServiceEvaluateRequest, evaluator_pb2.EvaluatorServiceEvaluateResponse]
    Health: grpc.aio.UnaryUnaryMultiCallable[evaluator_pb2.EvaluatorServiceHealthRequest, evaluator_pb2.EvaluatorServiceHealthResponse]

class EvaluatorServiceServicer:
    def Describe(self, request: Any, context: Any) -> Any: ...
    def Evaluate(self, request: Any, context: Any) -> Any: ...
    def Health(self, request: Any, context: Any) -> Any: ...

def add_EvaluatorServiceServicer_to_server(servicer: EvaluatorServiceServicer, server: Any) -> None: ...
