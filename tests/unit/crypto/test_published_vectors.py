"""Published vectors (C2SP Wycheproof), for whoever has them: FLOCKCHAIN_VECTORS names the folder.

They are not part of this repository. Each file is skipped where it is not found; the project's own
negative cases, which are stricter, always run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from flockchain.crypto import bls, ed25519
from flockchain.crypto.bls_suite import SIGNATURE_TAG

FOLDER = os.environ.get("FLOCKCHAIN_VECTORS")


def load_groups(name: str) -> list[dict[str, Any]]:
    file = Path(FOLDER or ".") / name
    if FOLDER is None or not file.exists():
        pytest.skip(f"set FLOCKCHAIN_VECTORS to a folder with {name}")
    groups: list[dict[str, Any]] = json.loads(file.read_bytes())["testGroups"]
    return groups


def test_bls_answers_as_published() -> None:
    for group in load_groups("bls_sig_g2_pop_verify_test.json"):
        assert group["ciphersuite"] == SIGNATURE_TAG.decode()
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            found = bls.verify(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert found == (case["result"] == "valid"), case


def test_ed25519_answers_as_published() -> None:
    for group in load_groups("ed25519_test.json"):
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            found = ed25519.verify(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert found == (case["result"] == "valid"), case
