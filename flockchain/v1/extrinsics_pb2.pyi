from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExtrinsicStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXTRINSIC_STATUS_UNSPECIFIED: _ClassVar[ExtrinsicStatus]
    EXTRINSIC_STATUS_PENDING: _ClassVar[ExtrinsicStatus]
    EXTRINSIC_STATUS_INCLUDED: _ClassVar[ExtrinsicStatus]
EXTRINSIC_STATUS_UNSPECIFIED: ExtrinsicStatus
EXTRINSIC_STATUS_PENDING: ExtrinsicStatus
EXTRINSIC_STATUS_INCLUDED: ExtrinsicStatus

class SubmitExtrinsicRequest(_message.Message):
    __slots__ = ("extrinsic",)
    EXTRINSIC_FIELD_NUMBER: _ClassVar[int]
    extrinsic: bytes
    def __init__(self, extrinsic: _Optional[bytes] = ...) -> None: ...

class SubmitExtrinsicResponse(_message.Message):
    __slots__ = ("extrinsic_hash",)
    EXTRINSIC_HASH_FIELD_NUMBER: _ClassVar[int]
    extrinsic_hash: bytes
    def __init__(self, extrinsic_hash: _Optional[bytes] = ...) -> None: ...

class SubmitExtrinsicsRequest(_message.Message):
    __slots__ = ("extrinsics",)
    EXTRINSICS_FIELD_NUMBER: _ClassVar[int]
    extrinsics: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, extrinsics: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SubmitOutcome(_message.Message):
    __slots__ = ("extrinsic_hash", "refusal", "invalid")
    EXTRINSIC_HASH_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    INVALID_FIELD_NUMBER: _ClassVar[int]
    extrinsic_hash: bytes
    refusal: str
    invalid: bool
    def __init__(self, extrinsic_hash: _Optional[bytes] = ..., refusal: _Optional[str] = ..., invalid: _Optional[bool] = ...) -> None: ...

class SubmitExtrinsicsResponse(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[SubmitOutcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[SubmitOutcome, _Mapping]]] = ...) -> None: ...

class GetExtrinsicRequest(_message.Message):
    __slots__ = ("extrinsic_hash",)
    EXTRINSIC_HASH_FIELD_NUMBER: _ClassVar[int]
    extrinsic_hash: bytes
    def __init__(self, extrinsic_hash: _Optional[bytes] = ...) -> None: ...

class RuntimeEvent(_message.Message):
    __slots__ = ("pallet_index", "pallet", "event_index", "event", "extrinsic_index", "data", "fields_json")
    PALLET_INDEX_FIELD_NUMBER: _ClassVar[int]
    PALLET_FIELD_NUMBER: _ClassVar[int]
    EVENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    EXTRINSIC_INDEX_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FIELDS_JSON_FIELD_NUMBER: _ClassVar[int]
    pallet_index: int
    pallet: str
    event_index: int
    event: str
    extrinsic_index: int
    data: bytes
    fields_json: str
    def __init__(self, pallet_index: _Optional[int] = ..., pallet: _Optional[str] = ..., event_index: _Optional[int] = ..., event: _Optional[str] = ..., extrinsic_index: _Optional[int] = ..., data: _Optional[bytes] = ..., fields_json: _Optional[str] = ...) -> None: ...

class GetExtrinsicResponse(_message.Message):
    __slots__ = ("status", "height", "index", "block_hash", "succeeded", "refusal", "fee", "events")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    FEE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    status: ExtrinsicStatus
    height: int
    index: int
    block_hash: bytes
    succeeded: bool
    refusal: str
    fee: str
    events: _containers.RepeatedCompositeFieldContainer[RuntimeEvent]
    def __init__(self, status: _Optional[_Union[ExtrinsicStatus, str]] = ..., height: _Optional[int] = ..., index: _Optional[int] = ..., block_hash: _Optional[bytes] = ..., succeeded: _Optional[bool] = ..., refusal: _Optional[str] = ..., fee: _Optional[str] = ..., events: _Optional[_Iterable[_Union[RuntimeEvent, _Mapping]]] = ...) -> None: ...

class GetAccountRequest(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: bytes
    def __init__(self, account: _Optional[bytes] = ...) -> None: ...

class GetAccountResponse(_message.Message):
    __slots__ = ("nonce", "next_nonce", "balance")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_NONCE_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    next_nonce: int
    balance: str
    def __init__(self, nonce: _Optional[int] = ..., next_nonce: _Optional[int] = ..., balance: _Optional[str] = ...) -> None: ...
