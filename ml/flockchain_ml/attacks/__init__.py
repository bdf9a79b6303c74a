"""What malicious trainers do, so that defences are measured against it. A new attack is one file and one line."""

from __future__ import annotations

from typing import Final

from flockchain_ml.attacks.attack import Attack
from flockchain_ml.attacks.backdoor import SuffixBackdoor
from flockchain_ml.attacks.label_flip import LabelFlip
from flockchain_ml.attacks.sign_flip import SignFlip

__all__ = ["ATTACKS", "Attack", "LabelFlip", "SignFlip", "SuffixBackdoor"]

ATTACKS: Final[dict[str, Attack]] = {
    SuffixBackdoor.name: SuffixBackdoor(),
    SignFlip.name: SignFlip(),
    LabelFlip.name: LabelFlip(),
}
