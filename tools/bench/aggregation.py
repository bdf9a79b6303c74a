"""Measures exact aggregation: its speed against a plain float mean, its memory, the residual check, and int16's loss.

    python -m tools.bench.aggregation [--sizes 50,500] [--repeats 5,3] [--out docs/results/aggregation.json]

Ten int16 adapters of each size (MB), as files. "arithmetic": everything is read and added up, and nothing is written.
"file": the mean becomes a durable file; the exact one is hashed while it is written, the float one is not. Both read
the same files, which were just written and so are in the page cache. The float mean is a running float32 sum over one
tensor at a time, divided by n. "memory": all adapters are in memory already, as bytes for the exact sum and as float32
for the float mean, of which np.mean over the stack and the running sum are both run. Contestants take turns, and the
figures are medians. Memory is measured in a process of its own that may map no more than 2 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flockchain.exact import BytesSource, compute_aggregate, stream_aggregate
from flockchain.exact.adapter_file import Layout, compute_aggregate_bytes, compute_update_layout
from flockchain.node.aggregate_files import aggregate_files, open_sources
from flockchain.primitives.learning import AdapterMode, AdapterSpec, ModuleShape
from flockchain.primitives.limits import MIB
from flockchain.primitives.numbers import Hash
from flockchain.storage.disk import write_all
from tools.bench.adapter_precision import measure_precision, measure_residual_check
from tools.bench.machine import describe_command, describe_machine
from tools.bench.results import render_machine, render_table

ADAPTERS: Final = 10
MEMORY_MAX: Final = 2048 * MIB
IN_MEMORY_MB_MAX: Final = 100  # ten adapters of this size take ten times twice as much as float32
_FEATURES: Final = 4096
_RANK: Final = 64
_MB: Final = 10**6
_Work = Callable[[], None]


def main() -> int:
    """Run everything, print the tables, and write the figures."""
    options = _parse_options()
    if options.child:
        return _run_child(AdapterMode[options.child[0]], int(options.child[1]), Path(options.child[2]))
    sizes = [int(size) for size in options.sizes.split(",")]
    repeats = [int(count) for count in options.repeats.split(",")]
    figures: dict[str, Any] = {
        "command": describe_command("tools.bench.aggregation"), "adapters": ADAPTERS, "machine": describe_machine(),
        "residual_check": measure_residual_check(), "int16": measure_precision(), "speed": [], "peak_memory": [],
    }  # fmt: skip
    for size_mb, count in zip(sizes, repeats, strict=True):
        with tempfile.TemporaryDirectory(dir=options.dir) as folder:
            _require_room(Path(folder), size_mb)
            speed, memory = _measure_size(Path(folder), size_mb, count)
            figures["speed"].append(speed)
            figures["peak_memory"].append(memory)
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        figures["peak_memory"].append(_measure_stack(Path(folder), min(sizes)))
    text = render(figures)
    print(text)
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(text, encoding="utf-8")
    return 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="50,500", help="MB of one adapter")
    parser.add_argument("--repeats", default="5,3", help="turns of each contestant, for each size")
    parser.add_argument("--dir", type=Path, help="where the adapters are made and removed; default: the temp folder")
    parser.add_argument("--out", type=Path, help="a JSON file; a Markdown file goes beside it")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def build_spec(size_mb: int, mode: AdapterMode = AdapterMode.FFA) -> AdapterSpec:
    """As many layers of 4096 features and rank 64 as an update of this size holds."""
    tensors = 2 if mode is AdapterMode.STACK else 1
    count = size_mb * _MB // (_FEATURES * _RANK * 2 * tensors)
    modules = tuple(ModuleShape(f"layers.{at:04}", _FEATURES, _FEATURES, 20, 14) for at in range(count))
    return AdapterSpec(_RANK, 2 * _RANK, mode, Hash(bytes(32)), modules)


def _require_room(folder: Path, size_mb: int) -> None:
    """Ten updates, two aggregates of twice their size, and a tenth more."""
    wanted = size_mb * _MB * (ADAPTERS + 4) * 11 // 10
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise SystemExit(f"{folder} has {free // _MB} MB free, and {wanted // _MB} MB are needed: see --dir")


def _write_updates(folder: Path, spec: AdapterSpec) -> list[Path]:
    """Files of noise. A block of it is turned by another amount in every file: the sums differ everywhere."""
    layout = compute_update_layout(spec)
    block = np.random.default_rng(1).integers(-(2**15), 2**15, 1 << 22, dtype=np.int16)
    paths = [folder / f"update-{number}" for number in range(ADAPTERS)]
    for number, path in enumerate(paths):
        data = np.roll(block, 104_729 * number).tobytes()
        with path.open("wb") as file:
            file.write(layout.header)
            left = layout.size_bytes - len(layout.header)
            while left:
                left -= file.write(data[: min(left, len(data))])
    return paths


def _measure_size(folder: Path, size_mb: int, repeats: int) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = build_spec(size_mb)
    paths = _write_updates(folder, spec)
    layout, out = compute_update_layout(spec), folder / "float"
    contestants: dict[str, _Work] = {
        "exact arithmetic": lambda: _sum_exactly(spec, paths),
        "float arithmetic": lambda: _sum_floats(layout, paths, None),
        "exact file": lambda: _discard(aggregate_files(spec, None, paths, folder / "exact")),
        "float file": lambda: _sum_floats(layout, paths, out),
    }
    if size_mb <= IN_MEMORY_MB_MAX:
        contestants |= _build_in_memory(spec, layout, paths)
    times = _take_turns(contestants, repeats)
    _require_near(layout, folder / "exact", out)
    digest = _hash(folder / "exact")
    for name in ("exact", "float"):
        (folder / name).unlink()
    del contestants
    memory = _measure_memory(AdapterMode.FFA, size_mb, folder)
    if memory.pop("digest") != digest:
        raise SystemExit("two processes made different aggregates of the same files")
    return {"size_mb": size_mb, "repeats": repeats, **_summarise(times)}, memory


def _build_in_memory(spec: AdapterSpec, layout: Layout, paths: Sequence[Path]) -> dict[str, _Work]:
    data = [path.read_bytes() for path in paths]
    floats = np.stack([np.frombuffer(one, np.int16, offset=len(layout.header)).astype(np.float32) for one in data])

    def run() -> None:
        total = floats[0].copy()
        for other in floats[1:]:
            total += other
        total /= len(floats)

    return {
        "exact memory": lambda: _drain(stream_aggregate(spec, None, [BytesSource(one) for one in data])),
        "exact memory, to bytes": lambda: _discard(compute_aggregate(spec, None, data)),
        "float memory, running sum": run,
        "float memory, np.mean": lambda: _discard(floats.mean(axis=0)),
    }


def _sum_exactly(spec: AdapterSpec, paths: Sequence[Path]) -> None:
    with open_sources(paths) as sources:
        _drain(stream_aggregate(spec, None, sources))


def _sum_floats(layout: Layout, paths: Sequence[Path], out: Path | None) -> None:
    """The plain float mean, tensor by tensor; with `out` it becomes a durable file of float32."""
    files = [path.open("rb", buffering=0) for path in paths]
    target = None if out is None else os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for place in layout.places:
        total: NDArray[np.float32] | None = None
        for file in files:
            file.seek(place.start)
            values = np.fromfile(file, np.int16, place.values)
            if total is None:
                total = values.astype(np.float32)
            else:
                total += values
        if total is not None:
            total /= len(files)
            if target is not None:
                write_all(target, total.data.cast("B"))
    for file in files:
        file.close()
    if target is not None:
        os.fsync(target)
        os.close(target)


def _drain(pieces: Any) -> None:
    for _ in pieces:
        pass


def _discard(_: object) -> None:
    return None


def _take_turns(contestants: Mapping[str, _Work], repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of every turn; a first turn of each is not counted."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for turn in range(repeats + 1):
        for name, work in contestants.items():
            began = time.perf_counter(), time.process_time()
            work()
            if turn:
                times[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return times


def _summarise(times: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, Any]:
    """Medians, and the medians of the ratios within a turn: over 1 the exact way is the faster one."""
    found: dict[str, Any] = {
        name: {kind: round(statistics.median(turn[at] for turn in turns), 3) for at, kind in enumerate(("s", "cpu_s"))}
        for name, turns in times.items()
    }
    pairs = [("arithmetic", "exact arithmetic", ["float arithmetic"]), ("file", "exact file", ["float file"])]
    if "exact memory" in times:
        rivals = [name for name in times if name.startswith("float memory")]
        pairs.append(("memory", "exact memory", rivals))
    ratios = {}
    for name, own, rivals in pairs:
        rival = min(rivals, key=lambda one: found[one]["cpu_s"])
        ratios[name] = {
            kind: round(statistics.median(b[at] / a[at] for a, b in zip(times[own], times[rival], strict=True)), 2)
            for at, kind in enumerate(("wall", "cpu"))
        } | {"rival": rival}
    return {"seconds": found, "speed_of_exact_over_float": ratios}


def _require_near(layout: Layout, exact: Path, rough: Path) -> None:
    """The two means are of the same numbers: no two entries are further apart than rounding takes them."""
    values = np.memmap(exact, "<i4", "r", exact.stat().st_size - 4 * sum(place.values for place in layout.places))
    floats = np.memmap(rough, np.float32, "r")
    for start in range(0, len(floats), 1 << 24):
        part = slice(start, start + (1 << 24))
        if np.abs(values[part] - floats[part].astype(np.float64)).max() > 0.51:
            raise SystemExit("the exact and the float mean are not of the same numbers")


def _hash(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while data := file.read(MIB):
            digest.update(data)
    return digest.hexdigest()


def _measure_stack(folder: Path, size_mb: int) -> dict[str, Any]:
    """Stacking makes a file ten times as large of them, and reads every one twice: once for its digest."""
    spec = build_spec(size_mb, AdapterMode.STACK)
    wanted = compute_aggregate_bytes(spec, ADAPTERS)
    if shutil.disk_usage(folder).free < wanted * 2:
        raise SystemExit(f"a stack of {wanted // _MB} MB has no room in {folder}: see --dir")
    _write_updates(folder, spec)
    found = _measure_memory(AdapterMode.STACK, size_mb, folder)
    del found["digest"]
    return found


def _measure_memory(mode: AdapterMode, size_mb: int, folder: Path) -> dict[str, Any]:
    """Aggregate the folder's updates in a fresh process that is refused more than 2 GiB."""
    limit = (MEMORY_MAX, MEMORY_MAX)
    result = subprocess.run(
        [sys.executable, "-m", "tools.bench.aggregation", "--child", mode.name, str(size_mb), str(folder)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit), capture_output=True, text=True, check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if result.returncode:
        raise SystemExit(f"the aggregation within 2 GiB failed:\n{result.stderr}")
    found = json.loads(result.stdout)
    if found["peak_mib"] > MEMORY_MAX // MIB:
        raise SystemExit(f"the aggregation took {found['peak_mib']} MiB")
    return {"mode": mode.name, "size_mb": size_mb, "limit_mib": MEMORY_MAX // MIB, **found}


def _run_child(mode: AdapterMode, size_mb: int, folder: Path) -> int:
    """One aggregation; what it took, as JSON."""
    spec, out = build_spec(size_mb, mode), folder / "out"
    before = _read_peak_mib()
    began = time.perf_counter(), time.process_time()
    written = aggregate_files(spec, None, [folder / f"update-{number}" for number in range(ADAPTERS)], out)
    spent = time.perf_counter() - began[0], time.process_time() - began[1]
    found = {
        "before_mib": before, "peak_mib": _read_peak_mib(), "s": round(spent[0], 2), "cpu_s": round(spent[1], 2),
        "out_mb": written.size_bytes // _MB, "digest": _hash(out),
    }  # fmt: skip
    out.unlink()
    print(json.dumps(found))
    return 0


def _read_peak_mib() -> int:
    """The most that this process has held. (`ru_maxrss` would count the process that started it as well.)"""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def render(figures: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    speeds = [
        (speed["size_mb"], name, *(seconds[kind] for kind in ("s", "cpu_s")))
        for speed in figures["speed"]
        for name, seconds in speed["seconds"].items()
    ]
    ratios = [
        (speed["size_mb"], name, ratio["wall"], ratio["cpu"], ratio["rival"])
        for speed in figures["speed"]
        for name, ratio in speed["speed_of_exact_over_float"].items()
    ]
    memory = [
        (one["mode"], one["size_mb"], one["out_mb"], one["before_mib"], one["peak_mib"], one["limit_mib"], one["cpu_s"])
        for one in figures["peak_memory"]
    ]
    parts = [
        "# Exact aggregation",
        f"{figures['adapters']} int16 adapters, layers of {_FEATURES} features and rank {_RANK}, in files that the "
        "page cache holds.\nThe aggregate is bit-equal in any order; a float mean of the same numbers is not.",
        f"    {figures['command']}",
        render_machine(figures["machine"]),
        "## Speed of the exact aggregate over that of the plain float mean",
        "Medians of ratios within a turn. Over 1 the exact way is faster; it must reach 0.5. Processor time is what\n"
        "a machine without other work would take. `arithmetic`: files are read and added up, nothing is written.\n"
        "`file`: the mean becomes a synced file; the exact one is hashed as well, by chunks. `memory`: against the\n"
        "faster one of a running float32 sum and `np.mean` over the stack, of float32 arrays that are in memory.",
        render_table(("MB", "way", "wall", "processor", "against"), ratios),
        render_table(("MB", "contestant", "s", "processor s"), speeds),
        "## Memory",
        "A process of its own that may map no more than 2 GiB. A stack of n updates is a file of 2n times one's size.",
        render_table(("mode", "MB", "MB out", "MiB before", "MiB at most", "limit", "processor s"), memory),
        *_render_check(figures["residual_check"]),
        *_render_precision(figures["int16"]),
    ]
    return "\n\n".join(parts) + "\n"


def _render_check(check: Mapping[str, Any]) -> list[str]:
    return [
        "## Residual of a re-factorisation",
        f"One module of {check['features']} inputs and outputs; a stack of {check['updates']} updates of rank "
        f"{check['rank']} against factors of rank {check['rank']}.\n"
        f"Seconds of one processor: {check['propose_cpu_s']} to propose, {check['check_cpu_s']} for the exact check.",
    ]


def _render_precision(int16: Mapping[str, Any]) -> list[str]:
    rows = [
        ("mean loss, nats", int16["loss_f32"], int16["loss_int16"], int16["loss_change"]),
        ("accuracy", int16["accuracy_f32"], int16["accuracy_int16"], int16["accuracy_change"]),
    ]
    return [
        "## What int16 costs",
        f"One trainer's update of the shipped tiny model ({int16['steps']} steps, rank {int16['rank']}, "
        f"{int16['modules']} modules, B at 2**-{int16['b_scale_bits']}),\n"
        "as it was trained in float32 and as it is on the wire, "
        f"on {int16['rows']} rows that it was not trained on.",
        render_table(("of", "float32", "int16", "change"), rows),
        f"Without the update the mean loss is {int16['loss_base']}. Error over size (Frobenius norms) of ΔW = ΔB·A, by "
        f"module:\nmedian {int16['error_median']:.2e}, worst {int16['error_worst']:.2e} ({int16['worst_module']}).",
    ]


if __name__ == "__main__":
    sys.exit(main())
