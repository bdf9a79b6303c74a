from typing import Any

import grpc.aio

from flockchain.v1 import extrinsics_pb2

class ExtrinsicServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    SubmitExtrinsic: grpc.aio.UnaryUnaryMultiCallable[extrinsics_pb2.SubmitExtrinsicRequest, extrinsics_pb2.SubmitExtrinsicResponse]
    SubmitExtrinsics: grpc.aio.UnaryUnaryMultiCallable[extrinsics_pb2.SubmitExtrinsicsRequest, extrinsics_pb2.SubmitExtrinsicsResponse]
    GetExtrinsic: grpc.aio.UnaryUnaryMultiCallable[extrinsics_pb2.GetExtrinsicRequest, extrinsics_pb2.GetExtrinsicResponse]
    GetAccount: grpc.aio.UnaryUnaryMultiCallable[extrinsics_pb2.GetAccountRequest, extrinsics_pb2.GetAccountResponse]

class ExtrinsicServiceServicer:
    def SubmitExtrinsic(self, request: Any, context: Any) -> Any: ...
    def SubmitExtrinsics(self, request: Any, context: Any) -> Any: ...
    def GetExtrinsic(self, request: Any, context: Any) -> Any: ...
    def GetAccount(self, request: Any, context: Any) -> Any: ...

def add_ExtrinsicServiceServicer_to_server(servicer: ExtrinsicServiceServicer, server: Any) -> None: ...
