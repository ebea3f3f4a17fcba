"""A learner's sum in memory that several threads or blocks share: a lost update is named."""

import pytest
from learner_files import Write, loaded
from sampling import sample

from fastae.check import verdict
from fastae.check.calls import special

COLUMN_SUM = """// launch column_sum: grid ({blocks}), block ({threads})
__device__ unsigned come = 0;
__device__ void set(float* at, float x) {{ atomicExch(at, x); }}
__device__ void set(double* at, double x) {{ atomicExch((unsigned long long*)at, __double_as_longlong(x)); }}
__device__ bool set_if(float* at, float old, float x) {{
  return atomicCAS((unsigned*)at, __float_as_uint(old), __float_as_uint(x)) == __float_as_uint(old);
}}
__device__ bool set_if(double* at, double old, double x) {{
  return atomicCAS((unsigned long long*)at, __double_as_longlong(old), __double_as_longlong(x)) ==
         __double_as_longlong(old);
}}
extern "C" __global__ void column_sum(int m, int n, const real* delta, long long delta_stride, real* out, real alpha,
                                      const real* alpha_at, real beta, const real* beta_at) {{
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  {body}
}}
"""
FIRST = "set(out + col, beta == real(0) ? real(0) : beta * out[col]);"
PARTS = {  # who sums what: the threads of a block, or blocks that wait for the first
    "threads": (
        "ceil(n / 16)",
        "16, 8",
        f"""const int col = blockIdx.x * 16 + threadIdx.x;
  if (threadIdx.y == 0 && col < n) {FIRST}
  __syncthreads();
  if (col >= n) return;
  real sum = 0;
  for (int row = threadIdx.y; row < m; row += 8) sum += alpha * delta[row * delta_stride + col];
  ADD""",
    ),
    "blocks": (
        "1, 4",
        "64",
        f"""if (blockIdx.y == 0) {{
    for (int col = threadIdx.x; col < n; col += 64) {FIRST}
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) atomicExch(&come, 1u);
  }}
  while (*(volatile unsigned*)&come == 0) {{}}
  __threadfence();
  for (int col = threadIdx.x; col < n; col += 64) {{
    real sum = 0;
    for (int row = blockIdx.y; row < m; row += 4) sum += alpha * delta[row * delta_stride + col];
    ADD
  }}
  __syncthreads();
  if (threadIdx.x == 0 && atomicAdd(&come, 1u) == 4) come = 0;""",
    ),
}
ADDED = {
    "in one": "atomicAdd(out + col, sum);",
    "unless somebody came between": "real old = atomicAdd(out + col, real(0));\n"
    "  while (!set_if(out + col, old, old + sum)) old = atomicAdd(out + col, real(0));",
    "in two": "const real old = atomicAdd(out + col, real(0));\n  set(out + col, old + sum);",
}


@pytest.mark.parametrize("how", ADDED)
@pytest.mark.parametrize("parts", sample(PARTS, 2))
def test_an_update_is_lost_between_two_atomic_operations(parts: str, how: str, write: Write) -> None:
    blocks, threads, body = PARTS[parts]
    code = COLUMN_SUM.format(blocks=blocks, threads=threads, body=body.replace("ADD", ADDED[how]))
    found = verdict.examine(loaded(write(code, "mine.cu")), "column_sum", 1)
    if how == "in two":
        (problem,) = found.problems
        assert problem.causes == [special.LOST]
        assert "blocks at once" in problem.case
    else:
        assert found.verdict == "right", found.problems
