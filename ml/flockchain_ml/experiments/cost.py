"""What a round costs, part by part: processor time, bytes, and what the first-order scores save against exact ones.

Processor seconds of one thread, so that a busy machine does not count. Trainings, updates and scores are those of a
real first round, once with the scenario's trainers and once with ten times as many. Bytes are of the real encodings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import process_time
from typing import Any, Final, TypeVar

import numpy as np

from flockchain.duties import compute_audit_rows
from flockchain.primitives.learning import (
    AGGREGATE_CERTIFICATE,
    SCORE_COMMIT,
    SCORE_REVEAL,
    UPDATE_RECORD,
    AggregateCertificate,
    ScoreCommit,
    ScoreReveal,
    ScoreVote,
    UpdateRecord,
    UpdateScore,
    UpdateStatus,
)
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Balance, Round, Score, TaskId
from flockchain_ml.aggregation import FedAvg, RoundInput
from flockchain_ml.evaluation import EvaluateOrder, Evaluation, compute_exact_scores, evaluate_updates
from flockchain_ml.experiments.cell import Cell, Document
from flockchain_ml.experiments.contenders import CONTENDERS
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.figures import Watched, compute_figures
from flockchain_ml.experiments.rehearsal import Rehearsal
from flockchain_ml.experiments.scenario import Scenario
from flockchain_ml.experiments.tables import build_markdown, format_values, get_axis, select
from flockchain_ml.experiments.trainings import Trainings
from flockchain_ml.models import LoadedModel
from flockchain_ml.tensors import decode_adapter, encode_adapter

__all__ = ["COST", "compute_agreement", "compute_chain_bytes", "describe_devnet_rounds"]

T = TypeVar("T")

_TIMES_MORE: Final = 10
_COMMITTEE: Final = 4
_AUDIT_ROWS: Final = 4
_PARTS: Final = ("train", "encode", "evaluate_first_order", "evaluate_exact", "aggregate")


def compute_agreement(first_order: Sequence[int], exact: Sequence[int]) -> dict[str, float | None]:
    """Pearson's correlation (None if either is constant) and the share of updates with the same sign."""
    left, right = np.array(first_order, np.float64), np.array(exact, np.float64)
    is_constant = len(left) < 2 or left.std() == 0 or right.std() == 0
    return {
        "pearson": None if is_constant else float(np.corrcoef(left, right)[0, 1]),
        "same_sign": float((np.sign(left) == np.sign(right)).mean()),
    }


def compute_chain_bytes(updates: int, prompts: int, committee: int, losses: Sequence[int]) -> dict[str, int]:
    """The bytes of a round's records and items on the chain, from the chain's own encodings. `losses`: one a prompt."""
    entry = UpdateScore(UpdateStatus.SCORED, Score(0))
    vote, signature = ScoreVote((entry,) * updates, ZERO_HASH), bytes(64)
    audit = compute_audit_rows(losses, range(min(_AUDIT_ROWS, prompts)))
    task, round, voter = TaskId(0), Round(0), AccountId(ZERO_HASH)
    record = UpdateRecord(voter, ZERO_HASH, 0, ZERO_HASH, Balance(0))
    commit = ScoreCommit(task, round, voter, ZERO_HASH, signature)
    reveal = ScoreReveal(task, round, voter, vote, ZERO_HASH, audit, signature)
    certificate = AggregateCertificate(task, round, ZERO_HASH, ZERO_HASH, 0, bytes(-(-committee // 8)), bytes(96))
    return {
        "update_records": updates * len(UPDATE_RECORD.encode(record)),
        "commits": committee * len(SCORE_COMMIT.encode(commit)),
        "reveals": committee * len(SCORE_REVEAL.encode(reveal)),
        "certificate": len(AGGREGATE_CERTIFICATE.encode(certificate)),
    }


def describe_devnet_rounds(report: Mapping[str, Any]) -> str:
    """A network's rounds in time: blocks from a round's opening to its end, at the network's pace."""
    chain, rounds = report["chain"], report["rounds"]
    pace = chain["blocks_per_s"]
    blocks = [item["heights"]["ended"] - item["heights"]["opened"] for item in rounds if item["advanced"]]
    if not blocks or not pace:
        return "The devnet's report has no round that advanced.\n"
    rows = [
        ["rounds that advanced", f"{len(blocks)} of {len(rounds)}"],
        ["blocks a round", format_values(blocks, 1)],
        ["seconds a round, everything included", format_values([count / pace for count in blocks], 1)],
        ["finality of a block, ms (median / 99 %)", f"{chain['finality_ms']['p50']} / {chain['finality_ms']['p99']}"],
        ["validators, updates a round", f"{chain['validators']}, {rounds[0]['updates']}"],
    ]
    return (
        "### On a network\n\nFrom a devnet's report: all of its processes on one machine, so that a round's seconds "
        "hold everybody's training and evaluation too. What the chain itself adds to them is blocks and finality.\n\n"
        + build_markdown(["", "measured"], rows)
    )


def _run_cell(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
    contender = CONTENDERS[cell.rule]
    rounds = Rehearsal(loaded, cell.scenario, cell.seed).run_contender(replace(contender, rule=Watched(contender.rule)))
    several = [_measure_round(loaded, cell, times * cell.scenario.trainers) for times in (1, _TIMES_MORE)]
    return {**compute_figures(cell.scenario, rounds), "sizes": several}


def _measure_round(loaded: LoadedModel, cell: Cell, trainers: int) -> dict[str, Any]:
    """The parts of a first round of so many honest trainers."""
    scenario = replace(cell.scenario, trainers=trainers, malicious=0, rounds=1)
    spec = scenario.build_spec(loaded, cell.seed)
    work, train = _time(lambda: Trainings(loaded, scenario, cell.seed).train_round(0, spec, ()))
    updates = tuple(one.update for one in work)
    adapters = [decode_adapter(update, spec) for update in updates]
    _, encode = _time(lambda: [encode_adapter(adapter, spec) for adapter in adapters])
    order = EvaluateOrder(spec, (), updates, _draw_prompts(scenario, cell.seed), **CONTENDERS[cell.rule].evaluation)
    told, first_order = _time(lambda: evaluate_updates(loaded, order))
    scores, exact = _time(lambda: compute_exact_scores(loaded, order))
    zeros = (0,) * trainers
    closed = RoundInput(spec, (), updates, zeros, zeros)
    (outcome, _), aggregate = _time(lambda: FedAvg().aggregate(closed))
    seconds = dict(zip(_PARTS, (train, encode, first_order, exact, aggregate), strict=True))
    return {
        "updates": trainers,
        "prompts": len(order.rows),
        "seconds": {part: round(value, 5) for part, value in seconds.items()},
        "cost_ratio": exact / first_order,
        **compute_agreement(told.scores, scores),
        "bytes": _measure_bytes(updates, outcome.aggregate or b"", order, told),
    }


def _measure_bytes(
    updates: Sequence[bytes], aggregate: bytes, order: EvaluateOrder, told: Evaluation
) -> dict[str, int]:
    uploads = sum(len(update) for update in updates)
    return {
        "upload_of_one_trainer": len(updates[0]),
        "download_of_one_validator": uploads,
        "aggregate": len(aggregate),
        **compute_chain_bytes(len(updates), len(order.rows), _COMMITTEE, told.losses),
    }


def _draw_prompts(scenario: Scenario, seed: int) -> tuple[Any, ...]:
    return scenario.build_suite(seed)[: scenario.prompts_per_round]


def _time(work: Callable[[], T]) -> tuple[T, float]:
    started = process_time()
    found = work()
    return found, process_time() - started


def _build_tables(cells: Sequence[Document]) -> str:
    parts = []
    for rule in get_axis(cells, "rule"):
        own = select(cells, rule=rule)
        sizes = [[cell["sizes"][at] for cell in own] for at in range(len(own[0]["sizes"]))]
        counts = [f"{found[0]['updates']} updates" for found in sizes]
        seconds = [
            [part.replace("_", " "), *(format_values([one["seconds"][part] for one in found], 4) for found in sizes)]
            for part in _PARTS
        ]
        agreement = [
            [label, *(format_values([one[field] for one in found], digits) for found in sizes)]
            for field, label, digits in (
                ("cost_ratio", "exact / first-order, processor time", 1),
                ("pearson", "Pearson's correlation", 3),
                ("same_sign", "updates with the same sign", 3),
            )
        ]
        amounts = [
            [name.replace("_", " "), *(f"{found[0]['bytes'][name]:,}" for found in sizes)]
            for name in sizes[0][0]["bytes"]
        ]
        prompts = sizes[0][0]["prompts"]
        parts += [
            f"### {rule}: processor seconds of a round, all updates, {prompts} prompts\n",
            build_markdown(["part", *counts], seconds),
            "### First-order scores against exact leave-one-out\n",
            build_markdown(["", *counts], agreement),
            f"### Bytes of a round, committee of {_COMMITTEE}\n",
            build_markdown(["what", *counts], amounts),
        ]
    return "\n".join(parts)


COST: Final = Experiment(
    name="cost",
    sentence="Time and bytes of a round by part, and first-order scores against exact ones.",
    rules=("accumulated",),
    rounds=1,
    known=tuple(name for name, contender in CONTENDERS.items() if not contender.probe_kinds),
    get_settings=CONTENDERS.__getitem__,
    run_cell=_run_cell,
    build_tables=_build_tables,
    describe_devnet=describe_devnet_rounds,
)
