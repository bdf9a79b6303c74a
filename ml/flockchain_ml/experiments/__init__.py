"""Experiments over the same trainer, evaluation, aggregation and attacks as the network: one table a file."""

from __future__ import annotations

__all__: list[str] = []
