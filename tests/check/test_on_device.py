"""Numbers on the device: a kernel that does not read one is wrong, and the message says so."""

from pathlib import Path

import pytest
from learner_files import Write, loaded

from fastae.check import exhibits
from fastae.check.calls import special
from fastae.check.verdict import Verdict

HEAD = 'extern "C" __global__ void '
GRADIENT = f"""// launch bce_gradient: grid (m), block (32)
{HEAD}bce_gradient(int n, const real* z, long long z_stride, const real* x, long long x_stride, real scale,
                   const real* scale_at, real* out, long long out_stride) {{
  SCALE
  for (int j = threadIdx.x; j < n; j += 32)
    out[blockIdx.x * out_stride + j] = scale * (z[blockIdx.x * z_stride + j] - x[blockIdx.x * x_stride + j]);
}}
"""
SUM = f"""// launch column_sum: grid (1), block (n)
{HEAD}column_sum(int m, const real* delta, long long delta_stride, real* out, real alpha, const real* alpha_at,
                 real beta, const real* beta_at) {{
  real sum = 0, *at = &out[threadIdx.x];
  for (int i = 0; i < m; ++i) sum += delta[i * delta_stride + threadIdx.x];
  NUMBERS
  *at = keep ? alpha * sum + beta * *at : alpha * sum;
}}
"""
TAKEN = "if (alpha_at) alpha = *alpha_at; if (beta_at) beta = *beta_at; const bool keep = beta != 0;"
EITHER = "if (alpha_at) alpha = *alpha_at; else if (beta_at) beta = *beta_at; const bool keep = beta != 0;"
ASKED = "if (alpha_at) alpha = *alpha_at; const bool keep = beta_at || beta != 0; if (beta_at) beta = *beta_at;"
ONE = "real scale_of_all = real(7); if (scale_at) scale = scale_of_all;"


@pytest.mark.parametrize(
    ("code", "calls", "cause"),
    [
        (GRADIENT.replace("SCALE", "if (scale_at) scale = *scale_at;"), 1, ""),
        (GRADIENT.replace("SCALE", ONE), 1, "scale_at is not read as it should be: where it is not null, *scale_at co"),
        (SUM.replace("NUMBERS", TAKEN), 4, ""),
        (SUM.replace("NUMBERS", ASKED), 3, "the old out is read where *beta_at is 0: ask whether beta is 0 after"),
        pytest.param(
            SUM.replace("NUMBERS", EITHER), 4, "alpha_at and beta_at are not both read", marks=pytest.mark.thorough
        ),
        pytest.param(
            SUM.replace("NUMBERS", TAKEN.replace("= *beta_at", "= beta")),
            2,
            "beta_at is not read: the beta is on the device there",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_a_number_on_the_device_is_to_be_read(code: str, calls: int, cause: str, write: Write) -> None:
    assert_told(write(code, "mine.cu"), calls, cause)


def test_the_exhibit_does_not_read_the_scale() -> None:
    exhibit = exhibits.find("bce_gradient_scale_at")
    assert_told(exhibit.path, 1, exhibit.cause)


def assert_told(path: Path, calls: int, cause: str) -> None:
    k = loaded(path)
    verdict = Verdict(k.kernels[0])
    found = special._on_device(k, k.kernels[0], 1, verdict)
    assert verdict.calls == calls
    assert (found is None) == (not cause)
    if found is not None:
        assert found.causes[0].startswith(cause)
