from flockchain.v1 import learning_pb2 as _learning_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VoidReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VOID_REASON_UNSPECIFIED: _ClassVar[VoidReason]
    VOID_REASON_NONE: _ClassVar[VoidReason]
    VOID_REASON_TOO_FEW_UPDATES: _ClassVar[VoidReason]
    VOID_REASON_NO_COMMIT_QUORUM: _ClassVar[VoidReason]
    VOID_REASON_NO_REVEAL_QUORUM: _ClassVar[VoidReason]
    VOID_REASON_NONE_ACCEPTED: _ClassVar[VoidReason]
    VOID_REASON_NO_CERTIFICATE: _ClassVar[VoidReason]
    VOID_REASON_CANCELLED: _ClassVar[VoidReason]
VOID_REASON_UNSPECIFIED: VoidReason
VOID_REASON_NONE: VoidReason
VOID_REASON_TOO_FEW_UPDATES: VoidReason
VOID_REASON_NO_COMMIT_QUORUM: VoidReason
VOID_REASON_NO_REVEAL_QUORUM: VoidReason
VOID_REASON_NONE_ACCEPTED: VoidReason
VOID_REASON_NO_CERTIFICATE: VoidReason
VOID_REASON_CANCELLED: VoidReason

class Update(_message.Message):
    __slots__ = ("trainer", "blob", "size_bytes", "digest", "bond")
    TRAINER_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BOND_FIELD_NUMBER: _ClassVar[int]
    trainer: bytes
    blob: bytes
    size_bytes: int
    digest: bytes
    bond: str
    def __init__(self, trainer: _Optional[bytes] = ..., blob: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., digest: _Optional[bytes] = ..., bond: _Optional[str] = ...) -> None: ...

class CommitteeMember(_message.Message):
    __slots__ = ("account", "stake", "score_key", "certificate_key", "has_committed", "has_revealed")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    STAKE_FIELD_NUMBER: _ClassVar[int]
    SCORE_KEY_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_KEY_FIELD_NUMBER: _ClassVar[int]
    HAS_COMMITTED_FIELD_NUMBER: _ClassVar[int]
    HAS_REVEALED_FIELD_NUMBER: _ClassVar[int]
    account: bytes
    stake: str
    score_key: bytes
    certificate_key: bytes
    has_committed: bool
    has_revealed: bool
    def __init__(self, account: _Optional[bytes] = ..., stake: _Optional[str] = ..., score_key: _Optional[bytes] = ..., certificate_key: _Optional[bytes] = ..., has_committed: _Optional[bool] = ..., has_revealed: _Optional[bool] = ...) -> None: ...

class UpdateScore(_message.Message):
    __slots__ = ("status", "score")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    status: _learning_pb2.UpdateStatus
    score: int
    def __init__(self, status: _Optional[_Union[_learning_pb2.UpdateStatus, str]] = ..., score: _Optional[int] = ...) -> None: ...

class Reveal(_message.Message):
    __slots__ = ("voter", "scores", "evidence_root")
    VOTER_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_ROOT_FIELD_NUMBER: _ClassVar[int]
    voter: bytes
    scores: _containers.RepeatedCompositeFieldContainer[UpdateScore]
    evidence_root: bytes
    def __init__(self, voter: _Optional[bytes] = ..., scores: _Optional[_Iterable[_Union[UpdateScore, _Mapping]]] = ..., evidence_root: _Optional[bytes] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("trainer", "blob", "median_score", "reputation", "reason")
    TRAINER_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_SCORE_FIELD_NUMBER: _ClassVar[int]
    REPUTATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    trainer: bytes
    blob: bytes
    median_score: int
    reputation: int
    reason: _learning_pb2.ReasonCode
    def __init__(self, trainer: _Optional[bytes] = ..., blob: _Optional[bytes] = ..., median_score: _Optional[int] = ..., reputation: _Optional[int] = ..., reason: _Optional[_Union[_learning_pb2.ReasonCode, str]] = ...) -> None: ...

class Round(_message.Message):
    __slots__ = ("task", "round", "phase", "void_reason", "opened_height", "phase_opened_height", "deadline_height", "ended_height", "updates", "committee", "prompt_rows", "audit_positions", "reveals", "verdicts", "results_root", "aggregate", "aggregate_bytes", "record_bytes_canonical")
    TASK_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    VOID_REASON_FIELD_NUMBER: _ClassVar[int]
    OPENED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PHASE_OPENED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ENDED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    COMMITTEE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_ROWS_FIELD_NUMBER: _ClassVar[int]
    AUDIT_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    REVEALS_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_ROOT_FIELD_NUMBER: _ClassVar[int]
    AGGREGATE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECORD_BYTES_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    task: int
    round: int
    phase: _learning_pb2.Phase
    void_reason: VoidReason
    opened_height: int
    phase_opened_height: int
    deadline_height: int
    ended_height: int
    updates: _containers.RepeatedCompositeFieldContainer[Update]
    committee: _containers.RepeatedCompositeFieldContainer[CommitteeMember]
    prompt_rows: _containers.RepeatedScalarFieldContainer[int]
    audit_positions: _containers.RepeatedScalarFieldContainer[int]
    reveals: _containers.RepeatedCompositeFieldContainer[Reveal]
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    results_root: bytes
    aggregate: bytes
    aggregate_bytes: int
    record_bytes_canonical: bytes
    def __init__(self, task: _Optional[int] = ..., round: _Optional[int] = ..., phase: _Optional[_Union[_learning_pb2.Phase, str]] = ..., void_reason: _Optional[_Union[VoidReason, str]] = ..., opened_height: _Optional[int] = ..., phase_opened_height: _Optional[int] = ..., deadline_height: _Optional[int] = ..., ended_height: _Optional[int] = ..., updates: _Optional[_Iterable[_Union[Update, _Mapping]]] = ..., committee: _Optional[_Iterable[_Union[CommitteeMember, _Mapping]]] = ..., prompt_rows: _Optional[_Iterable[int]] = ..., audit_positions: _Optional[_Iterable[int]] = ..., reveals: _Optional[_Iterable[_Union[Reveal, _Mapping]]] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., results_root: _Optional[bytes] = ..., aggregate: _Optional[bytes] = ..., aggregate_bytes: _Optional[int] = ..., record_bytes_canonical: _Optional[bytes] = ...) -> None: ...

class GetRoundRequest(_message.Message):
    __slots__ = ("task", "round")
    TASK_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    task: int
    round: int
    def __init__(self, task: _Optional[int] = ..., round: _Optional[int] = ...) -> None: ...

class GetRoundResponse(_message.Message):
    __slots__ = ("round",)
    ROUND_FIELD_NUMBER: _ClassVar[int]
    round: Round
    def __init__(self, round: _Optional[_Union[Round, _Mapping]] = ...) -> None: ...
