"""``benchmarks/gpu.py``, the command for the day there is a GPU: rehearsed on the emulator."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastae.backends.emulator import device
from fastae.errors import BackendUnavailable, InputError

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the command's modules importable."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    from gpu_parts import cublas, rehearsal, report

    return {"cublas": cublas, "rehearsal": rehearsal, "report": report}


@pytest.mark.parametrize(("trans_a", "trans_b"), list(itertools.product([False, True], repeat=2)))
def test_cublas_gets_its_operands_in_columns(parts: Any, trans_a: bool, trans_b: bool) -> None:
    """Blocks of larger matrices, so that a width taken for a stride would be seen."""
    rng = np.random.default_rng(0)
    gemm = parts["cublas"].make_gemm(None, device, rehearsal=True)
    for m, k, n in ((3, 5, 7), (1, 4, 2), (6, 1, 1)):
        shapes = (k, m) if trans_a else (m, k), (n, k) if trans_b else (k, n), (m, n)
        a, b, out = (device.array(rng.normal(size=(r, c + 3)).astype("f"))[:, 1 : c + 1] for r, c in shapes)
        A, B, old = np.array(a.T if trans_a else a), np.array(b.T if trans_b else b), np.array(out)
        gemm(a, b, out, trans_a, trans_b, -0.5, 2.0)
        np.testing.assert_allclose(np.asarray(out), -0.5 * A @ B + 2 * old, rtol=1e-5, atol=1e-5)
        out[:] = np.nan
        gemm(a, b, out, trans_a, trans_b)
        np.testing.assert_allclose(np.asarray(out), A @ B, rtol=1e-5, atol=1e-5)
    with pytest.raises(InputError, match="matmul: "):
        gemm(a, b, b)


def test_what_cublas_refuses_is_told(parts: Any) -> None:
    library = parts["rehearsal"].cublas()
    library.cublasSetMathMode = lambda handle, mode: 7
    with pytest.raises(BackendUnavailable, match="cublasSetMathMode of cuBLAS failed with status 7"):
        parts["cublas"].Gemm(0, device.array(np.zeros(4, np.uint8)), library=library)


def test_the_whole_command_works(tmp_path: Path, parts: Any) -> None:
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--rehearse", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["rehearsal"]
    assert len(found["checks"]) > 15
    assert all(check["ok"] for check in found["checks"]), found["checks"]
    ours = [name for name in parts["report"].CONTENDERS if name.startswith("fastae")]
    assert set(ours) <= set(found["times"])
    for name in set(parts["report"].CONTENDERS) - set(ours):  # PyTorch and JAX may be missing, and are told then
        assert name in found["times"] or "No module named" in found["failed"][name]
    assert {row["product"] for row in found["products"]} >= {"forward 0", "update 3", "backward 1"}
    assert (tmp_path / "gpu.md").read_text() in done.stdout + "\n"
    assert (tmp_path / "gpu.png").stat().st_size > 10_000


def test_a_wrong_kernel_is_told_and_the_status_says_so(parts: Any) -> None:
    found = {
        "device": "d", "versions": "v", "when": "w", "rehearsal": False, "sizes": [16], "limits": {}, "products": [],
        "training": [], "times": {}, "failed": {}, "notes": [],
        "checks": [{"check": "products", "ok": False, "detail": "largest error 2.000 of the bound"}],
    }  # fmt: skip
    assert "| products | **WRONG** | largest error 2.000 of the bound |" in parts["report"].markdown(found)


def test_the_fastest_of_ours_is_compared_with_the_fastest_peer_of_its_precision(parts: Any) -> None:
    times = {"fastae captured": 30.0, "fastae persistent": 20.0, "PyTorch eager": 300.0, "JAX, scan": 80.0}
    times |= {"fastae captured, TF32": 10.0, "JAX, scan, TF32": 40.0}
    limits = {"flops": 60e12, "bytes": 3e12, "launch": 2.0, "node": 1.0, "barrier": 1.0}
    found = {"sizes": [128], "limits": limits, "times": {name: {"128": {"us": t}} for name, t in times.items()}}
    flops, size = parts["report"].step_cost(128)
    assert flops == 2 * 128 * 1_200_128
    assert size == 2 * 4 * (466_944 + 1_424) + 784 * 128
    float32, tf32 = parts["report"].ratios(found)
    assert float32.startswith("- Batch 128, float32: fastae persistent takes 0.25 of JAX, scan, and PyTorch eager 15.0")
    assert float32.endswith("26% of the limit in multiply-adds, 6% in bytes.")
    assert tf32 == "- Batch 128, TF32: fastae captured, TF32 takes 0.25 of JAX, scan, TF32."


def test_without_a_gpu_it_says_so_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 2
    assert done.stderr.startswith("gpu.py: the backend 'cupy' cannot run here: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
