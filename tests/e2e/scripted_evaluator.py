"""An evaluator written from `evaluator.proto` alone: `python -m tests.e2e.scripted_evaluator ADDRESS BASE DELAY_MS`.

It holds no model. Scores are a fixed function of the updates' digests, so that all of its kind agree; losses are
constant. It reads an order and its attachments as the contract says, and refuses what does not keep to it.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import grpc

from flockchain.v1 import evaluator_pb2 as pb
from flockchain.v1 import evaluator_pb2_grpc, learning_pb2

LOSS = 1_000_000  # micro-nats a token, on every prompt
SCORE_SPREAD = 1_000


class ScriptedEvaluator(evaluator_pb2_grpc.EvaluatorServiceServicer):
    """One evaluation at a time, each of which takes `delay_ms`."""

    def __init__(self, base_model: bytes, delay_ms: int) -> None:
        self._base_model = base_model
        self._delay_ms = delay_ms
        self._turn = threading.Lock()

    def Describe(self, request, context):  # noqa: N802 - the contract's name
        return pb.EvaluatorServiceDescribeResponse(
            protocol_version=1, implementation="scripted", device="cpu", base_models=[self._base_model],
            modes=[learning_pb2.ADAPTER_MODE_FFA],
        )  # fmt: skip

    def Health(self, request, context):  # noqa: N802 - the contract's name
        return pb.EvaluatorServiceHealthResponse(ready=True, busy=self._turn.locked())

    def Evaluate(self, requests, context):  # noqa: N802 - the contract's name
        if not self._turn.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "an evaluation is running")
        try:
            order = next(requests).order
            if order.base_model != self._base_model:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the base model is not here")
            yield build_progress(order, "receiving", 0)
            if not are_as_announced(order, requests):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the attachments are not those of the order")
            yield build_progress(order, "scoring", 0)
            time.sleep(self._delay_ms / 1000)
            yield pb.EvaluatorServiceEvaluateResponse(result=judge(order))
        finally:
            self._turn.release()


def are_as_announced(order: pb.EvaluationOrder, requests: Iterator[pb.EvaluatorServiceEvaluateRequest]) -> bool:
    """Whether the pieces that follow are exactly the attachments of the order, in its order."""
    received: dict[tuple[int, int], bytes] = {}
    for request in requests:
        piece = request.piece
        key = (piece.role, piece.index)
        if piece.offset != len(received.get(key, b"")):
            return False
        received[key] = received.get(key, b"") + piece.data
    wanted = [(each.role, each.index, each.size_bytes, each.digest) for each in order.attachments]
    return wanted == [(*key, len(data), sha256(data).digest()) for key, data in received.items()]


def judge(order: pb.EvaluationOrder) -> pb.EvaluationResult:
    """Scores by digest that add up to zero."""
    updates = [each for each in order.attachments if each.role == learning_pb2.ATTACHMENT_ROLE_UPDATE]
    raw = [int.from_bytes(update.digest[:4], "big") % SCORE_SPREAD for update in updates]
    scores = [len(raw) * value - sum(raw) for value in raw]
    return pb.EvaluationResult(
        scores=[pb.EvaluationScore(update_index=u.index, score=s) for u, s in zip(updates, scores, strict=True)],
        prompt_losses=[LOSS] * len(order.prompt_rows),
        tokens=len(order.prompt_rows),
    )


def build_progress(order: pb.EvaluationOrder, stage: str, done: int) -> pb.EvaluatorServiceEvaluateResponse:
    progress = pb.EvaluationProgress(prompts_done=done, prompts=len(order.prompt_rows), stage=stage)
    return pb.EvaluatorServiceEvaluateResponse(progress=progress)


def serve(address: str, base_model: bytes, delay_ms: int) -> None:
    """Until SIGTERM."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    evaluator_pb2_grpc.add_EvaluatorServiceServicer_to_server(ScriptedEvaluator(base_model, delay_ms), server)
    server.add_insecure_port(address)
    server.start()
    stopped.wait()
    server.stop(0).wait()


if __name__ == "__main__":
    serve(sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3]))
