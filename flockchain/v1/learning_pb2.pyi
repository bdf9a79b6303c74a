from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AdapterMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADAPTER_MODE_UNSPECIFIED: _ClassVar[AdapterMode]
    ADAPTER_MODE_FFA: _ClassVar[AdapterMode]
    ADAPTER_MODE_STACK: _ClassVar[AdapterMode]

class AcceptanceRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCEPTANCE_RULE_UNSPECIFIED: _ClassVar[AcceptanceRule]
    ACCEPTANCE_RULE_ACCUMULATED: _ClassVar[AcceptanceRule]
    ACCEPTANCE_RULE_ACCEPT_ALL: _ClassVar[AcceptanceRule]

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    PHASE_SUBMIT: _ClassVar[Phase]
    PHASE_COMMIT: _ClassVar[Phase]
    PHASE_REVEAL: _ClassVar[Phase]
    PHASE_AGGREGATE: _ClassVar[Phase]
    PHASE_ADVANCED: _ClassVar[Phase]
    PHASE_VOID: _ClassVar[Phase]

class UpdateStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UPDATE_STATUS_UNSPECIFIED: _ClassVar[UpdateStatus]
    UPDATE_STATUS_SCORED: _ClassVar[UpdateStatus]
    UPDATE_STATUS_ABSTAIN: _ClassVar[UpdateStatus]
    UPDATE_STATUS_UNAVAILABLE: _ClassVar[UpdateStatus]
    UPDATE_STATUS_MALFORMED: _ClassVar[UpdateStatus]
    UPDATE_STATUS_DUPLICATE: _ClassVar[UpdateStatus]

class ReasonCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_CODE_UNSPECIFIED: _ClassVar[ReasonCode]
    REASON_CODE_ACCEPTED: _ClassVar[ReasonCode]
    REASON_CODE_LOW_REPUTATION: _ClassVar[ReasonCode]
    REASON_CODE_UNAVAILABLE: _ClassVar[ReasonCode]
    REASON_CODE_MALFORMED: _ClassVar[ReasonCode]
    REASON_CODE_DUPLICATE: _ClassVar[ReasonCode]
    REASON_CODE_NO_SCORE: _ClassVar[ReasonCode]

class AttachmentRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTACHMENT_ROLE_UNSPECIFIED: _ClassVar[AttachmentRole]
    ATTACHMENT_ROLE_MODEL: _ClassVar[AttachmentRole]
    ATTACHMENT_ROLE_UPDATE: _ClassVar[AttachmentRole]
    ATTACHMENT_ROLE_CANDIDATE: _ClassVar[AttachmentRole]
    ATTACHMENT_ROLE_PROMPTS: _ClassVar[AttachmentRole]
    ATTACHMENT_ROLE_DATASET: _ClassVar[AttachmentRole]
ADAPTER_MODE_UNSPECIFIED: AdapterMode
ADAPTER_MODE_FFA: AdapterMode
ADAPTER_MODE_STACK: AdapterMode
ACCEPTANCE_RULE_UNSPECIFIED: AcceptanceRule
ACCEPTANCE_RULE_ACCUMULATED: AcceptanceRule
ACCEPTANCE_RULE_ACCEPT_ALL: AcceptanceRule
PHASE_UNSPECIFIED: Phase
PHASE_SUBMIT: Phase
PHASE_COMMIT: Phase
PHASE_REVEAL: Phase
PHASE_AGGREGATE: Phase
PHASE_ADVANCED: Phase
PHASE_VOID: Phase
UPDATE_STATUS_UNSPECIFIED: UpdateStatus
UPDATE_STATUS_SCORED: UpdateStatus
UPDATE_STATUS_ABSTAIN: UpdateStatus
UPDATE_STATUS_UNAVAILABLE: UpdateStatus
UPDATE_STATUS_MALFORMED: UpdateStatus
UPDATE_STATUS_DUPLICATE: UpdateStatus
REASON_CODE_UNSPECIFIED: ReasonCode
REASON_CODE_ACCEPTED: ReasonCode
REASON_CODE_LOW_REPUTATION: ReasonCode
REASON_CODE_UNAVAILABLE: ReasonCode
REASON_CODE_MALFORMED: ReasonCode
REASON_CODE_DUPLICATE: ReasonCode
REASON_CODE_NO_SCORE: ReasonCode
ATTACHMENT_ROLE_UNSPECIFIED: AttachmentRole
ATTACHMENT_ROLE_MODEL: AttachmentRole
ATTACHMENT_ROLE_UPDATE: AttachmentRole
ATTACHMENT_ROLE_CANDIDATE: AttachmentRole
ATTACHMENT_ROLE_PROMPTS: AttachmentRole
ATTACHMENT_ROLE_DATASET: AttachmentRole

class ModuleShape(_message.Message):
    __slots__ = ("name", "out_features", "in_features", "a_scale_bits", "b_scale_bits")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUT_FEATURES_FIELD_NUMBER: _ClassVar[int]
    IN_FEATURES_FIELD_NUMBER: _ClassVar[int]
    A_SCALE_BITS_FIELD_NUMBER: _ClassVar[int]
    B_SCALE_BITS_FIELD_NUMBER: _ClassVar[int]
    name: str
    out_features: int
    in_features: int
    a_scale_bits: int
    b_scale_bits: int
    def __init__(self, name: _Optional[str] = ..., out_features: _Optional[int] = ..., in_features: _Optional[int] = ..., a_scale_bits: _Optional[int] = ..., b_scale_bits: _Optional[int] = ...) -> None: ...

class AdapterSpec(_message.Message):
    __slots__ = ("rank", "alpha", "mode", "a_seed", "modules", "spec_bytes_canonical")
    RANK_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    A_SEED_FIELD_NUMBER: _ClassVar[int]
    MODULES_FIELD_NUMBER: _ClassVar[int]
    SPEC_BYTES_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    rank: int
    alpha: int
    mode: AdapterMode
    a_seed: bytes
    modules: _containers.RepeatedCompositeFieldContainer[ModuleShape]
    spec_bytes_canonical: bytes
    def __init__(self, rank: _Optional[int] = ..., alpha: _Optional[int] = ..., mode: _Optional[_Union[AdapterMode, str]] = ..., a_seed: _Optional[bytes] = ..., modules: _Optional[_Iterable[_Union[ModuleShape, _Mapping]]] = ..., spec_bytes_canonical: _Optional[bytes] = ...) -> None: ...

class Attachment(_message.Message):
    __slots__ = ("role", "index", "size_bytes", "digest", "b_extra_scale_bits")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    B_EXTRA_SCALE_BITS_FIELD_NUMBER: _ClassVar[int]
    role: AttachmentRole
    index: int
    size_bytes: int
    digest: bytes
    b_extra_scale_bits: int
    def __init__(self, role: _Optional[_Union[AttachmentRole, str]] = ..., index: _Optional[int] = ..., size_bytes: _Optional[int] = ..., digest: _Optional[bytes] = ..., b_extra_scale_bits: _Optional[int] = ...) -> None: ...

class Piece(_message.Message):
    __slots__ = ("role", "index", "offset", "data")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    role: AttachmentRole
    index: int
    offset: int
    data: bytes
    def __init__(self, role: _Optional[_Union[AttachmentRole, str]] = ..., index: _Optional[int] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...
