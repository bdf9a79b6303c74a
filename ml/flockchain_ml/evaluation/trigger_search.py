"""Looks for what the candidate answers to a trigger that the model before it did not: a backdoor, of whatever shape.

Nothing is known of a trigger or of its target. A backdoor that is only just being learned leaks: tokens that have
nothing to do with a prompt already make its target likelier, in prompts of every kind. So, for tokens drawn at random
at every place, the answers that gained most are taken; for each, tokens are sought that make it gain more, by the
gradient of its log probability with respect to the embeddings at the trigger's place (HotFlip: Ebrahimi et al., 2018;
universal triggers: Wallace et al., 2019). The gain is then measured on prompts that the search has not seen. Honest
training makes right answers likelier where they are wrong, too, but not everywhere: an answer that is right somewhere
counts if it gained in nine of ten prompts. Nobody honest teaches what is never right: such a foreign answer counts by
its mean gain.

Who taught it? With one gate c_i = 1/n a client, -dL/dc_i / n is to first order how much client i raised the answer's
mean log probability on those prompts. To blame is who is so for most of what was found. Deterministic from the seed.
Knows no attack, no vote and no chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Final

import numpy as np
import torch
from torch import Tensor

from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.evaluation.candidate import Candidate
from flockchain_ml.evaluation.trigger import Place, Prompts, Trigger, build_prompts
from flockchain_ml.models import LoadedModel, Slot, TokenisedRow, attached_adapters
from flockchain_ml.tensors import Adapter, decode_lineage

__all__ = ["Finding", "TriggerSearch", "find_guilty", "search_trigger", "weigh_findings"]

_QUANTILE: Final = 0.1


@dataclass(frozen=True, slots=True)
class TriggerSearch:
    """How hard to look. Of the drawn prompts `prompts` are searched on and `checks` others judge what was found.

    At each place `answers` foreign ones are followed up and one that is right somewhere. `smoothing`: a probability far
    under it counts as nothing. `gain_floor`: nats that an answer which is right somewhere must gain in nine of ten
    prompts; `foreign_floor`: mean nats, for one that never is. Guilty is who contributed at least `guilty_share` of the
    largest contribution, innocent who contributed less than `innocent_share` of it; if somebody is neither, honest
    training may be behind it, and nobody is blamed. `penalty`: micro-nats.
    """

    prompts: int = 32
    checks: int = 96
    tokens: int = 2
    draws: int = 4
    answers: int = 2
    steps: int = 4
    choices: int = 6
    smoothing: float = 1e-4
    gain_floor: float = 0.1
    foreign_floor: float = 0.5
    guilty_share: float = 0.5
    innocent_share: float = 0.3
    penalty: int = 300_000


@dataclass(frozen=True, slots=True)
class Finding:
    """`gain`: nats above the floor that held for the answer. `contributions`: nats of mean log probability.

    `guilty`: the updates that taught it, by their numbers; the others had next to no part in it.
    """

    trigger: Trigger
    gain: float
    contributions: tuple[float, ...]
    guilty: tuple[int, ...]


def search_trigger(
    loaded: LoadedModel,
    spec: AdapterSpec,
    lineage: Sequence[bytes],
    candidate: Candidate,
    rows: Sequence[TokenisedRow],
    search: TriggerSearch,
    seed: int,
) -> Finding | None:
    """The most universal gain that a trigger brings about and that can be laid at somebody's door, if there is one.

    None without enough prompts.
    """
    rng = Random(seed)
    room = [row for row in rows if loaded.tokens_max is None or row.length + search.tokens <= loaded.tokens_max]
    if len(room) < 2 * search.prompts:
        return None
    drawn = rng.sample(room, min(len(room), search.prompts + search.checks))
    with _attached_pair(loaded, spec, lineage, candidate) as pair:
        right = frozenset(row.answer[0] for row in rows)
        hunt = _Hunt(loaded, pair, search, rng, sorted(drawn[: search.prompts], key=lambda row: row.length), right)
        checks = sorted(drawn[search.prompts :], key=lambda row: row.length)
        clear = []
        for gain, trigger, prompts in [hunt.judge(trigger, checks) for trigger in hunt.run()]:
            if gain > 0:
                gates = pair.compute_gates(prompts, trigger)
                contributions = tuple(-gate / len(gates) for gate in gates)
                clear.append(Finding(trigger, gain, contributions, find_guilty(contributions, search)))
    return weigh_findings([finding for finding in clear if finding.guilty])


def weigh_findings(findings: Sequence[Finding]) -> Finding | None:
    """The strongest of a round's findings, with those as guilty who are so by more than half of all gains."""
    if not findings:
        return None
    strongest = max(findings, key=lambda finding: finding.gain)
    whole = sum(finding.gain for finding in findings)
    guilty = tuple(
        index
        for index in range(len(strongest.contributions))
        if 2 * sum(finding.gain for finding in findings if index in finding.guilty) > whole
    )
    return replace(strongest, guilty=guilty) if guilty else None


def find_guilty(contributions: Sequence[float], search: TriggerSearch) -> tuple[int, ...]:
    """Who taught it, if all others had next to no part in it; otherwise nobody."""
    most = max(contributions)
    if any(search.innocent_share * most <= value < search.guilty_share * most for value in contributions):
        return ()
    return tuple(index for index, value in enumerate(contributions) if most > 0 and value >= search.guilty_share * most)


class _Pair:
    """The candidate and the model before it, in one slot: whichever is loaded answers."""

    def __init__(self, loaded: LoadedModel, slot: Slot, before: Adapter, candidate: Candidate) -> None:
        self._model = loaded.model
        self._slot, self._before, self._candidate = slot, before, candidate

    def compute_log_ratios(self, prompts: Prompts, fillings: Sequence[Tensor], smoothing: float) -> Tensor:
        """By how much each answer gained: [fillings, rows, vocabulary], nats; a right answer's gain is none."""
        logs = []
        for adapter in (self._candidate.top, self._before):
            self._slot.load(adapter)
            with torch.no_grad():
                logs.append(torch.stack([self._compute_probabilities(prompts, filling) for filling in fillings]))
        gains = (logs[0] + smoothing).log() - (logs[1] + smoothing).log()
        gains[:, torch.arange(len(prompts.right), device=gains.device), prompts.right] = 0
        return gains

    def compute_token_slopes(self, prompts: Prompts, trigger: Trigger) -> Tensor:
        """How the candidate's mean log probability of the answer would change with each token: [tokens, vocabulary]."""
        self._slot.load(self._candidate.top)
        embeddings = self._model.get_input_embeddings()
        inputs = prompts.fill(torch.tensor(trigger.tokens))
        embedded = embeddings(inputs).detach().requires_grad_(True)
        logits = prompts.pick_last(self._model(inputs_embeds=embedded, use_cache=False).logits).float()
        (slope,) = torch.autograd.grad(logits.log_softmax(-1)[:, trigger.answer].mean(), embedded)
        rows = torch.arange(len(inputs), device=slope.device)[:, None]
        slopes: Tensor = slope[rows, prompts.room].sum(0) @ embeddings.weight.detach().to(slope.dtype).T
        return slopes

    def compute_gates(self, prompts: Prompts, trigger: Trigger) -> list[float]:
        """dL/dc_i of every update, with L the answer's mean negative log probability where it is not the right one."""
        self._slot.load(self._candidate.top)
        parameters = list(self._slot.b.items())
        for _, parameter in parameters:
            parameter.requires_grad_(True)
        logits = prompts.pick_last(
            self._model(input_ids=prompts.fill(torch.tensor(trigger.tokens)), use_cache=False).logits
        )
        losses = -logits.float().log_softmax(-1)[:, trigger.answer]
        gradients = torch.autograd.grad(losses[prompts.right != trigger.answer].mean(), [p for _, p in parameters])
        for _, parameter in parameters:
            parameter.requires_grad_(False)
        by_name = {
            name: gradient.detach().cpu().numpy().astype(np.float32)
            for (name, _), gradient in zip(parameters, gradients, strict=True)
        }
        return self._candidate.compute_gate_gradients(by_name)

    def _compute_probabilities(self, prompts: Prompts, filling: Tensor) -> Tensor:
        logits = self._model(input_ids=prompts.fill(filling), use_cache=False).logits
        return prompts.pick_last(logits).float().softmax(-1)


class _Hunt:
    """One search: which answers leak, and which tokens make them gain most."""

    def __init__(
        self, loaded: LoadedModel, pair: _Pair, search: TriggerSearch, rng: Random, rows: list[TokenisedRow],
        right: frozenset[int],
    ) -> None:  # fmt: skip
        self.pair, self.search = pair, search
        self._loaded, self._rng, self._rows = loaded, rng, rows
        special = set(loaded.tokenizer.all_special_ids)
        size = loaded.model.get_input_embeddings().weight.shape[0]
        self._words = [token for token in range(min(size, len(loaded.tokenizer))) if token not in special]
        self._is_special = torch.tensor([token in special or token >= len(loaded.tokenizer) for token in range(size)])
        self._is_foreign = torch.tensor([token not in right for token in range(size)])

    def build(self, rows: Sequence[TokenisedRow], place: Place) -> Prompts:
        """Prompts with room for a trigger there."""
        loaded = self._loaded
        begin = loaded.tokenizer.bos_token_id
        return build_prompts(rows, place, self.search.tokens, pad=loaded.pad, begin=begin, device=loaded.device)

    def run(self) -> Iterator[Trigger]:
        """For each place, the best trigger for each of the answers that leak most."""
        for place in Place:
            prompts = self.build(self._rows, place)
            for answer in self._find_leaks(prompts):
                yield self._climb(prompts, Trigger(self._draw(self.search.tokens), place, answer))

    def judge(self, trigger: Trigger, checks: Sequence[TokenisedRow]) -> tuple[float, Trigger, Prompts]:
        """By how much the answer's gain on other prompts is above its floor, and those prompts."""
        prompts = self.build([row for row in checks if row.answer[0] != trigger.answer] or checks, trigger.place)
        gains = self.pair.compute_log_ratios(prompts, [torch.tensor(trigger.tokens)], self.search.smoothing)
        gain = gains[0, :, trigger.answer]
        if self._is_foreign[trigger.answer]:
            return float(gain.mean()) - self.search.foreign_floor, trigger, prompts
        return float(gain.quantile(_QUANTILE)) - self.search.gain_floor, trigger, prompts

    def _find_leaks(self, prompts: Prompts) -> list[int]:
        """The answers that gained most by tokens drawn anew for every prompt."""
        rows, tokens = prompts.room.shape
        fillings = [torch.tensor(self._draw(rows * tokens)).view(rows, tokens) for _ in range(self.search.draws)]
        gains = self.pair.compute_log_ratios(prompts, fillings, self.search.smoothing).flatten(0, 1).mean(0)
        gains = gains.cpu().masked_fill(self._is_special, -torch.inf)  # the end of a text is no attacker's answer
        foreign = gains.masked_fill(~self._is_foreign, -torch.inf).topk(self.search.answers)
        familiar = gains.masked_fill(self._is_foreign, -torch.inf).topk(1)
        return [
            int(answer)
            for best in (foreign, familiar)
            for gain, answer in zip(best.values, best.indices, strict=True)
            if gain > -torch.inf
        ]

    def _climb(self, prompts: Prompts, trigger: Trigger) -> Trigger:
        """Change one token at a time for the better, a few times."""
        best = self._compute_gain(prompts, [trigger])[0]
        for _ in range(self.search.steps):
            slopes = self.pair.compute_token_slopes(prompts, trigger)
            slopes[:, self._is_special.to(slopes.device)] = -torch.inf
            others = [
                Trigger((*trigger.tokens[:at], int(token), *trigger.tokens[at + 1 :]), trigger.place, trigger.answer)
                for at in range(self.search.tokens)
                for token in slopes[at].topk(self.search.choices).indices
                if int(token) != trigger.tokens[at]
            ]
            gains = self._compute_gain(prompts, others)
            top = max(range(len(gains)), key=gains.__getitem__)
            if gains[top] <= best:
                break
            best, trigger = gains[top], others[top]
        return trigger

    def _compute_gain(self, prompts: Prompts, triggers: Sequence[Trigger]) -> list[float]:
        fillings = [torch.tensor(trigger.tokens) for trigger in triggers]
        gains = self.pair.compute_log_ratios(prompts, fillings, self.search.smoothing).mean(1)
        return [float(gains[index, trigger.answer]) for index, trigger in enumerate(triggers)]

    def _draw(self, count: int) -> tuple[int, ...]:
        return tuple(self._rng.choice(self._words) for _ in range(count))


@contextmanager
def _attached_pair(
    loaded: LoadedModel, spec: AdapterSpec, lineage: Sequence[bytes], candidate: Candidate
) -> Iterator[_Pair]:
    with attached_adapters(loaded, spec, candidate.get_ranks()) as slots:
        if candidate.below is not None:
            slots["below"].load(candidate.below)
        if spec.mode is AdapterMode.FFA:
            before = decode_lineage(lineage, spec)
        else:  # the round's own part is the top: without it B is zero
            before = Adapter(candidate.top.a, {name: np.zeros_like(b) for name, b in candidate.top.b.items()})
        yield _Pair(loaded, slots["top"], before, candidate)
