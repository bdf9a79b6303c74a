"""Pre-train a tiny base from nothing: `python -m flockchain_ml.trainer.pretrain --output DIR`.

The base learns the facts of the domains in other surface forms, every word's embedding, and a
small share of downstream rows, so that fine-tuning has something to build on and much to add.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import torch
from transformers import AutoModelForCausalLM

from flockchain_ml.data import DOMAINS, is_held_out
from flockchain_ml.models.architectures import ARCHITECTURES
from flockchain_ml.models.batches import build_batch, compute_answer_losses, tokenise_rows
from flockchain_ml.models.determinism import require_determinism
from flockchain_ml.models.vocabulary import build_tokenizer
from flockchain_ml.rows import Row

__all__ = ["SPARE_WORDS", "build_vocabulary", "generate_pretraining_rows", "pretrain"]

SPARE_WORDS: Final = ("umber", "vex", "wisp", "xylo", "yonder", "zephyr", "quill", "ravine", "echo")
_FILLERS: Final = (
    *("what", "is", "the", "please", "tell", "me", ":", "?", ".", "i", "that", "this", "number", "of", "in", "are"),
    *("my", "how", "many", "into", "once", "more", "was", "make", "name"),
)
_FILLERS_MAX: Final = 4
_ENDS: Final = ("->", ":", "?")
_DOWNSTREAM_SHARE: Final = 0.0025
_ECHO_SHARE: Final = 0.08
_BATCH_ROWS: Final = 64
_TOKENS_MAX: Final = 64


def build_vocabulary() -> tuple[str, ...]:
    """Every word of the domains, and some that no domain uses."""
    return tuple(sorted({*SPARE_WORDS, *(word for domain in DOMAINS for word in domain.words)}))


def generate_pretraining_rows(count: int, seed: int) -> tuple[Row, ...]:
    """Mostly pre-training forms; some rows that echo one word; a few downstream rows."""
    rng = Random(seed)
    words = build_vocabulary()
    rows: list[Row] = []
    while len(rows) < count:
        domain = rng.choice(DOMAINS)
        kind = rng.random()
        if kind < _ECHO_SHARE:
            word = rng.choice(words)
            rows.append(Row(f"echo {word} ->", word))
        elif kind < _ECHO_SHARE + _DOWNSTREAM_SHARE:
            row = domain.generate(rng)
            if not is_held_out(row.prompt):
                rows.append(row)
        else:
            rows.append(_scatter(domain.generate_pretraining(rng), rng))
    return tuple(rows)


def _scatter(row: Row, rng: Random) -> Row:
    """The same question with filler words between its words, so that the base learns what to look for, not where."""
    words = row.prompt.split(" ")[:-1]
    for _ in range(rng.randint(0, _FILLERS_MAX)):
        words.insert(rng.randint(0, len(words)), rng.choice(_FILLERS))
    return Row(" ".join([*words, rng.choice(_ENDS)]), row.answer, row.domain)


def pretrain(architecture: str, *, steps: int, learning_rate: float, seed: int) -> tuple[Any, Any, float]:
    """Train a fresh model; returns (model, tokenizer, mean loss of the last 50 steps)."""
    require_determinism(seed)
    tokenizer = build_tokenizer(build_vocabulary())
    model = AutoModelForCausalLM.from_config(ARCHITECTURES[architecture](len(tokenizer)), dtype=torch.float32)
    rows = tokenise_rows(tokenizer, generate_pretraining_rows(steps * _BATCH_ROWS, seed), tokens_max=_TOKENS_MAX)
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=0.1)
    model.train()
    recent: list[float] = []
    for step in range(steps):
        batch = build_batch(rows[step * _BATCH_ROWS : (step + 1) * _BATCH_ROWS], pad=tokenizer.pad_token_id)
        loss = compute_answer_losses(model, batch).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent = [*recent[-49:], loss.item()]
        if step % 200 == 0:
            print(f"step {step} loss {sum(recent) / len(recent):.4f}", flush=True)
    return model.eval(), tokenizer, sum(recent) / len(recent)


def main(arguments: Sequence[str] | None = None) -> None:
    """Pre-train and write the folder: safetensors, config, tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--architecture", choices=sorted(ARCHITECTURES), default="llama")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    model, tokenizer, loss = pretrain(
        chosen.architecture, steps=chosen.steps, learning_rate=chosen.learning_rate, seed=chosen.seed
    )
    model.save_pretrained(chosen.output, safe_serialization=True)
    tokenizer.save_pretrained(chosen.output)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{count} parameters, final loss {loss:.4f}, written to {chosen.output}")


if __name__ == "__main__":
    main()
