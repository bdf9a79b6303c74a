"""What attackers upload instead of what they trained."""

from __future__ import annotations

from random import Random

import numpy as np

from flockchain.exact import compute_copied_index, decode_update
from flockchain.primitives.learning import AdapterMode
from flockchain_ml.attacks import ATTACKS, Prediction, Scene, fit_to_wire
from flockchain_ml.attacks.copycat import Copy
from flockchain_ml.attacks.replacement import Replacement
from flockchain_ml.tensors import Adapter, decode_adapter, encode_adapter
from tests.kit.learning import build_adapter, build_update

SPEC = build_adapter()
HONEST = decode_adapter(build_update(SPEC, 1), SPEC)
NAMES = tuple(HONEST.b)


def build_scene(**fields: object) -> Scene:
    return Scene(**{"spec": SPEC, "round": 0, "rng": Random(1), **fields})  # type: ignore[arg-type]


def poison(name: str, **fields: object) -> Adapter:
    return ATTACKS[name].poison_update(HONEST, build_scene(**fields))


def test_scaled_replacement_is_n_over_eta_times_the_update_so_that_the_mean_is_the_attackers() -> None:
    sent = poison("replacement", trainers=6)
    for name in NAMES:
        np.testing.assert_allclose(sent.b[name] / 6, HONEST.b[name], rtol=1e-6)
    halved = Replacement(server_rate=0.5).poison_update(HONEST, build_scene(trainers=6))
    np.testing.assert_allclose(halved.b[NAMES[0]], 12 * HONEST.b[NAMES[0]], rtol=1e-6)
    guessed = poison("replacement")
    np.testing.assert_allclose(guessed.b[NAMES[0]], 10 * HONEST.b[NAMES[0]], rtol=1e-6)


def test_the_boosted_backdoor_doubles_and_the_quiet_one_does_not() -> None:
    np.testing.assert_array_equal(poison("backdoor").b[NAMES[0]], 2 * HONEST.b[NAMES[0]])
    assert poison("backdoor-quiet") is HONEST


def test_sign_flip_sends_the_opposite() -> None:
    np.testing.assert_array_equal(poison("sign-flip").b[NAMES[0]], -HONEST.b[NAMES[0]])


def test_noise_says_nothing_of_the_update_but_its_length() -> None:
    sent, other = poison("noise"), poison("noise", rng=Random(2))
    flat = np.concatenate([sent.b[name].ravel() for name in NAMES])
    honest = np.concatenate([HONEST.b[name].ravel() for name in NAMES])
    assert 5 < np.linalg.norm(flat) / np.linalg.norm(honest) < 20
    assert not np.array_equal(sent.b[NAMES[0]], other.b[NAMES[0]])


def test_a_copycat_sends_another_trainers_update_changed_just_enough() -> None:
    for spec in (SPEC, build_adapter(AdapterMode.STACK)):
        visible = build_update(spec, 7)
        original = decode_update(visible, spec)
        own = decode_adapter(build_update(spec, 1), spec)
        for jitter, copied in ((0.25, None), (0.05, 0)):
            scene = build_scene(spec=spec, visible=(visible,))
            sent = decode_update(encode_adapter(Copy(jitter).poison_update(own, scene), spec), spec)
            assert compute_copied_index(spec, [original], sent) == copied
            flat, wanted = (np.concatenate([part[name].ravel() for name in sorted(part)]) for part in (sent, original))
            cosine = np.dot(flat / np.linalg.norm(flat), wanted / np.linalg.norm(wanted))
            assert cosine > 0.9
    assert ATTACKS["copycat"].poison_update(HONEST, build_scene()) is HONEST  # nobody to copy


def test_the_norm_is_clipped_to_the_predicted_one_and_never_raised() -> None:
    long, short = (
        Prediction(HONEST, {f"{name}.lora_B": factor * HONEST.b[name] for name in NAMES}, {}) for factor in (3.0, 0.5)
    )
    assert poison("norm-penalised", prediction=long) is HONEST
    np.testing.assert_allclose(
        poison("norm-penalised", prediction=short).b[NAMES[0]], 0.5 * HONEST.b[NAMES[0]], rtol=1e-5
    )


def test_an_update_that_fits_the_wire_is_left_alone_and_another_is_shortened_in_its_own_direction() -> None:
    assert fit_to_wire(HONEST, SPEC) is HONEST
    huge = Adapter(HONEST.a, {name: 1e6 * values for name, values in HONEST.b.items()})
    fitted = fit_to_wire(huge, SPEC)
    decoded = decode_adapter(encode_adapter(fitted, SPEC), SPEC)
    flat, wanted = (np.concatenate([part.b[name].ravel() for name in NAMES]) for part in (decoded, HONEST))
    assert np.dot(flat, wanted) / np.linalg.norm(flat) / np.linalg.norm(wanted) > 0.999
