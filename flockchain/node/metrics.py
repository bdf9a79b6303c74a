"""The node's figures for Prometheus, read when it asks. Knows names and units; decides nothing.

Counters are plain integers of the host; the collector only shows them, so that nothing of this runs unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from flockchain.node.config import require_address
from flockchain.primitives.errors import Fault

__all__ = ["FINALITY_BUCKETS_MS", "MetricsServer", "NodeCounters", "NodeGauges", "start_metrics"]

FINALITY_BUCKETS_MS: Final = (10, 25, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000)


@dataclass(slots=True)
class NodeCounters:
    """What only grows while a node runs."""

    blocks_finalized: int = 0
    extrinsics_finalized: int = 0
    views_entered: int = 0
    votes_persisted: int = 0
    blocks_refused: int = 0
    peers_refused: int = 0
    misdeeds: dict[str, int] = field(default_factory=dict)
    bans: dict[str, int] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    link_ends: dict[str, int] = field(default_factory=dict)
    finality_ms: list[int] = field(default_factory=lambda: [0] * (len(FINALITY_BUCKETS_MS) + 1))
    finality_ms_sum: int = 0

    def on_finality(self, latency_ms: int) -> None:
        """A block was committed `latency_ms` after its own timestamp."""
        self.finality_ms_sum += latency_ms
        bucket = next((at for at, bound in enumerate(FINALITY_BUCKETS_MS) if latency_ms <= bound), -1)
        self.finality_ms[bucket] += 1

    def on_misdeed(self, kind: str) -> None:
        """A peer broke a rule."""
        self.misdeeds[kind] = self.misdeeds.get(kind, 0) + 1

    def on_ban(self, what: str) -> None:
        """A peer, or a host, was banned."""
        self.bans[what] = self.bans.get(what, 0) + 1

    def on_drop(self, channel: str) -> None:
        """A message for a peer was dropped or refused, for want of room."""
        self.drops[channel] = self.drops.get(channel, 0) + 1

    def on_link_end(self, why: str) -> None:
        """A connection to a peer ended."""
        self.link_ends[why] = self.link_ends.get(why, 0) + 1


@dataclass(frozen=True, slots=True)
class NodeGauges:
    """Where the node is at this moment."""

    height: int
    epoch: int
    view: int
    peers: int
    pending_extrinsics: int
    is_syncing: bool
    is_evaluator_ready: bool


class MetricsServer:
    """A running exporter."""

    def __init__(self, server: Any, port: int) -> None:
        self._server = server
        self.port = port

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class MetricsUnavailable(Fault):
    """The metrics address is taken or not ours."""


def start_metrics(listen: str, counters: NodeCounters, get_gauges: Callable[[], NodeGauges]) -> MetricsServer:
    """Serve the figures at `http://<listen>/metrics`. Raises `MetricsUnavailable`."""
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(_Collector(counters, get_gauges))
    host, port = require_address(listen, "metrics.listen", may_be_any_port=True)
    try:
        server, _thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise MetricsUnavailable("cannot listen for metrics", address=listen, reason=error.strerror) from error
    return MetricsServer(server, server.server_port)


class _Collector:
    def __init__(self, counters: NodeCounters, get_gauges: Callable[[], NodeGauges]) -> None:
        self._counters = counters
        self._get_gauges = get_gauges

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        gauges, counters = self._get_gauges(), self._counters
        for name, text, value in (
            ("height", "Height of the last finalized block.", gauges.height),
            ("epoch", "Epoch that consensus is in.", gauges.epoch),
            ("view", "View that consensus is in.", gauges.view),
            ("peers", "Connected peers.", gauges.peers),
            ("pending_extrinsics", "Extrinsics that wait for a block.", gauges.pending_extrinsics),
            ("syncing", "1 while blocks are fetched from peers.", int(gauges.is_syncing)),
            ("evaluator_ready", "1 while the evaluator would take an order.", int(gauges.is_evaluator_ready)),
        ):
            yield GaugeMetricFamily(f"flockchain_{name}", text, value=value)
        for name, text, value in (
            ("blocks_finalized", "Blocks committed since the start.", counters.blocks_finalized),
            ("extrinsics_finalized", "Extrinsics in those blocks.", counters.extrinsics_finalized),
            ("views_entered", "Views entered since the start.", counters.views_entered),
            ("votes_persisted", "Votes journaled before they were sent.", counters.votes_persisted),
            ("blocks_refused", "Proposed blocks that did not execute as they say.", counters.blocks_refused),
            ("peers_refused", "Handshakes that failed.", counters.peers_refused),
        ):
            yield CounterMetricFamily(f"flockchain_{name}", text, value=value)
        for name, text, label, counts in (
            ("peer_misdeeds", "Rules that peers broke.", "kind", counters.misdeeds),
            ("bans", "Peers and hosts that were banned.", "what", counters.bans),
            ("messages_dropped", "Messages for peers that found no room.", "channel", counters.drops),
            ("links_ended", "Connections to peers that ended.", "reason", counters.link_ends),
        ):
            family = CounterMetricFamily(f"flockchain_{name}", text, labels=[label])
            for key, value in sorted(counts.items()):
                family.add_metric([key], value)
            yield family
        yield self._build_finality(HistogramMetricFamily)

    def _build_finality(self, family: Any) -> Any:
        buckets: list[tuple[str, int]] = []
        total = 0
        for bound, count in zip((*map(str, FINALITY_BUCKETS_MS), "+Inf"), self._counters.finality_ms, strict=True):
            total += count
            buckets.append((bound, total))
        text = "From a block's timestamp to its commit here, milliseconds."
        return family("flockchain_finality_ms", text, buckets=buckets, sum_value=self._counters.finality_ms_sum)
