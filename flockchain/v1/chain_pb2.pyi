from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("height", "finalized_hash", "view", "epoch", "peers", "syncing", "genesis_hash", "chain_name", "spec_version", "node_version", "timestamp_ms", "state_root", "pending_extrinsics", "signing")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FINALIZED_HASH_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    SYNCING_FIELD_NUMBER: _ClassVar[int]
    GENESIS_HASH_FIELD_NUMBER: _ClassVar[int]
    CHAIN_NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_VERSION_FIELD_NUMBER: _ClassVar[int]
    NODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    STATE_ROOT_FIELD_NUMBER: _ClassVar[int]
    PENDING_EXTRINSICS_FIELD_NUMBER: _ClassVar[int]
    SIGNING_FIELD_NUMBER: _ClassVar[int]
    height: int
    finalized_hash: bytes
    view: int
    epoch: int
    peers: int
    syncing: bool
    genesis_hash: bytes
    chain_name: str
    spec_version: int
    node_version: str
    timestamp_ms: int
    state_root: bytes
    pending_extrinsics: int
    signing: str
    def __init__(self, height: _Optional[int] = ..., finalized_hash: _Optional[bytes] = ..., view: _Optional[int] = ..., epoch: _Optional[int] = ..., peers: _Optional[int] = ..., syncing: _Optional[bool] = ..., genesis_hash: _Optional[bytes] = ..., chain_name: _Optional[str] = ..., spec_version: _Optional[int] = ..., node_version: _Optional[str] = ..., timestamp_ms: _Optional[int] = ..., state_root: _Optional[bytes] = ..., pending_extrinsics: _Optional[int] = ..., signing: _Optional[str] = ...) -> None: ...

class GetBlockRequest(_message.Message):
    __slots__ = ("height", "block_hash")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    height: int
    block_hash: bytes
    def __init__(self, height: _Optional[int] = ..., block_hash: _Optional[bytes] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("parent", "height", "epoch", "view", "proposer", "timestamp_ms", "state_root", "inherents_root", "learning_root", "extrinsics_root", "events_root", "validators_hash", "next_validators_hash", "spec_version")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    PROPOSER_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    STATE_ROOT_FIELD_NUMBER: _ClassVar[int]
    INHERENTS_ROOT_FIELD_NUMBER: _ClassVar[int]
    LEARNING_ROOT_FIELD_NUMBER: _ClassVar[int]
    EXTRINSICS_ROOT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_ROOT_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_HASH_FIELD_NUMBER: _ClassVar[int]
    NEXT_VALIDATORS_HASH_FIELD_NUMBER: _ClassVar[int]
    SPEC_VERSION_FIELD_NUMBER: _ClassVar[int]
    parent: bytes
    height: int
    epoch: int
    view: int
    proposer: bytes
    timestamp_ms: int
    state_root: bytes
    inherents_root: bytes
    learning_root: bytes
    extrinsics_root: bytes
    events_root: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    spec_version: int
    def __init__(self, parent: _Optional[bytes] = ..., height: _Optional[int] = ..., epoch: _Optional[int] = ..., view: _Optional[int] = ..., proposer: _Optional[bytes] = ..., timestamp_ms: _Optional[int] = ..., state_root: _Optional[bytes] = ..., inherents_root: _Optional[bytes] = ..., learning_root: _Optional[bytes] = ..., extrinsics_root: _Optional[bytes] = ..., events_root: _Optional[bytes] = ..., validators_hash: _Optional[bytes] = ..., next_validators_hash: _Optional[bytes] = ..., spec_version: _Optional[int] = ...) -> None: ...

class GetBlockResponse(_message.Message):
    __slots__ = ("block_hash", "header", "block_bytes_canonical", "certificate_bytes_canonical", "extrinsics", "learning_items")
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BLOCK_BYTES_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_BYTES_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    EXTRINSICS_FIELD_NUMBER: _ClassVar[int]
    LEARNING_ITEMS_FIELD_NUMBER: _ClassVar[int]
    block_hash: bytes
    header: Header
    block_bytes_canonical: bytes
    certificate_bytes_canonical: bytes
    extrinsics: int
    learning_items: int
    def __init__(self, block_hash: _Optional[bytes] = ..., header: _Optional[_Union[Header, _Mapping]] = ..., block_bytes_canonical: _Optional[bytes] = ..., certificate_bytes_canonical: _Optional[bytes] = ..., extrinsics: _Optional[int] = ..., learning_items: _Optional[int] = ...) -> None: ...

class ProveHeaderRequest(_message.Message):
    __slots__ = ("height", "last_of_epoch")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LAST_OF_EPOCH_FIELD_NUMBER: _ClassVar[int]
    height: int
    last_of_epoch: int
    def __init__(self, height: _Optional[int] = ..., last_of_epoch: _Optional[int] = ...) -> None: ...

class ProveHeaderResponse(_message.Message):
    __slots__ = ("headers_canonical", "light_block_canonical")
    HEADERS_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    LIGHT_BLOCK_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    headers_canonical: _containers.RepeatedScalarFieldContainer[bytes]
    light_block_canonical: bytes
    def __init__(self, headers_canonical: _Optional[_Iterable[bytes]] = ..., light_block_canonical: _Optional[bytes] = ...) -> None: ...

class GetValidatorSetRequest(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class Validator(_message.Message):
    __slots__ = ("account", "node_id", "score_key", "consensus_key", "certificate_key", "stake")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_KEY_FIELD_NUMBER: _ClassVar[int]
    CONSENSUS_KEY_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_KEY_FIELD_NUMBER: _ClassVar[int]
    STAKE_FIELD_NUMBER: _ClassVar[int]
    account: bytes
    node_id: bytes
    score_key: bytes
    consensus_key: bytes
    certificate_key: bytes
    stake: str
    def __init__(self, account: _Optional[bytes] = ..., node_id: _Optional[bytes] = ..., score_key: _Optional[bytes] = ..., consensus_key: _Optional[bytes] = ..., certificate_key: _Optional[bytes] = ..., stake: _Optional[str] = ...) -> None: ...

class GetValidatorSetResponse(_message.Message):
    __slots__ = ("epoch", "validators", "set_bytes_canonical")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    SET_BYTES_CANONICAL_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    validators: _containers.RepeatedCompositeFieldContainer[Validator]
    set_bytes_canonical: bytes
    def __init__(self, epoch: _Optional[int] = ..., validators: _Optional[_Iterable[_Union[Validator, _Mapping]]] = ..., set_bytes_canonical: _Optional[bytes] = ...) -> None: ...

class GetMetadataRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FieldMetadata(_message.Message):
    __slots__ = ("name", "type")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...

class CallMetadata(_message.Message):
    __slots__ = ("index", "name", "arguments", "weight", "description")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    index: int
    name: str
    arguments: _containers.RepeatedCompositeFieldContainer[FieldMetadata]
    weight: int
    description: str
    def __init__(self, index: _Optional[int] = ..., name: _Optional[str] = ..., arguments: _Optional[_Iterable[_Union[FieldMetadata, _Mapping]]] = ..., weight: _Optional[int] = ..., description: _Optional[str] = ...) -> None: ...

class EventMetadata(_message.Message):
    __slots__ = ("index", "name", "fields")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    index: int
    name: str
    fields: _containers.RepeatedCompositeFieldContainer[FieldMetadata]
    def __init__(self, index: _Optional[int] = ..., name: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[FieldMetadata, _Mapping]]] = ...) -> None: ...

class PalletMetadata(_message.Message):
    __slots__ = ("index", "name", "calls", "events", "constants")
    class ConstantsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INDEX_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CONSTANTS_FIELD_NUMBER: _ClassVar[int]
    index: int
    name: str
    calls: _containers.RepeatedCompositeFieldContainer[CallMetadata]
    events: _containers.RepeatedCompositeFieldContainer[EventMetadata]
    constants: _containers.ScalarMap[str, str]
    def __init__(self, index: _Optional[int] = ..., name: _Optional[str] = ..., calls: _Optional[_Iterable[_Union[CallMetadata, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[EventMetadata, _Mapping]]] = ..., constants: _Optional[_Mapping[str, str]] = ...) -> None: ...

class GetMetadataResponse(_message.Message):
    __slots__ = ("spec_version", "pallets")
    SPEC_VERSION_FIELD_NUMBER: _ClassVar[int]
    PALLETS_FIELD_NUMBER: _ClassVar[int]
    spec_version: int
    pallets: _containers.RepeatedCompositeFieldContainer[PalletMetadata]
    def __init__(self, spec_version: _Optional[int] = ..., pallets: _Optional[_Iterable[_Union[PalletMetadata, _Mapping]]] = ...) -> None: ...

class GetGenesisRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetGenesisResponse(_message.Message):
    __slots__ = ("genesis_hash", "genesis_toml")
    GENESIS_HASH_FIELD_NUMBER: _ClassVar[int]
    GENESIS_TOML_FIELD_NUMBER: _ClassVar[int]
    genesis_hash: bytes
    genesis_toml: bytes
    def __init__(self, genesis_hash: _Optional[bytes] = ..., genesis_toml: _Optional[bytes] = ...) -> None: ...
