import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource
import numpy as np
from fer_jax.training.host import keep_freed_memory

assert keep_freed_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(10_000_000)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc can be configured to keep memory"
)
def test_freed_memory_is_reused_without_page_faults():
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100  # 80 MB are 20,000 pages
