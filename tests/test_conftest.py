"""--no-skips sees each way in which a test can be left out, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")

WAYS_TO_LEAVE_OUT = {
    "skip": "import pytest\ndef test_one():\n    pytest.skip('why')\n",
    "mark": "import pytest\n@pytest.mark.skip(reason='why')\ndef test_one(): ...\n",
    "xfail": "import pytest\n@pytest.mark.xfail\ndef test_one():\n    assert False\n",
    "module": "import pytest\npytest.importorskip('no_such_module_anywhere')\ndef test_one(): ...\n",
}


def run_pytest(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_sample.py").write_text("def test_that_passes(): ...\n" + source)
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(folder), "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *options, str(folder)],
        env={**os.environ, "PYTEST_ADDOPTS": ""},  # the options of the run around this one are not its own
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.parametrize("source", WAYS_TO_LEAVE_OUT.values(), ids=WAYS_TO_LEAVE_OUT.keys())
def test_no_skips_fails_a_run_that_leaves_a_test_out(tmp_path: Path, source: str) -> None:
    assert run_pytest(tmp_path, source).returncode in {0, pytest.ExitCode.NO_TESTS_COLLECTED}
    refused = run_pytest(tmp_path, source, "--no-skips")
    assert refused.returncode != 0
    assert "--no-skips allows none" in refused.stdout


@pytest.mark.slow
def test_no_skips_sees_through_worker_processes(tmp_path: Path) -> None:
    refused = run_pytest(tmp_path, WAYS_TO_LEAVE_OUT["xfail"], "--no-skips", "-n", "1")
    assert refused.returncode != 0
    assert "1 failed, 1 passed" in refused.stdout


@pytest.mark.slow
def test_no_skips_passes_a_run_that_leaves_nothing_out(tmp_path: Path) -> None:
    assert run_pytest(tmp_path, "", "--no-skips").returncode == 0
