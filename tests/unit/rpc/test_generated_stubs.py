"""The committed stubs are exactly what the .proto files give, and the .proto files keep buf's naming."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor

import flockchain.v1
from flockchain.primitives.learning import AcceptanceRule, AdapterMode, Phase, ReasonCode, UpdateStatus
from flockchain.primitives.rounds import TaskStatus, VoidReason

ROOT = Path(__file__).parents[3]
PROTOS = sorted((ROOT / "proto/flockchain/v1").glob("*.proto"))
STUBS = ROOT / "flockchain/v1"
SYMMETRIC = {"PeerService.Connect"}  # both directions of a peer stream are one frame type


def get_file(proto: Path) -> FileDescriptor:
    importlib.import_module(f"flockchain.v1.{proto.stem}_pb2")
    return descriptor_pool.Default().FindFileByName(f"flockchain/v1/{proto.name}")


def test_the_stubs_are_up_to_date(tmp_path: Path) -> None:
    location = ROOT / "tools/proto/generate.py"
    spec = importlib.util.spec_from_file_location("generate", location)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    made = {path.name: path.read_bytes() for path in generator.generate(tmp_path)}
    committed = {path.name: path.read_bytes() for path in STUBS.iterdir() if path.is_file()}
    assert made == committed, "run `python tools/proto/generate.py`"


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.stem)
def test_names_are_as_buf_wants_them(proto: Path) -> None:
    file = get_file(proto)
    assert file.package == "flockchain.v1"
    for message in file.message_types_by_name.values():
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+", message.name)
        for field in message.fields:
            assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field.name)
    for enum in file.enum_types_by_name.values():
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
        assert enum.values_by_number[0].name == f"{prefix}UNSPECIFIED"
        assert all(value.name.startswith(prefix) for value in enum.values)
    for service in file.services_by_name.values():
        assert service.name.endswith("Service")
        for method in service.methods:
            if f"{service.name}.{method.name}" in SYMMETRIC:
                continue
            for message, suffix in ((method.input_type, "Request"), (method.output_type, "Response")):
                assert message.name in {f"{method.name}{suffix}", f"{service.name}{method.name}{suffix}"}


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.stem)
def test_every_service_and_its_methods_are_explained(proto: Path) -> None:
    lines = proto.read_text(encoding="utf-8").splitlines()
    for at, line in enumerate(lines):
        if line.startswith(("package ", "enum ", "service ")):
            assert lines[at - 1].startswith("//"), f"{proto.name}:{at + 1}"
        if line.startswith("  rpc "):
            assert lines[at - 1].strip().startswith("//"), f"{proto.name}:{at + 1}"


@pytest.mark.parametrize("enum", [AcceptanceRule, AdapterMode, Phase, ReasonCode, TaskStatus, UpdateStatus, VoidReason])
def test_enumerations_are_the_chains_own_plus_one(enum: type) -> None:
    for proto in PROTOS:
        get_file(proto)
    described = descriptor_pool.Default().FindEnumTypeByName(f"flockchain.v1.{enum.__name__}")
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.__name__).upper() + "_"
    named = {value.name.removeprefix(prefix): value.number - 1 for value in described.values if value.number}
    assert named == {member.name: int(member) for member in enum}  # type: ignore[attr-defined]


def test_the_package_of_stubs_gives_its_own_docstring() -> None:
    assert "Never edited" in (flockchain.v1.__doc__ or "")
