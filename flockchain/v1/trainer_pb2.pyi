from flockchain.v1 import learning_pb2 as _learning_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrainerServiceDescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TrainerServiceDescribeResponse(_message.Message):
    __slots__ = ("protocol_version", "implementation", "device", "base_models", "modes", "data_sets")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    IMPLEMENTATION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    BASE_MODELS_FIELD_NUMBER: _ClassVar[int]
    MODES_FIELD_NUMBER: _ClassVar[int]
    DATA_SETS_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    implementation: str
    device: str
    base_models: _containers.RepeatedScalarFieldContainer[bytes]
    modes: _containers.RepeatedScalarFieldContainer[_learning_pb2.AdapterMode]
    data_sets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, protocol_version: _Optional[int] = ..., implementation: _Optional[str] = ..., device: _Optional[str] = ..., base_models: _Optional[_Iterable[bytes]] = ..., modes: _Optional[_Iterable[_Union[_learning_pb2.AdapterMode, str]]] = ..., data_sets: _Optional[_Iterable[str]] = ...) -> None: ...

class TrainingSettings(_message.Message):
    __slots__ = ("steps", "batch_size", "learning_rate_nanos", "row_tokens_max", "seed", "extra")
    class ExtraEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    STEPS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_NANOS_FIELD_NUMBER: _ClassVar[int]
    ROW_TOKENS_MAX_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    steps: int
    batch_size: int
    learning_rate_nanos: int
    row_tokens_max: int
    seed: int
    extra: _containers.ScalarMap[str, str]
    def __init__(self, steps: _Optional[int] = ..., batch_size: _Optional[int] = ..., learning_rate_nanos: _Optional[int] = ..., row_tokens_max: _Optional[int] = ..., seed: _Optional[int] = ..., extra: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TrainingOrder(_message.Message):
    __slots__ = ("task", "round", "base_model", "adapter", "settings", "attachments", "data_set")
    TASK_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    DATA_SET_FIELD_NUMBER: _ClassVar[int]
    task: int
    round: int
    base_model: bytes
    adapter: _learning_pb2.AdapterSpec
    settings: TrainingSettings
    attachments: _containers.RepeatedCompositeFieldContainer[_learning_pb2.Attachment]
    data_set: str
    def __init__(self, task: _Optional[int] = ..., round: _Optional[int] = ..., base_model: _Optional[bytes] = ..., adapter: _Optional[_Union[_learning_pb2.AdapterSpec, _Mapping]] = ..., settings: _Optional[_Union[TrainingSettings, _Mapping]] = ..., attachments: _Optional[_Iterable[_Union[_learning_pb2.Attachment, _Mapping]]] = ..., data_set: _Optional[str] = ...) -> None: ...

class TrainerServiceTrainRequest(_message.Message):
    __slots__ = ("order", "piece")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    order: TrainingOrder
    piece: _learning_pb2.Piece
    def __init__(self, order: _Optional[_Union[TrainingOrder, _Mapping]] = ..., piece: _Optional[_Union[_learning_pb2.Piece, _Mapping]] = ...) -> None: ...

class TrainingProgress(_message.Message):
    __slots__ = ("steps_done", "steps", "loss", "stage")
    STEPS_DONE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    steps_done: int
    steps: int
    loss: int
    stage: str
    def __init__(self, steps_done: _Optional[int] = ..., steps: _Optional[int] = ..., loss: _Optional[int] = ..., stage: _Optional[str] = ...) -> None: ...

class TrainingResult(_message.Message):
    __slots__ = ("update", "samples", "loss")
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    update: _learning_pb2.Attachment
    samples: int
    loss: int
    def __init__(self, update: _Optional[_Union[_learning_pb2.Attachment, _Mapping]] = ..., samples: _Optional[int] = ..., loss: _Optional[int] = ...) -> None: ...

class TrainerServiceTrainResponse(_message.Message):
    __slots__ = ("progress", "result", "piece")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    progress: TrainingProgress
    result: TrainingResult
    piece: _learning_pb2.Piece
    def __init__(self, progress: _Optional[_Union[TrainingProgress, _Mapping]] = ..., result: _Optional[_Union[TrainingResult, _Mapping]] = ..., piece: _Optional[_Union[_learning_pb2.Piece, _Mapping]] = ...) -> None: ...

class TrainerServiceHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TrainerServiceHealthResponse(_message.Message):
    __slots__ = ("ready", "busy", "reason")
    READY_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ready: bool
    busy: bool
    reason: str
    def __init__(self, ready: _Optional[bool] = ..., busy: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...
