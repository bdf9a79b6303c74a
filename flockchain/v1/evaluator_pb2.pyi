from flockchain.v1 import learning_pb2 as _learning_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EvaluatorServiceDescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EvaluatorServiceDescribeResponse(_message.Message):
    __slots__ = ("protocol_version", "implementation", "device", "base_models", "modes")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    IMPLEMENTATION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    BASE_MODELS_FIELD_NUMBER: _ClassVar[int]
    MODES_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    implementation: str
    device: str
    base_models: _containers.RepeatedScalarFieldContainer[bytes]
    modes: _containers.RepeatedScalarFieldContainer[_learning_pb2.AdapterMode]
    def __init__(self, protocol_version: _Optional[int] = ..., implementation: _Optional[str] = ..., device: _Optional[str] = ..., base_models: _Optional[_Iterable[bytes]] = ..., modes: _Optional[_Iterable[_Union[_learning_pb2.AdapterMode, str]]] = ...) -> None: ...

class EvaluationOrder(_message.Message):
    __slots__ = ("task", "round", "base_model", "adapter", "prompt_rows", "attachments", "silence_limit_ms", "time_limit_ms")
    TASK_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    PROMPT_ROWS_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    SILENCE_LIMIT_MS_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_MS_FIELD_NUMBER: _ClassVar[int]
    task: int
    round: int
    base_model: bytes
    adapter: _learning_pb2.AdapterSpec
    prompt_rows: _containers.RepeatedScalarFieldContainer[int]
    attachments: _containers.RepeatedCompositeFieldContainer[_learning_pb2.Attachment]
    silence_limit_ms: int
    time_limit_ms: int
    def __init__(self, task: _Optional[int] = ..., round: _Optional[int] = ..., base_model: _Optional[bytes] = ..., adapter: _Optional[_Union[_learning_pb2.AdapterSpec, _Mapping]] = ..., prompt_rows: _Optional[_Iterable[int]] = ..., attachments: _Optional[_Iterable[_Union[_learning_pb2.Attachment, _Mapping]]] = ..., silence_limit_ms: _Optional[int] = ..., time_limit_ms: _Optional[int] = ...) -> None: ...

class EvaluatorServiceEvaluateRequest(_message.Message):
    __slots__ = ("order", "piece")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    order: EvaluationOrder
    piece: _learning_pb2.Piece
    def __init__(self, order: _Optional[_Union[EvaluationOrder, _Mapping]] = ..., piece: _Optional[_Union[_learning_pb2.Piece, _Mapping]] = ...) -> None: ...

class EvaluationProgress(_message.Message):
    __slots__ = ("prompts_done", "prompts", "stage")
    PROMPTS_DONE_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    prompts_done: int
    prompts: int
    stage: str
    def __init__(self, prompts_done: _Optional[int] = ..., prompts: _Optional[int] = ..., stage: _Optional[str] = ...) -> None: ...

class EvaluationScore(_message.Message):
    __slots__ = ("update_index", "score", "abstained", "reason")
    UPDATE_INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    update_index: int
    score: int
    abstained: bool
    reason: str
    def __init__(self, update_index: _Optional[int] = ..., score: _Optional[int] = ..., abstained: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class EvaluationResult(_message.Message):
    __slots__ = ("scores", "prompt_losses", "tokens")
    SCORES_FIELD_NUMBER: _ClassVar[int]
    PROMPT_LOSSES_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    scores: _containers.RepeatedCompositeFieldContainer[EvaluationScore]
    prompt_losses: _containers.RepeatedScalarFieldContainer[int]
    tokens: int
    def __init__(self, scores: _Optional[_Iterable[_Union[EvaluationScore, _Mapping]]] = ..., prompt_losses: _Optional[_Iterable[int]] = ..., tokens: _Optional[int] = ...) -> None: ...

class EvaluatorServiceEvaluateResponse(_message.Message):
    __slots__ = ("progress", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: EvaluationProgress
    result: EvaluationResult
    def __init__(self, progress: _Optional[_Union[EvaluationProgress, _Mapping]] = ..., result: _Optional[_Union[EvaluationResult, _Mapping]] = ...) -> None: ...

class EvaluatorServiceHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EvaluatorServiceHealthResponse(_message.Message):
    __slots__ = ("ready", "busy", "reason")
    READY_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ready: bool
    busy: bool
    reason: str
    def __init__(self, ready: _Optional[bool] = ..., busy: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...
