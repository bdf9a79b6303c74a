"""Student's intervals, against the distribution itself."""

from __future__ import annotations

from math import gamma, pi, sqrt

import numpy as np
import pytest

from flockchain.primitives.errors import InvariantBroken
from flockchain_ml.experiments.intervals import compute_interval, get_quantile


@pytest.mark.parametrize("freedom", [*range(1, 31), 40, 60, 120])
def test_a_quantile_holds_95_percent_of_its_distribution(freedom: int) -> None:
    scale = gamma((freedom + 1) / 2) / (sqrt(freedom * pi) * gamma(freedom / 2))
    places = np.linspace(-get_quantile(freedom), get_quantile(freedom), 200_001)
    density = scale * (1 + places**2 / freedom) ** (-(freedom + 1) / 2)
    assert np.trapezoid(density, places) == pytest.approx(0.95, abs=1e-4)


def test_between_the_tables_lines_the_interval_is_the_wider_one() -> None:
    assert get_quantile(35) == get_quantile(30)
    assert get_quantile(59) == get_quantile(40)
    assert get_quantile(10_000) == get_quantile(120)


def test_five_seeds_have_a_mean_and_its_interval() -> None:
    found = compute_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.mean, found.count) == (3.0, 5)
    assert found.half == pytest.approx(2.776 * sqrt(2.5 / 5))
    assert found.format(1) == "3.0 ± 2.0"


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    assert compute_interval([0.25]).half is None
    assert compute_interval([0.25]).format(2) == "0.25"
    with pytest.raises(InvariantBroken):
        compute_interval([])
