"""The compiler's cache, its options, and the count of late compilations."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.inference import compilation
from fer_jax.inference.compilation import CompileCounter, compile_inference, use_private_cache


def test_a_late_compilation_is_counted_for_the_thread_that_caused_it():
    counter = CompileCounter()
    row = jnp.arange(3.0)
    with counter:
        elsewhere = threading.Thread(target=lambda: jax.jit(lambda x: x * 3 + 1)(row))
        elsewhere.start()
        elsewhere.join()
        assert counter.count == 0
        jax.jit(lambda x: x * 5 + 1)(row)
    assert counter.count == 1


def test_compiled_programs_are_kept_in_a_private_folder(tmp_path, monkeypatch):
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    monkeypatch.setenv("FER_CACHE_DIR", str(tmp_path))
    (tmp_path / "xla").mkdir(mode=0o777)
    assert use_private_cache() is None  # the tests use a separate cache
    try:
        jax.config.update(names[0], None)
        folder = use_private_cache()
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
    assert folder == tmp_path / "xla"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_unknown_option_of_the_compiler_is_left_out(monkeypatch):
    lowered = jax.jit(lambda x: x + 1).lower(np.float32(1))
    assert compile_inference(lowered, platform="cpu")(np.float32(1)) == 2
    monkeypatch.setattr(compilation, "_CPU_OPTIONS", {"xla_cpu_nonsense": ""})
    assert compile_inference(lowered, platform="cpu")(np.float32(1)) == 2
    monkeypatch.setattr(
        compilation, "_CPU_OPTIONS", dict.fromkeys(compilation._CPU_OPTIONS, "NONSENSE")
    )
    assert compile_inference(lowered, platform="cpu")(np.float32(1)) == 2
    monkeypatch.setattr(compilation, "_CPU_OPTIONS", {"xla_cpu_multi_thread_eigen": "maybe"})
    with pytest.raises(jax.errors.JaxRuntimeError):
        compile_inference(lowered, platform="cpu")
