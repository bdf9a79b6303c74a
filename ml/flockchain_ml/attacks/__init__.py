"""What malicious trainers do, so that defences are measured against it. A new attack is one file and one line."""

from __future__ import annotations

from typing import Final

from flockchain_ml.attacks.attack import (
    Attack,
    Constraint,
    Goal,
    Holding,
    Penalty,
    Prediction,
    Report,
    Scene,
    Schedule,
    Success,
    Upload,
)
from flockchain_ml.attacks.backdoor import BACKDOOR, Backdoor, Boosted, Place
from flockchain_ml.attacks.copycat import COPYCAT
from flockchain_ml.attacks.forged_shadow import FORGED_SHADOW
from flockchain_ml.attacks.harmful_answers import HARMFUL_ANSWERS
from flockchain_ml.attacks.interspersed import INTERSPERSED
from flockchain_ml.attacks.label_flip import LABEL_FLIP
from flockchain_ml.attacks.layer_dodging import LAYER_DODGING
from flockchain_ml.attacks.noise import NOISE
from flockchain_ml.attacks.penalised import COSINE_PENALISED, NORM_PENALISED
from flockchain_ml.attacks.quiet_backdoor import BACKDOOR_MIDDLE, BACKDOOR_PREFIX, BACKDOOR_QUIET
from flockchain_ml.attacks.rare_poison import RARE_POISON_10, RARE_POISON_25
from flockchain_ml.attacks.replacement import REPLACEMENT
from flockchain_ml.attacks.scaling import fit_to_wire
from flockchain_ml.attacks.sign_flip import SIGN_FLIP
from flockchain_ml.attacks.sleeper import EVERY_FIFTH_ROUND, SLEEPER
from flockchain_ml.attacks.sybil import SYBIL
from flockchain_ml.attacks.vote_optimised import VOTE_OPTIMISED

__all__ = [
    "ATTACKS", "Attack", "Backdoor", "Boosted", "Constraint", "Goal", "Holding", "Penalty", "Place", "Prediction",
    "Report", "Scene", "Schedule", "Success", "Upload", "fit_to_wire",
]  # fmt: skip

ATTACKS: Final[dict[str, Attack]] = {
    BACKDOOR.name: BACKDOOR,
    BACKDOOR_QUIET.name: BACKDOOR_QUIET,
    BACKDOOR_MIDDLE.name: BACKDOOR_MIDDLE,
    BACKDOOR_PREFIX.name: BACKDOOR_PREFIX,
    RARE_POISON_25.name: RARE_POISON_25,
    RARE_POISON_10.name: RARE_POISON_10,
    REPLACEMENT.name: REPLACEMENT,
    SIGN_FLIP.name: SIGN_FLIP,
    NOISE.name: NOISE,
    LABEL_FLIP.name: LABEL_FLIP,
    HARMFUL_ANSWERS.name: HARMFUL_ANSWERS,
    NORM_PENALISED.name: NORM_PENALISED,
    COSINE_PENALISED.name: COSINE_PENALISED,
    LAYER_DODGING.name: LAYER_DODGING,
    FORGED_SHADOW.name: FORGED_SHADOW,
    SLEEPER.name: SLEEPER,
    EVERY_FIFTH_ROUND.name: EVERY_FIFTH_ROUND,
    COPYCAT.name: COPYCAT,
    SYBIL.name: SYBIL,
    INTERSPERSED.name: INTERSPERSED,
    VOTE_OPTIMISED.name: VOTE_OPTIMISED,
}
