from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("payload",)
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    def __init__(self, payload: _Optional[bytes] = ...) -> None: ...

class FetchBlobRequest(_message.Message):
    __slots__ = ("root", "from_chunk", "authorization")
    ROOT_FIELD_NUMBER: _ClassVar[int]
    FROM_CHUNK_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    root: bytes
    from_chunk: int
    authorization: bytes
    def __init__(self, root: _Optional[bytes] = ..., from_chunk: _Optional[int] = ..., authorization: _Optional[bytes] = ...) -> None: ...

class FetchBlobResponse(_message.Message):
    __slots__ = ("index", "data", "audit_path", "size_bytes")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    AUDIT_PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    index: int
    data: bytes
    audit_path: _containers.RepeatedScalarFieldContainer[bytes]
    size_bytes: int
    def __init__(self, index: _Optional[int] = ..., data: _Optional[bytes] = ..., audit_path: _Optional[_Iterable[bytes]] = ..., size_bytes: _Optional[int] = ...) -> None: ...
