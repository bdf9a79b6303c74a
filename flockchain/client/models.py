"""`client.models`: a task's model, certified step by step; fetched by content and verified offline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flockchain.client.blobs import Blobs, compute_root_of_bytes
from flockchain.client.errors import BrokenAnswer, VerificationFailed
from flockchain.client.light import Checkpoint, Light, Steps
from flockchain.client.records import LineageRecord
from flockchain.client.state import ProvenValue, State
from flockchain.client.tasks import Tasks
from flockchain.client.transport import Transport
from flockchain.light.client import LightClient
from flockchain.primitives.learning import AdapterMode, TaskSpec
from flockchain.primitives.numbers import Round, TaskId
from flockchain.primitives.rounds import LineageEntry
from flockchain.v1 import models_pb2
from flockchain.v1.models_pb2_grpc import ModelServiceStub

if TYPE_CHECKING:
    from flockchain.client.lineage import ModelProof, VerifiedModel

__all__ = ["Model", "Models"]


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

    def __init__(self, transport: Transport, light: Light, state: State, tasks: Tasks, blobs: Blobs) -> None:
        self._transport = transport
        self._light = light
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
            for entry in message.entries:
                record = LineageRecord.from_message(entry)
                if record.entry.round < start:
                    raise BrokenAnswer("the node's lineage does not ascend", wanted=start, got=record.entry.round)
                records.append(record)
                start = record.entry.round + 1
            has_more = message.has_more and len(message.entries) > 0
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

    async def fetch_proof(
        self, task: TaskId | int, client: LightClient, *, now_ms: int | None = None, on_step: Steps | None = None
    ) -> ModelProof:
        """Everything to verify the lineage again offline, from what `client` trusts. The client follows the headers.

        Raises as `LightClient.verify` does; the state proofs are for `lineage.read_model` or `require_model` to check.
        """
        from flockchain.client.lineage import ModelPage, ModelProof, decode_length  # brings the runtime

        anchor, pages, done, length = client.trusted, list[ModelPage](), 0, 1
        while done < length or not pages:
            values = await self._prove_page(TaskId(task), done)
            trail = await self._light.fetch_trail(client, values[0].header.height, now_ms=now_ms, on_step=on_step)
            pages.append(ModelPage(trail, values))
            done, length = done + len(values) - 2, decode_length(values[1].value)
            if len(values) == 2 and done < length:
                raise VerificationFailed("the node proves no more of the lineage", wanted=length, got=done)
        return ModelProof(TaskId(task), anchor, tuple(pages))

    async def verify(
        self, task: TaskId | int, trust: Checkpoint | LightClient, *, now_ms: int | None = None,
        on_step: Steps | None = None,
    ) -> VerifiedModel:  # fmt: skip
        """Fetch the proof and the model's files and verify both, trusting nothing of the node.

        `trust` is a block that is trusted, or a client that has come further already. Raises as `LightClient.verify`
        does.
        """
        from flockchain.client.lineage import read_model  # brings the runtime

        client = trust if isinstance(trust, LightClient) else await self._light.start(trust)
        verified = read_model(await self.fetch_proof(task, client, now_ms=now_ms, on_step=on_step))
        wanted = verified.lineage if verified.spec.adapter.mode is AdapterMode.STACK else verified.lineage[-1:]
        for entry in wanted:
            if compute_root_of_bytes(await self.fetch_aggregate(entry)) != entry.aggregate:
                raise VerificationFailed("an aggregate's bytes do not have its root", round=entry.round)
        return verified

    async def _prove_page(self, task: TaskId, first: int) -> tuple[ProvenValue, ...]:
        """The lineage from `first` on, as far as it goes into one proof; how far it goes is the node's word."""
        from flockchain.client.lineage import STEPS_PER_PAGE, compute_keys, decode_length

        length = decode_length(await self._state.get(compute_keys(task, 0, 0)[1]))
        steps = min(STEPS_PER_PAGE, max(0, length - first))
        return await self._state.prove(*compute_keys(task, first, steps))
