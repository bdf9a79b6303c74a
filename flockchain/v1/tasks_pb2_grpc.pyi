from typing import Any

import grpc.aio

from flockchain.v1 import tasks_pb2

class TaskServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    GetTask: grpc.aio.UnaryUnaryMultiCallable[tasks_pb2.GetTaskRequest, tasks_pb2.GetTaskResponse]
    ListTasks: grpc.aio.UnaryUnaryMultiCallable[tasks_pb2.ListTasksRequest, tasks_pb2.ListTasksResponse]

class TaskServiceServicer:
    def GetTask(self, request: Any, context: Any) -> Any: ...
    def ListTasks(self, request: Any, context: Any) -> Any: ...

def add_TaskServiceServicer_to_server(servicer: TaskServiceServicer, server: Any) -> None: ...
