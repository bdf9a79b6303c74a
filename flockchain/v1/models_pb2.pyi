from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LineageEntry(_message.Message):
    __slots__ = ("round", "aggregate", "aggregate_bytes", "results_root", "height", "updates", "signed_stake", "committee_stake", "state_key", "entry_bytes_canonical", "certificate_bytes_canonical")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    AGGREGATE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESULTS_ROOT_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    SIGNED_STAKE_FIELD_NUMBER: _ClassVar[int]
    COMMITTEE_STAKE_FIELD_NUMBER: _ClassVar[int]
    STATE_KEY_FIELD_NUMBER: _ClassVar[int]
    ENTRY_BYTES_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_BYTES_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    round: int
    aggregate: bytes
    aggregate_bytes: int
    results_root: bytes
    height: int
    updates: int
    signed_stake: str
    committee_stake: str
    state_key: bytes
    entry_bytes_canonical: bytes
    certificate_bytes_canonical: bytes
    def __init__(self, round: _Optional[int] = ..., aggregate: _Optional[bytes] = ..., aggregate_bytes: _Optional[int] = ..., results_root: _Optional[bytes] = ..., height: _Optional[int] = ..., updates: _Optional[int] = ..., signed_stake: _Optional[str] = ..., committee_stake: _Optional[str] = ..., state_key: _Optional[bytes] = ..., entry_bytes_canonical: _Optional[bytes] = ..., certificate_bytes_canonical: _Optional[bytes] = ...) -> None: ...

class GetLineageRequest(_message.Message):
    __slots__ = ("task", "from_round", "limit")
    TASK_FIELD_NUMBER: _ClassVar[int]
    FROM_ROUND_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    task: int
    from_round: int
    limit: int
    def __init__(self, task: _Optional[int] = ..., from_round: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class GetLineageResponse(_message.Message):
    __slots__ = ("entries", "has_more", "base_model")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[LineageEntry]
    has_more: bool
    base_model: bytes
    def __init__(self, entries: _Optional[_Iterable[_Union[LineageEntry, _Mapping]]] = ..., has_more: _Optional[bool] = ..., base_model: _Optional[bytes] = ...) -> None: ...
