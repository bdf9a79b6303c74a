from flockchain.v1 import learning_pb2 as _learning_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaskStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_STATUS_UNSPECIFIED: _ClassVar[TaskStatus]
    TASK_STATUS_OPEN: _ClassVar[TaskStatus]
    TASK_STATUS_FINISHED: _ClassVar[TaskStatus]
    TASK_STATUS_CANCELLED: _ClassVar[TaskStatus]
TASK_STATUS_UNSPECIFIED: TaskStatus
TASK_STATUS_OPEN: TaskStatus
TASK_STATUS_FINISHED: TaskStatus
TASK_STATUS_CANCELLED: TaskStatus

class Task(_message.Message):
    __slots__ = ("id", "name", "creator", "base_model", "adapter", "suite_root", "suite_rows", "suite_blob", "suite_bytes", "prompts_per_round", "audit_rows", "rule", "reputation_cap", "mass_threshold", "reputation_floor", "committee_size", "min_updates", "max_updates", "max_update_bytes", "submit_blocks", "commit_blocks", "reveal_blocks", "aggregate_blocks", "rounds", "reward_pool", "update_bond", "current_round", "status", "rounds_advanced", "created_height", "pool_left", "record_bytes_canonical")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    SUITE_ROOT_FIELD_NUMBER: _ClassVar[int]
    SUITE_ROWS_FIELD_NUMBER: _ClassVar[int]
    SUITE_BLOB_FIELD_NUMBER: _ClassVar[int]
    SUITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_PER_ROUND_FIELD_NUMBER: _ClassVar[int]
    AUDIT_ROWS_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    REPUTATION_CAP_FIELD_NUMBER: _ClassVar[int]
    MASS_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    REPUTATION_FLOOR_FIELD_NUMBER: _ClassVar[int]
    COMMITTEE_SIZE_FIELD_NUMBER: _ClassVar[int]
    MIN_UPDATES_FIELD_NUMBER: _ClassVar[int]
    MAX_UPDATES_FIELD_NUMBER: _ClassVar[int]
    MAX_UPDATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    REVEAL_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    AGGREGATE_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    REWARD_POOL_FIELD_NUMBER: _ClassVar[int]
    UPDATE_BOND_FIELD_NUMBER: _ClassVar[int]
    CURRENT_ROUND_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_ADVANCED_FIELD_NUMBER: _ClassVar[int]
    CREATED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    POOL_LEFT_FIELD_NUMBER: _ClassVar[int]
    RECORD_BYTES_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    creator: bytes
    base_model: bytes
    adapter: _learning_pb2.AdapterSpec
    suite_root: bytes
    suite_rows: int
    suite_blob: bytes
    suite_bytes: int
    prompts_per_round: int
    audit_rows: int
    rule: _learning_pb2.AcceptanceRule
    reputation_cap: int
    mass_threshold: int
    reputation_floor: int
    committee_size: int
    min_updates: int
    max_updates: int
    max_update_bytes: int
    submit_blocks: int
    commit_blocks: int
    reveal_blocks: int
    aggregate_blocks: int
    rounds: int
    reward_pool: str
    update_bond: str
    current_round: int
    status: TaskStatus
    rounds_advanced: int
    created_height: int
    pool_left: str
    record_bytes_canonical: bytes
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., creator: _Optional[bytes] = ..., base_model: _Optional[bytes] = ..., adapter: _Optional[_Union[_learning_pb2.AdapterSpec, _Mapping]] = ..., suite_root: _Optional[bytes] = ..., suite_rows: _Optional[int] = ..., suite_blob: _Optional[bytes] = ..., suite_bytes: _Optional[int] = ..., prompts_per_round: _Optional[int] = ..., audit_rows: _Optional[int] = ..., rule: _Optional[_Union[_learning_pb2.AcceptanceRule, str]] = ..., reputation_cap: _Optional[int] = ..., mass_threshold: _Optional[int] = ..., reputation_floor: _Optional[int] = ..., committee_size: _Optional[int] = ..., min_updates: _Optional[int] = ..., max_updates: _Optional[int] = ..., max_update_bytes: _Optional[int] = ..., submit_blocks: _Optional[int] = ..., commit_blocks: _Optional[int] = ..., reveal_blocks: _Optional[int] = ..., aggregate_blocks: _Optional[int] = ..., rounds: _Optional[int] = ..., reward_pool: _Optional[str] = ..., update_bond: _Optional[str] = ..., current_round: _Optional[int] = ..., status: _Optional[_Union[TaskStatus, str]] = ..., rounds_advanced: _Optional[int] = ..., created_height: _Optional[int] = ..., pool_left: _Optional[str] = ..., record_bytes_canonical: _Optional[bytes] = ...) -> None: ...

class GetTaskRequest(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: int
    def __init__(self, task: _Optional[int] = ...) -> None: ...

class GetTaskResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: Task
    def __init__(self, task: _Optional[_Union[Task, _Mapping]] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("after", "limit")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    after: int
    limit: int
    def __init__(self, after: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("tasks", "has_more")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    has_more: bool
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...
