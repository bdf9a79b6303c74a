"""Evaluator and trainer modules on loopback, and rounds for them: real bases, real bytes, seeded updates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import torch
from transformers import AutoModelForCausalLM

from flockchain.exact import STACK_EXTRA_SCALE_BITS, compute_aggregate, compute_initial_a, encode_update
from flockchain.node.config import EvaluatorConfig
from flockchain.node.evaluators import EvaluationJob, EvaluatorClient
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.limits import CHUNK_BYTES
from flockchain.primitives.numbers import Hash, Round, TaskId
from flockchain.rpc.messages import build_adapter as build_adapter_message
from flockchain.v1 import evaluator_pb2, learning_pb2, trainer_pb2
from flockchain_ml.data import DOMAINS, generate_suite
from flockchain_ml.models import LoadedModel, build_adapter_spec
from flockchain_ml.models.architectures import ARCHITECTURES
from flockchain_ml.models.vocabulary import build_tokenizer
from flockchain_ml.rows import encode_suite
from flockchain_ml.trainer.pretrain import build_vocabulary
from flockchain_ml.worker.serving import start_server
from tests.kit.peers import wait_until

__all__ = [
    "TARGETS", "Attachments", "announce", "build_evaluation", "build_job", "build_lineage", "build_spec_for",
    "build_training", "build_update_of", "connect", "iterate_pieces", "open_channel", "run_module",
    "write_gpt2",
]  # fmt: skip

TARGETS = {"llama": ("q_proj", "v_proj", "down_proj"), "gpt2": ("c_attn", "c_proj")}
Attachments = list[tuple[int, int, bytes, int]]  # role, index, bytes, extra scale bits


@asynccontextmanager
async def open_channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to a module on loopback."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 16 << 20)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield channel


@asynccontextmanager
async def run_module(add_service: Callable[[Any], None]) -> AsyncIterator[str]:
    """A module's server on a free port; gives its address."""
    server, port = await start_server("127.0.0.1:0", add_service)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def connect(address: str, silence_limit_ms: int = 60_000) -> AsyncIterator[EvaluatorClient]:
    """The node's own client of an evaluator, once it is ready."""
    client = EvaluatorClient(EvaluatorConfig(address, silence_limit_ms=silence_limit_ms), lambda *_: None)
    await client.start()
    try:
        await wait_until(lambda: client.is_ready, 20)
        yield client
    finally:
        await client.stop()


def write_gpt2(folder: Path) -> Path:
    """A tiny GPT-2 that knows the shipped base's words and has learnt nothing."""
    tokenizer = build_tokenizer(build_vocabulary())
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(ARCHITECTURES["gpt2"](len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_spec_for(loaded: LoadedModel, mode: AdapterMode, rank: int = 4, targets: tuple[str, ...] = ()) -> AdapterSpec:
    """A small adapter on any of the bases."""
    targets = targets or TARGETS[loaded.model.config.model_type]
    return build_adapter_spec(
        loaded, targets=targets, rank=rank, alpha=2 * rank, mode=mode, a_seed=Hash(b"\x05" * 32), b_scale_bits=14
    )


def build_update_of(spec: AdapterSpec, seed: int, size: int = 100) -> bytes:
    """An update whose B is small and whose A, if it has one, is the start that a round suggests."""
    generator = np.random.default_rng(seed)
    tensors: dict[str, Any] = {}
    starts = compute_initial_a(spec, seed)
    for module in spec.modules:
        if spec.mode is AdapterMode.STACK:
            tensors[f"{module.name}.lora_A"] = starts[f"{module.name}.lora_A"]
        shape = (module.out_features, spec.rank)
        tensors[f"{module.name}.lora_B"] = generator.integers(-size, size + 1, shape).astype(np.int16)
    return encode_update(tensors, spec)


def build_lineage(spec: AdapterSpec, rounds: int) -> tuple[bytes, ...]:
    """A model of so many advanced rounds, as an order carries it."""
    lineage: tuple[bytes, ...] = ()
    for number in range(rounds):
        updates = [build_update_of(spec, 100 + 10 * number + at) for at in range(2)]
        aggregate = compute_aggregate(spec, lineage[-1] if lineage else None, updates)
        lineage = (aggregate,) if spec.mode is AdapterMode.FFA else (*lineage, aggregate)
    return lineage


def build_job(
    loaded: LoadedModel, spec: AdapterSpec, *, rounds: int = 0, positions: tuple[int, ...] = (0, 1, 2), rows: int = 10
) -> EvaluationJob:
    """A closed round as a node hands it to its evaluator."""
    model = build_lineage(spec, rounds)
    updates = tuple((position, build_update_of(spec, position)) for position in positions)
    previous = model[-1] if model and spec.mode is AdapterMode.FFA else None
    prompts = b"".join(row + b"\n" for row in encode_suite(generate_suite(DOMAINS, rows, seed=8)))
    return EvaluationJob(
        task=TaskId(1), round=Round(rounds), base_model=loaded.digest, adapter=spec,
        prompt_rows=tuple(range(rows)), model=model, updates=updates,
        candidate=compute_aggregate(spec, previous, [data for _, data in updates]), prompts=prompts,
    )  # fmt: skip


def build_evaluation(job: EvaluationJob) -> tuple[evaluator_pb2.EvaluationOrder, Attachments]:
    """The order and the files of a job, to be broken by a test before they are sent."""
    extra = STACK_EXTRA_SCALE_BITS if job.adapter.mode is AdapterMode.STACK else 0
    files: Attachments = [(learning_pb2.ATTACHMENT_ROLE_MODEL, at, data, extra) for at, data in enumerate(job.model)]
    files += [(learning_pb2.ATTACHMENT_ROLE_UPDATE, at, data, 0) for at, data in job.updates]
    files += [(learning_pb2.ATTACHMENT_ROLE_CANDIDATE, 0, job.candidate, extra)]
    files += [(learning_pb2.ATTACHMENT_ROLE_PROMPTS, 0, job.prompts, 0)]
    order = evaluator_pb2.EvaluationOrder(
        task=job.task, round=job.round, base_model=job.base_model, adapter=build_adapter_message(job.adapter),
        prompt_rows=job.prompt_rows, attachments=announce(files), silence_limit_ms=60_000, time_limit_ms=600_000,
    )  # fmt: skip
    return order, files


def build_training(
    loaded: LoadedModel,
    spec: AdapterSpec,
    *,
    lineage: tuple[bytes, ...] = (),
    dataset: bytes | None = None,
    **settings: Any,
) -> tuple[trainer_pb2.TrainingOrder, Attachments]:
    """A training order and its files."""
    extra = STACK_EXTRA_SCALE_BITS if spec.mode is AdapterMode.STACK else 0
    files: Attachments = [(learning_pb2.ATTACHMENT_ROLE_MODEL, at, data, extra) for at, data in enumerate(lineage)]
    if dataset is not None:
        files.append((learning_pb2.ATTACHMENT_ROLE_DATASET, 0, dataset, 0))
    chosen = {"steps": 3, "batch_size": 4, "seed": 9, **settings}
    order = trainer_pb2.TrainingOrder(
        task=1, round=len(lineage), base_model=loaded.digest, adapter=build_adapter_message(spec),
        settings=trainer_pb2.TrainingSettings(**chosen), attachments=announce(files), data_set="local",
    )  # fmt: skip
    return order, files


def announce(files: Attachments) -> list[learning_pb2.Attachment]:
    """Files as an order announces them."""
    return [
        learning_pb2.Attachment(
            role=role, index=index, size_bytes=len(data), digest=sha256(data).digest(), b_extra_scale_bits=extra
        )  # type: ignore[arg-type]
        for role, index, data, extra in files
    ]


def iterate_pieces(files: Attachments) -> Iterator[learning_pb2.Piece]:
    """All files, piece by piece."""
    for role, index, data, _ in files:
        for offset in range(0, len(data), CHUNK_BYTES):
            chunk = data[offset : offset + CHUNK_BYTES]
            yield learning_pb2.Piece(role=role, index=index, offset=offset, data=chunk)  # type: ignore[arg-type]
