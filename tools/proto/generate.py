"""Generates flockchain/v1 from proto/flockchain/v1. Run it from anywhere; the result is committed.

    python tools/proto/generate.py [--out DIR]

Message classes and their type stubs come from protoc, service stubs from grpcio-tools. The layout (proto
root `proto/`, package `flockchain.v1`) makes protoc's absolute imports the right ones, so nothing is rewritten.
The types of the service stubs (`*_pb2_grpc.pyi`) are written here from the descriptors: grpcio-tools makes none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import grpc_tools  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto
from grpc_tools import protoc

__all__ = ["ROOT", "generate", "main", "render_service_types"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("flockchain/v1")
INIT = '''"""Generated messages and service stubs of proto/flockchain/v1. Never edited: see tools/proto/generate.py."""

__all__: list[str] = []
'''


def generate(out: Path) -> list[Path]:
    """Writes the stubs under `out`/flockchain/v1 and returns their paths. Raises `SystemExit` when protoc fails."""
    protos = sorted((ROOT / "proto" / PACKAGE).glob("*.proto"))
    target = out / PACKAGE
    target.mkdir(parents=True, exist_ok=True)
    for stale in [*target.glob("*_pb2*.py"), *target.glob("*_pb2*.pyi")]:
        stale.unlink()
    includes = [f"-I{ROOT / 'proto'}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]
    with tempfile.TemporaryDirectory() as scratch:
        descriptors = Path(scratch) / "descriptors"
        outputs = [f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}"]
        outputs.append(f"--descriptor_set_out={descriptors}")
        code = protoc.main(["protoc", *includes, *outputs, *[str(path) for path in protos]])
        if code != 0:
            raise SystemExit(f"protoc failed with exit code {code}")
        files = FileDescriptorSet.FromString(descriptors.read_bytes()).file
    (target / "__init__.py").write_text(INIT, encoding="utf-8")
    for file in files:
        stem = Path(file.name).stem
        if file.service:
            (target / f"{stem}_pb2_grpc.pyi").write_text(render_service_types(file), encoding="utf-8")
        else:
            (target / f"{stem}_pb2_grpc.py").unlink()
    return sorted(path for path in target.iterdir() if path.is_file())


def render_service_types(file: FileDescriptorProto) -> str:
    """The types of one file's service stubs: asyncio clients, and servicers that may be of either kind."""
    stem = Path(file.name).stem
    lines = ["from typing import Any", "", "import grpc.aio", "", f"from flockchain.v1 import {stem}_pb2"]
    for service in file.service:
        servicer = f"{service.name}Servicer"
        lines += ["", f"class {service.name}Stub:", "    def __init__(self, channel: grpc.aio.Channel) -> None: ..."]
        lines += [f"    {method.name}: {_render_callable(method, stem)}" for method in service.method]
        lines += ["", f"class {servicer}:"]
        lines += [f"    def {method.name}(self, request: Any, context: Any) -> Any: ..." for method in service.method]
        lines += ["", f"def add_{servicer}_to_server(servicer: {servicer}, server: Any) -> None: ..."]
    return "\n".join([*lines, ""])


def _render_callable(method: MethodDescriptorProto, stem: str) -> str:
    request, response = (f"{stem}_pb2.{name.rsplit('.', 1)[1]}" for name in (method.input_type, method.output_type))
    ends = ("Stream" if method.client_streaming else "Unary") + ("Stream" if method.server_streaming else "Unary")
    return f"grpc.aio.{ends}MultiCallable[{request}, {response}]"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Generates the gRPC stubs.")
    parser.add_argument("--out", type=Path, default=ROOT, help="where flockchain/v1 is written (default: the checkout)")
    for path in generate(parser.parse_args(arguments).out):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
