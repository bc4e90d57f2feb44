"""The description of this machine's processor."""

from fer_jax.machine import processor


def test_a_cpu_is_named_by_its_first_model_name():
    text = "processor\t: 0\nmodel name\t: A: B\nflags\t\t: fpu\n\nmodel name\t: C\n"
    assert processor.model_name(text) == "A: B"
    assert processor.model_name("Features\t: fp bf16\n") is None
    assert processor.cpu_name()
