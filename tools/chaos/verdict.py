"""Whether a network lost anything or signed anything twice: from what its witnesses and its observer wrote down.

    check_chain   every block and extrinsic that any validator ever reported as final is in the one chain of them all
    check_votes   no validator signed what excludes what it signed before

Reads records and journals only; knows nothing of how they came about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flockchain.consensus.guard import GUARD_RECORD, FloorRecord, VoteRecord
from flockchain.storage.journal import open_journal

__all__ = ["ChainFindings", "Votes", "check_chain", "read_final", "read_records"]

_LEADER = "leader"


def read_records(file: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file of records."""
    data = file.read_bytes() if file.exists() else b""
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        yield json.loads(line)


def read_final(file: Path) -> list[dict[str, Any]]:
    """The `final` records of a witness, in the order in which they were heard."""
    return [record for record in read_records(file) if record["kind"] == "final"]


@dataclass
class ChainFindings:
    """What was compared, and every sentence of it that is not so."""

    blocks: int = 0
    reports: int = 0  # of blocks, by all witnesses
    extrinsics: int = 0  # of the witnesses' own, reported as final
    faults: list[str] = field(default_factory=list)


def check_chain(records: Mapping[str, Path], audits: Mapping[str, Mapping[str, Any]]) -> ChainFindings:
    """`records`: the witnesses' files by validator. `audits`: what each validator answers in the end.

    An audit has `hashes` (of all blocks, by height) and `places` (of the extrinsics asked for: height and block hash).
    """
    findings = ChainFindings()
    common = min(len(audit["hashes"]) for audit in audits.values())
    chains = {tuple(audit["hashes"][:common]) for audit in audits.values()}
    if len(chains) != 1:
        findings.faults.append("the validators hold different chains")
    findings.blocks = common - 1
    for name, file in records.items():
        last_status = 0
        for record in read_records(file):
            if record["kind"] == "accepted":
                continue
            if record["kind"] == "status":
                if record["height"] < last_status:
                    findings.faults.append(f"{name} fell from height {last_status} to {record['height']}")
                last_status = record["height"]
            else:
                findings.reports += 1
            last_status = max(last_status, record["height"])
            for judge, audit in audits.items():
                if record["height"] >= len(audit["hashes"]):
                    findings.faults.append(f"{judge} lost height {record['height']}, which {name} reported")
                elif audit["hashes"][record["height"]] != record["hash"]:
                    findings.faults.append(f"{judge} has another block at {record['height']} than {name} reported")
            for digest in record.get("ours", ()):
                findings.extrinsics += 1
                for judge, audit in audits.items():
                    if audit["places"].get(digest) != [record["height"], record["hash"]]:
                        findings.faults.append(f"{judge} does not have extrinsic {digest} where {name} reported it")
    return findings


@dataclass
class Votes:
    """Everything that anybody was seen to sign, and the contradictions in it."""

    seen: dict[tuple[str, int, int, str], set[str]] = field(default_factory=dict)  # signer, epoch, view, kind -> blocks
    journals: int = 0
    unjournaled: list[str] = field(default_factory=list)  # heard by others, and not on the disk of who signed
    _heard: int = 0  # lines of the observer's file that are in `seen`

    @property
    def count(self) -> int:
        return sum(len(blocks) for blocks in self.seen.values())

    def hear(self, file: Path) -> None:
        """Take in what the observer has heard since the last time."""
        records = list(read_records(file))
        new, self._heard = records[self._heard :], len(records)
        for record in new:
            if "vote" in record:
                epoch, view, kind, block_hash, signer = record["vote"]
                self._add(signer, epoch, view, kind, block_hash)

    def read_journal(self, folder: Path, signer: str) -> None:
        """Take in a copy of the vote journal of validator number `signer`, made while it was dead.

        What the observer had heard of it by then must be there: a vote is on disk before it is said. The journal
        forgets epochs that are over, and what its floor settles.
        """
        journal = open_journal(folder / "votes.journal")
        try:
            records = [GUARD_RECORD.decode(encoded) for encoded in journal.records()]
        finally:
            journal.close()
        votes = [record for record in records if isinstance(record, VoteRecord)]
        floors = {record.epoch: record.view for record in records if isinstance(record, FloorRecord)}
        held = {(record.epoch, record.view, record.kind.name) for record in votes}
        oldest = min((record.epoch for record in votes), default=None)
        for who, epoch, view, kind in self.seen if oldest is not None else ():
            is_kept = who == signer and epoch >= oldest and view > floors.get(epoch, 0)
            if is_kept and (epoch, view, kind) not in held and (epoch > oldest or oldest == 0):
                self.unjournaled.append(f"signer {signer} in epoch {epoch}, view {view}: {kind}")
        for record in votes:
            self._add(signer, record.epoch, record.view, record.kind.name, record.block_hash.hex())
        self.journals += 1

    def find_contradictions(self) -> list[str]:
        """Every pair of votes that an honest validator never signs both of."""
        faults = []
        for (signer, epoch, view, kind), blocks in sorted(self.seen.items()):
            where = f"signer {signer} in epoch {epoch}, view {view}"
            if len(blocks) > 1:
                faults.append(f"{where}: {len(blocks)} different {kind}")
            if kind == "NULLIFY" and (signer, epoch, view, "FINALIZE") in self.seen:
                faults.append(f"{where}: NULLIFY and FINALIZE")
        return faults

    def _add(self, signer: str, epoch: int, view: int, kind: str, block_hash: str) -> None:
        self.seen.setdefault((signer, epoch, view, kind), set()).add(block_hash)


def compute_percentile(values: Iterable[float], percent: int) -> float:
    """The value that `percent` of a hundred are not above; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
