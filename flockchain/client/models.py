"""`client.models`: a task's model, certified step by step; fetched by content and verified offline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flockchain.client.blobs import Blobs, compute_root_of_bytes
from flockchain.client.chain import Chain
from flockchain.client.errors import BrokenAnswer, VerificationFailed
from flockchain.client.records import LineageRecord
from flockchain.client.state import State
from flockchain.client.tasks import Tasks
from flockchain.client.transport import Transport
from flockchain.client.verification import EpochStep, HeaderTrail
from flockchain.crypto.bls import get_default_backend
from flockchain.primitives.learning import AdapterMode, TaskSpec
from flockchain.primitives.numbers import Hash, Height, Round, TaskId
from flockchain.primitives.rounds import LineageEntry
from flockchain.v1 import models_pb2
from flockchain.v1.models_pb2_grpc import ModelServiceStub

if TYPE_CHECKING:
    from flockchain.client.lineage import ModelProof, VerifiedModel

__all__ = ["Model", "Models"]

_KEYS_PER_PROOF = 64


@dataclass(frozen=True, slots=True)
class Model:
    """A task's model: `aggregates` are canonical files on top of the base model `spec.base_model`.

    FFA: none yet, or the last round's. STACK: one for every advanced round, oldest first. Their content has the
    roots that the lineage names.
    """

    task: TaskId
    spec: TaskSpec
    lineage: tuple[LineageEntry, ...]
    aggregates: tuple[bytes, ...]


class Models:
    """How each model came to be, and its bytes."""

    def __init__(self, transport: Transport, chain: Chain, state: State, tasks: Tasks, blobs: Blobs) -> None:
        self._transport = transport
        self._chain = chain
        self._state = state
        self._tasks = tasks
        self._blobs = blobs

    async def get_lineage(self, task: TaskId | int, *, from_round: Round | int = 0) -> tuple[LineageRecord, ...]:
        """The advanced rounds of a task with their certificates, oldest first, on the node's word."""
        records: list[LineageRecord] = []
        start, has_more = int(from_round), True
        while has_more:
            request = models_pb2.GetLineageRequest(task=task, from_round=start)
            message = await self._transport.call(lambda used: used.get(ModelServiceStub).GetLineage, request)
            records += [LineageRecord.from_message(entry) for entry in message.entries]
            has_more = message.has_more and len(message.entries) > 0
            start = records[-1].entry.round + 1 if records else start
        return tuple(records)

    async def fetch(self, task: TaskId | int) -> Model:
        """The task's model as it is now: download the aggregates that it consists of, each checked by its root."""
        record = await self._tasks.get(task)
        lineage = tuple(step.entry for step in await self.get_lineage(task))
        wanted = lineage if record.spec.adapter.mode is AdapterMode.STACK else lineage[-1:]
        aggregates = [await self.fetch_aggregate(entry) for entry in wanted]
        return Model(record.task, record.spec, lineage, tuple(aggregates))

    async def fetch_aggregate(self, entry: LineageEntry) -> bytes:
        """One aggregate's canonical file."""
        data = await self._blobs.get(entry.aggregate, most_bytes=entry.aggregate_bytes)
        if len(data) != entry.aggregate_bytes:
            raise BrokenAnswer("an aggregate has another size", wanted=entry.aggregate_bytes, got=len(data))
        return data

    async def fetch_proof(self, task: TaskId | int, *, trusted_height: Height | int = 0) -> ModelProof:
        """Everything to verify the lineage offline, from the block at `trusted_height` on (0: genesis)."""
        from flockchain.client.lineage import ModelProof, compute_keys, decode_length  # brings the runtime

        while True:
            _, length = await self._state.prove(*compute_keys(TaskId(task), 0))
            count = decode_length(length.value)
            keys = compute_keys(TaskId(task), count)
            if len(keys) > _KEYS_PER_PROOF:
                raise VerificationFailed("the lineage is longer than one proof", steps=count, most=_KEYS_PER_PROOF - 2)
            proven = await self._state.prove(*keys)
            if proven[1].value == length.value:
                break  # else the model moved between the two answers
        trail = await self.fetch_trail(proven[0].header.height, trusted_height=trusted_height)
        return ModelProof(TaskId(task), trail, proven[0], proven[1], proven[2:])

    async def fetch_trail(self, height: Height | int, *, trusted_height: Height | int = 0) -> HeaderTrail:
        """The headers and validators from a trusted block to the one at `height`."""
        trusted = (await self._chain.get_block(trusted_height)).header
        target = await self._chain.get_header_proof(height)
        steps = [
            EpochStep(await self._chain.get_validator_set(epoch), await self._chain.get_epoch_proof(epoch))
            for epoch in range(trusted.epoch, target.header.epoch)
        ]
        validators = await self._chain.get_validator_set(target.header.epoch)
        return HeaderTrail(trusted, tuple(steps), validators, target)

    async def verify(
        self, task: TaskId | int, *, genesis_hash: Hash, trusted_height: Height | int = 0,
        trusted_hash: Hash | None = None,
    ) -> VerifiedModel:  # fmt: skip
        """Fetch the proof and the model's files and verify both, trusting the genesis hash and nothing of the node.

        `trusted_height` and `trusted_hash` name a later block to start from. Raises `VerificationFailed`.
        """
        from flockchain.client.lineage import require_model  # brings the runtime

        proof = await self.fetch_proof(task, trusted_height=trusted_height)
        verified = require_model(get_default_backend(), genesis_hash, trusted_hash or genesis_hash, proof)
        wanted = verified.lineage if verified.spec.adapter.mode is AdapterMode.STACK else verified.lineage[-1:]
        for entry in wanted:
            if compute_root_of_bytes(await self.fetch_aggregate(entry)) != entry.aggregate:
                raise VerificationFailed("an aggregate's bytes do not have its root", round=entry.round)
        return verified
