from flockchain.v1 import extrinsics_pb2 as _extrinsics_pb2
from flockchain.v1 import learning_pb2 as _learning_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscribeRequest(_message.Message):
    __slots__ = ("after_height", "without_runtime_events")
    AFTER_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_RUNTIME_EVENTS_FIELD_NUMBER: _ClassVar[int]
    after_height: int
    without_runtime_events: bool
    def __init__(self, after_height: _Optional[int] = ..., without_runtime_events: _Optional[bool] = ...) -> None: ...

class FinalizedBlock(_message.Message):
    __slots__ = ("height", "block_hash", "epoch", "view", "timestamp_ms", "proposer", "state_root", "extrinsic_hashes", "learning_items", "events")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    PROPOSER_FIELD_NUMBER: _ClassVar[int]
    STATE_ROOT_FIELD_NUMBER: _ClassVar[int]
    EXTRINSIC_HASHES_FIELD_NUMBER: _ClassVar[int]
    LEARNING_ITEMS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    height: int
    block_hash: bytes
    epoch: int
    view: int
    timestamp_ms: int
    proposer: bytes
    state_root: bytes
    extrinsic_hashes: _containers.RepeatedScalarFieldContainer[bytes]
    learning_items: int
    events: _containers.RepeatedCompositeFieldContainer[_extrinsics_pb2.RuntimeEvent]
    def __init__(self, height: _Optional[int] = ..., block_hash: _Optional[bytes] = ..., epoch: _Optional[int] = ..., view: _Optional[int] = ..., timestamp_ms: _Optional[int] = ..., proposer: _Optional[bytes] = ..., state_root: _Optional[bytes] = ..., extrinsic_hashes: _Optional[_Iterable[bytes]] = ..., learning_items: _Optional[int] = ..., events: _Optional[_Iterable[_Union[_extrinsics_pb2.RuntimeEvent, _Mapping]]] = ...) -> None: ...

class RoundChanged(_message.Message):
    __slots__ = ("task", "round", "phase", "height")
    TASK_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    task: int
    round: int
    phase: _learning_pb2.Phase
    height: int
    def __init__(self, task: _Optional[int] = ..., round: _Optional[int] = ..., phase: _Optional[_Union[_learning_pb2.Phase, str]] = ..., height: _Optional[int] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("finalized_block", "round_changed")
    FINALIZED_BLOCK_FIELD_NUMBER: _ClassVar[int]
    ROUND_CHANGED_FIELD_NUMBER: _ClassVar[int]
    finalized_block: FinalizedBlock
    round_changed: RoundChanged
    def __init__(self, finalized_block: _Optional[_Union[FinalizedBlock, _Mapping]] = ..., round_changed: _Optional[_Union[RoundChanged, _Mapping]] = ...) -> None: ...
