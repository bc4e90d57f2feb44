import pytest

from fer_jax.config import OptimConfig
from fer_jax.training.batch_rule import fitted_to_batch
from tests.factories import short_config


@pytest.mark.parametrize(("name", "growth"), [("sgd", 8), ("adamw", 8**0.5), ("muon", 8**0.5)])
def test_settings_are_scaled_to_eight_times_the_batch(name, growth):
    config = short_config(batch_size=1024, optim__name=name, optim__reference_batch=128)
    fitted = fitted_to_batch(config)
    was = OptimConfig()
    assert fitted.optim.learning_rate == pytest.approx(growth * was.learning_rate)
    # An epoch has an eighth of the steps, each of which decays by the rate times this.
    rate = fitted.optim.learning_rate * fitted.optim.muon_factor
    assert rate * fitted.optim.weight_decay / 8 == pytest.approx(
        was.learning_rate * was.weight_decay
    )
    assert fitted.ema_decay == pytest.approx(config.ema_decay**8)
    assert fitted_to_batch(fitted) == fitted


@pytest.mark.parametrize(
    ("batch", "momentum"),
    [
        (32, 0.975),
        (128 * 4, 0.9),
        (128 * 16, 0.8),
        (128 * 900, 0.0),
    ],
)
def test_muons_rate_grows_with_the_batch_and_its_momentum_forgets_faster_by_the_root(
    batch, momentum
):
    config = short_config(batch_size=batch, optim__name="muon", optim__reference_batch=128)
    fitted = fitted_to_batch(config).optim
    was = OptimConfig()
    rate = fitted.learning_rate * fitted.muon_factor
    assert rate == pytest.approx(batch / 128 * was.learning_rate)
    assert fitted.muon_momentum == pytest.approx(momentum, abs=1e-9)
    assert fitted.learning_rate == pytest.approx((batch / 128) ** 0.5 * was.learning_rate)


def test_the_reference_batch_itself_changes_no_setting():
    plain = short_config(batch_size=128)
    assert fitted_to_batch(short_config(batch_size=128, optim__reference_batch=128)) == plain
    assert fitted_to_batch(plain) == plain
