"""The exact tier's heavy work, for a worker thread: findings, candidates, aggregates, prompts. Pure functions of bytes.

Nothing here touches the store, the loop or the network: bytes come in, bytes and findings go out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flockchain.crypto.merkle import compute_root
from flockchain.duties import EvaluateOrder, compute_findings
from flockchain.exact import compute_aggregate
from flockchain.node.evaluators import EvaluationJob
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, UpdateStatus

__all__ = ["Preparation", "SuiteMismatch", "prepare_evaluation", "split_suite"]


class SuiteMismatch(InvalidInput):
    """The suite's bytes are not the rows that the task fixed."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """The objective findings, one an update, and what to ask the evaluator (None: nothing is left to judge)."""

    findings: tuple[UpdateStatus | None, ...]
    job: EvaluationJob | None


def prepare_evaluation(
    order: EvaluateOrder, lineage: Sequence[bytes], suite: bytes, updates: Sequence[bytes | None]
) -> Preparation:
    """Judge what can be judged by bytes, and put together the rest. `updates`: None where there are no bytes.

    Raises `SuiteMismatch`, or an `InvalidInput` of `flockchain.exact` when the good updates do not add up.
    """
    findings = compute_findings(order.spec.adapter, order.updates, updates)
    good = tuple(
        (index, data)
        for index, (finding, data) in enumerate(zip(findings, updates, strict=True))
        if finding is None and data is not None
    )
    if not good:
        return Preparation(findings, None)
    rows = split_suite(suite)
    if len(rows) != order.spec.suite_rows or compute_root(rows) != order.spec.suite_root:
        raise SuiteMismatch("suite is not the one that the task fixed", rows=len(rows), wanted=order.spec.suite_rows)
    previous = lineage[-1] if lineage and order.spec.adapter.mode is AdapterMode.FFA else None
    job = EvaluationJob(
        task=order.task,
        round=order.round,
        base_model=order.spec.base_model,
        adapter=order.spec.adapter,
        prompt_rows=order.rows,
        model=tuple(lineage),
        updates=good,
        candidate=compute_aggregate(order.spec.adapter, previous, [data for _, data in good]),
        prompts=b"".join(rows[row] + b"\n" for row in order.rows),
    )
    return Preparation(findings, job)


def split_suite(data: bytes) -> list[bytes]:
    """The rows of a suite's JSON lines, without their line ends; the last line end may be missing."""
    rows = data.split(b"\n")
    if rows and not rows[-1]:
        rows.pop()
    return rows
