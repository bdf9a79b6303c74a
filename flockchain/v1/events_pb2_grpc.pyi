from typing import Any

import grpc.aio

from flockchain.v1 import events_pb2

class EventServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Subscribe: grpc.aio.UnaryStreamMultiCallable[events_pb2.SubscribeRequest, events_pb2.SubscribeResponse]

class EventServiceServicer:
    def Subscribe(self, request: Any, context: Any) -> Any: ...

def add_EventServiceServicer_to_server(servicer: EventServiceServicer, server: Any) -> None: ...
