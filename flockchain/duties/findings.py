"""The objective findings on a round's updates: what is decided by bytes alone, the same on every machine.

The node computes them itself before an evaluator sees anything. Knows bytes, the task's adapter and what trainers
committed to; not what an update is good for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from flockchain.exact import AdapterFileError, Originals, decode_update
from flockchain.exact.adapter_file import Tensors
from flockchain.primitives.learning import AdapterSpec, UpdateRecord, UpdateStatus

__all__ = ["compute_findings"]


def compute_findings(
    adapter: AdapterSpec, updates: Sequence[UpdateRecord], blobs: Sequence[bytes | None]
) -> tuple[UpdateStatus | None, ...]:
    """One entry an update, in the order of the set: UNAVAILABLE, MALFORMED, DUPLICATE, or None for a candidate.

    MALFORMED: another size or digest than committed, or not the canonical bytes of the task's adapter. DUPLICATE: a
    copy or near copy (`exact.copies`) of an earlier candidate. `blobs` holds None for bytes that could not be had.
    """
    originals = Originals(adapter)
    findings: list[UpdateStatus | None] = []
    for update, data in zip(updates, blobs, strict=True):
        tensors = None if data is None else _decode_committed(adapter, update, data)
        if data is None:
            findings.append(UpdateStatus.UNAVAILABLE)
        elif tensors is None:
            findings.append(UpdateStatus.MALFORMED)
        elif originals.find_copied(tensors) is not None:
            findings.append(UpdateStatus.DUPLICATE)
        else:
            findings.append(None)
    return tuple(findings)


def _decode_committed(adapter: AdapterSpec, update: UpdateRecord, data: bytes) -> Tensors | None:
    if len(data) != update.size_bytes or hashlib.sha256(data).digest() != update.digest:
        return None
    try:
        return decode_update(data, adapter)
    except AdapterFileError:
        return None
