"""From an update's bytes to what a defence sees of it: what validators compute, and the client's claim beside it."""

from __future__ import annotations

from flockchain.exact import decode_update
from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.defences.view import Claim, Submission
from flockchain_ml.probes import LogisticProbe
from flockchain_ml.tensors import decode_adapter

__all__ = ["read_submission"]


def read_submission(
    spec: AdapterSpec,
    trainer: bytes,
    update: bytes,
    *,
    claim: Claim | None = None,
    probe: LogisticProbe | None = None,
    vote: int = 0,
) -> Submission:
    """One update of a round. `probe`: Safe-FedLLM's of the step level; without it there is no score of the upload.

    Raises `AdapterFileError` for bytes that are not the task's, `FeatureInvalid` for another adapter's probe.
    """
    score = probe.compute_score(decode_adapter(update, spec).b) if probe is not None else None
    return Submission(trainer, claim, score, decode_update(update, spec), vote)
