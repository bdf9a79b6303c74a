"""The textbook training of one honest client: peft, padded batches, AdamW. A reference for results and speed."""

from __future__ import annotations

from random import Random

import torch

from flockchain.primitives.learning import AdapterMode
from flockchain_ml.data import compute_seed
from flockchain_ml.models import LoadedModel, attached_adapters, build_batch, compute_answer_losses, tokenise_rows
from flockchain_ml.tensors import Adapter, decode_lineage, decode_start, encode_adapter
from flockchain_ml.trainer import TrainedUpdate, TrainOrder

__all__ = ["train_plainly"]


def train_plainly(loaded: LoadedModel, order: TrainOrder) -> TrainedUpdate:
    """What `train_update` gives, but for float noise; no attack, no correction."""
    spec, settings = order.spec, order.settings
    is_ffa = spec.mode is AdapterMode.FFA
    start = decode_lineage(order.lineage, spec) if is_ffa else decode_start(spec, order.round)
    ranks = {"trainee": spec.rank}
    below = None if is_ffa or not order.lineage else decode_lineage(order.lineage, spec)
    if below is not None:
        ranks["below"] = below.rank
    rows = tokenise_rows(loaded.tokenizer, order.rows, tokens_max=loaded.tokens_max)
    rng, waiting, losses = Random(compute_seed(order.seed, "order")), [], []
    with attached_adapters(loaded, spec, ranks) as slots:
        if below is not None:
            slots["below"].load(below)
        slot = slots["trainee"]
        slot.load(start)
        parameters = [*slot.b.values(), *(() if is_ffa else slot.a.values())]
        for parameter in parameters:
            parameter.requires_grad_(True)
        optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        for step in range(settings.steps):
            while len(waiting) < settings.batch_rows:
                waiting += rng.sample(range(len(rows)), len(rows))
            drawn, waiting = waiting[: settings.batch_rows], waiting[settings.batch_rows :]
            loss = compute_answer_losses(
                loaded.model, build_batch([rows[index] for index in drawn], pad=loaded.pad, device=loaded.device)
            ).mean()
            losses.append(float(loss.item()))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, settings.gradient_norm_max)
            optimiser.param_groups[0]["lr"] = settings.learning_rate * (1 - step / settings.steps)
            optimiser.step()
        trained = slot.read()
    if is_ffa:
        trained = Adapter(trained.a, {name: values - start.b[name] for name, values in trained.b.items()})
    return TrainedUpdate(encode_adapter(trained, spec), tuple(losses))
