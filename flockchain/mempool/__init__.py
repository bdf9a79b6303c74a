"""What waits for a block: extrinsics (`pool`) and the items of the learning section (`learning_pool`)."""

from flockchain.mempool.learning_pool import (
    Judgement,
    LearningPool,
    LearningPoolFull,
    LearningPoolLimits,
    Signatory,
)
from flockchain.mempool.pool import (
    AlreadyPooled,
    NonceTooFar,
    Pool,
    PoolableExtrinsic,
    PoolFull,
    PoolLimits,
    SenderFull,
    StaleNonce,
    Underpriced,
)

__all__ = [
    "AlreadyPooled", "Judgement", "LearningPool", "LearningPoolFull", "LearningPoolLimits", "NonceTooFar", "Pool",
    "PoolFull", "PoolLimits", "PoolableExtrinsic", "SenderFull", "Signatory", "StaleNonce", "Underpriced",
]  # fmt: skip
