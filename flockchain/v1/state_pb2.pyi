from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStateRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    def __init__(self, key: _Optional[bytes] = ...) -> None: ...

class GetStateResponse(_message.Message):
    __slots__ = ("found", "value", "height")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    found: bool
    value: bytes
    height: int
    def __init__(self, found: _Optional[bool] = ..., value: _Optional[bytes] = ..., height: _Optional[int] = ...) -> None: ...

class ProveStateRequest(_message.Message):
    __slots__ = ("keys", "with_ics23")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    WITH_ICS23_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    with_ics23: bool
    def __init__(self, keys: _Optional[_Iterable[bytes]] = ..., with_ics23: _Optional[bool] = ...) -> None: ...

class ProvenEntry(_message.Message):
    __slots__ = ("key", "found", "value", "proof_bytes_canonical", "ics23_commitment_proof")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PROOF_BYTES_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    ICS23_COMMITMENT_PROOF_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    found: bool
    value: bytes
    proof_bytes_canonical: bytes
    ics23_commitment_proof: bytes
    def __init__(self, key: _Optional[bytes] = ..., found: _Optional[bool] = ..., value: _Optional[bytes] = ..., proof_bytes_canonical: _Optional[bytes] = ..., ics23_commitment_proof: _Optional[bytes] = ...) -> None: ...

class ProveStateResponse(_message.Message):
    __slots__ = ("entries", "height", "header_canonical")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HEADER_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[ProvenEntry]
    height: int
    header_canonical: bytes
    def __init__(self, entries: _Optional[_Iterable[_Union[ProvenEntry, _Mapping]]] = ..., height: _Optional[int] = ..., header_canonical: _Optional[bytes] = ...) -> None: ...

class ListStateRequest(_message.Message):
    __slots__ = ("prefix", "after", "limit")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    prefix: bytes
    after: bytes
    limit: int
    def __init__(self, prefix: _Optional[bytes] = ..., after: _Optional[bytes] = ..., limit: _Optional[int] = ...) -> None: ...

class StateEntry(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class ListStateResponse(_message.Message):
    __slots__ = ("entries", "has_more", "height")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[StateEntry]
    has_more: bool
    height: int
    def __init__(self, entries: _Optional[_Iterable[_Union[StateEntry, _Mapping]]] = ..., has_more: _Optional[bool] = ..., height: _Optional[int] = ...) -> None: ...
