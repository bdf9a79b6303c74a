from flockchain.v1 import learning_pb2 as _learning_pb2
from flockchain.v1 import rounds_pb2 as _rounds_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FindUpdateRequest(_message.Message):
    __slots__ = ("task", "digest", "trainer", "round")
    TASK_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    TRAINER_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    task: int
    digest: bytes
    trainer: bytes
    round: int
    def __init__(self, task: _Optional[int] = ..., digest: _Optional[bytes] = ..., trainer: _Optional[bytes] = ..., round: _Optional[int] = ...) -> None: ...

class FindUpdateResponse(_message.Message):
    __slots__ = ("round", "index", "update", "phase", "verdict")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    round: int
    index: int
    update: _rounds_pb2.Update
    phase: _learning_pb2.Phase
    verdict: _rounds_pb2.Verdict
    def __init__(self, round: _Optional[int] = ..., index: _Optional[int] = ..., update: _Optional[_Union[_rounds_pb2.Update, _Mapping]] = ..., phase: _Optional[_Union[_learning_pb2.Phase, str]] = ..., verdict: _Optional[_Union[_rounds_pb2.Verdict, _Mapping]] = ...) -> None: ...
