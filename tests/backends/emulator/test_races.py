"""Races between the blocks of a launch: found for every pair of accesses, and not where something orders them."""

import re
from typing import Any

import numpy as np
import pytest
from sampling import sample

from fastae.backends.emulator import KernelFault, RawModule, checking, device
from fastae.backends.emulator.source import kernels_of

BLOCKS, THREADS, LENGTH = 6, 32, 192

HEAD = """__device__ unsigned count = 0;
__device__ float parts[64], kept = 0;
extern "C" __global__ void sum(int n, const float* x, float* out) {
  __shared__ float part[32];
  __shared__ unsigned ticket;
  const int t = threadIdx.x, b = blockIdx.x, i = b * 32 + t;
"""

# One thread of each block sums the block's part of x, which is all ones.
PART = """  part[t] = x[i];
  __syncthreads();
  float own = 0;
  if (t == 0) for (int l = 0; l < 32; ++l) own += part[l];
"""

ORDERED = {
    "atomic beside atomic": PART + "  if (t == 0) atomicAdd(out, own);",
    "the literal's type is converted": PART + "  if (t == 0) { atomicAdd(out, own); atomicAdd(&count, 1); }",
    "each writes its own": "  out[1 + i] = x[i];",
    "all read the same": "  out[1 + i] = x[0] + kept;",
    "a store, a barrier, atomics, within a block": PART
    + """  if (b == 0) {
    if (t == 0) out[1] = 0;
    __syncthreads();
    atomicAdd(out + 1, 1.0f);
  }""",
    "the last block sums": PART
    + """  if (t == 0) {
    out[1 + b] = own;
    __threadfence();
    ticket = atomicAdd(&count, 1u);
  }
  __syncthreads();
  if (ticket == gridDim.x - 1 && t == 0) {
    out[0] = 0;
    for (int l = 0; l < gridDim.x; ++l) out[0] += out[1 + l];
    count = 0;
  }""",
    "the last block sums a __device__ array, and counts anew": PART
    + """  if (t == 0) {
    parts[b] = own;
    __threadfence();
    if (atomicInc(&count, gridDim.x - 1) == gridDim.x - 1) {
      float total = 0;
      for (int l = 0; l < gridDim.x; ++l) total += parts[l];
      *out = total;
    }
  }""",
    "every thread fences, then one counts for its block": """  out[1 + i] = x[i];
  __threadfence();
  __syncthreads();
  if (t == 0) ticket = atomicAdd(&count, 1);
  __syncthreads();
  if (ticket == gridDim.x - 1) {
    __threadfence();
    if (t == 0) for (int l = 0; l < n; ++l) *out += out[1 + l];
    if (t == 0) count = 0;
  }""",
    "every thread counts": """  out[1 + i] = x[i];
  __threadfence();
  if (atomicAdd(&count, 1) == n - 1) {
    for (int l = 0; l < n; ++l) *out += out[1 + l];
    count = 0;
  }""",
    "as the programming guide writes it": PART
    + """  volatile float* const result = out + 1;
  if (t == 0) {
    result[b] = own;
    __threadfence();
    ticket = atomicInc(&count, gridDim.x);
  }
  __syncthreads();
  if (ticket == gridDim.x - 1 && t == 0) {
    float total = 0;
    for (int l = 0; l < gridDim.x; ++l) total += result[l];
    *out = total;
    count = 0;
  }""",
    "a lock's owner is the one who got it": PART
    + """  if (t == 0) {
    while (atomicCAS(&count, 0u, 1u) != 0u) {}
    __threadfence();
    *out += own;
    __threadfence();
    atomicExch(&count, 0u);
  }""",
    "a flag that others look at": PART
    + """  volatile unsigned* const flag = &count;
  if (b == 0 && t == 0) *flag = 1;
  out[1 + i] = *flag;""",
}

NO_SUM = ("each writes its own", "all read the same", "a store, a barrier, atomics, within a block",
          "a flag that others look at")  # fmt: skip

ADD = f"{PART}  if (t == 0) atomicAdd(out, own);//<\n"
SUM = "for (int l = 0; l < gridDim.x; ++l) *out += out[1 + l];//<\n"

UNORDERED = {  # the lines that end in //< are the places
    "zeroed by the first block": f"  if (b == 0 && t == 0) *out = 0;//<\n{ADD}",
    "zeroed by the last block": f"{ADD}  if (b == gridDim.x - 1 && t == 0) *out = 0;//<",
    "scaled by the last block": f"{ADD}  if (b == gridDim.x - 1 && t == 0) *out *= 2;//<",
    "read by the last block": f"{ADD}  if (b == gridDim.x - 1 && t == 0) out[1] = *out;//<",
    "read before the others add": f"  if (b == 0 && t == 0) out[1] = *out;//<\n{ADD}",
    "a fence is no message": f"  if (b == 0 && t == 0) *out = 0;//<\n  __threadfence();\n{ADD}",
    "stored by one, exchanged by others": """  if (b == 0 && t == 3) *out = 0;//<
  if (b > 0 && t == 0) atomicExch(out, 1);//<""",
    "each adds without an atomic": f"{PART}  if (t == 0) *out += own;//<",
    "a value by each": "  if (t == 0) *out = b;//<",
    "the same value by all, which one reads": """  if (t == 0 && b < 3) *out = 1;//<
  if (b == 5 && t == 1) out[1] = *out;//<""",
    "one writes what others read": "  if (b == 0) out[t] = 1;//<\n  else out[i] = out[t];//<",
    "one writes what others have read": """  if (b < gridDim.x - 1) out[i] = out[160 + t];//<
  else out[160 + t] = 1;//<""",
    "written where two threads of the writer's block have read too": """  if (b == 0 && t == 0) out[1] = *out;//<
  if (b == 1 && t < 2) out[2 + t] = *out;
  __syncthreads();
  if (b == 1 && t == 2) *out = 1;//<""",
    "a __device__ variable": f"{PART}  if (t == 0) kept += own;//<",
    "a __device__ variable beside atomics": f"""{PART}  if (t == 0) atomicAdd(&kept, own);//<
  if (t == 0 && b == 5) *out = kept;//<""",
    "a volatile variable is not atomic": f"""{PART}  volatile float* const total = out;
  if (t == 0) *total += own;//<""",
    "the last block without a fence": f"""{PART}  if (t == 0) {{
    out[1 + b] = own;//<
    ticket = atomicAdd(&count, 1);
  }}
  __syncthreads();
  if (ticket == gridDim.x - 1 && t == 0) {SUM}""",
    "the fence before the store": f"""{PART}  if (t == 0) {{
    __threadfence();
    out[1 + b] = own;//<
    ticket = atomicAdd(&count, 1);
  }}
  __syncthreads();
  if (ticket == gridDim.x - 1 && t == 0) {SUM}""",
    "the count before the store": f"""{PART}  if (t == 0) {{
    __threadfence();
    ticket = atomicAdd(&count, 1);
    out[1 + b] = own;//<
  }}
  __syncthreads();
  if (ticket == gridDim.x - 1 && t == 0) {SUM}""",
    "the last block without a fence, and all is volatile": f"""{PART}  volatile float* const result = out + 1;
  if (t == 0) {{
    result[b] = own;
    ticket = atomicAdd(&count, 1);//<
  }}
  __syncthreads();
  if (ticket == gridDim.x - 1 && t == 0) {{
    for (int l = 0; l < gridDim.x; ++l) own += result[l];
    *out = own;
    count = 0;//<
  }}""",
    "a block's fence is for the block": f"""{PART}  if (t == 0) {{
    out[1 + b] = own;//<
    __threadfence_block();
    if (atomicAdd(&count, 1) == gridDim.x - 1) {SUM}  }}""",
    "the block of the highest number need not be the last": f"""{PART}  if (t == 0) {{
    out[1 + b] = own;//<
    __threadfence();
    if (b == gridDim.x - 1) {SUM}  }}""",
}

FENCE_MISSING = (
    "the last block without a fence",
    "the last block without a fence, and all is volatile",
    "the fence before the store",
    "a block's fence is for the block",
)


def run(body: str, order: str = "forward") -> tuple[str, Any]:
    code = f"{HEAD}{body}\n}}  // {order}: variables begin anew with each library\n"
    (name,) = kernels_of(code)
    x, out = device.array(np.ones(LENGTH, np.float32)), device.array(np.zeros(LENGTH + 1, np.float32))
    with checking(order):
        RawModule(code, file="mine.cu").get_function(name)((BLOCKS,), (THREADS,), (np.int32(LENGTH), x, out))
    return code, np.asarray(out)


@pytest.mark.parametrize("what", sample(ORDERED, 2))
def test_what_is_ordered_is_no_race(what: str) -> None:
    for order in ("forward", "reverse"):
        _, out = run(ORDERED[what], order)
        if what not in NO_SUM:
            assert out[0] == LENGTH, order


@pytest.mark.parametrize("what", sample(UNORDERED, 2))
def test_what_is_not_ordered_is_one_and_both_places_are_named(what: str) -> None:
    body = UNORDERED[what]
    for order in ("forward", "reverse"):
        with pytest.raises(KernelFault) as caught:
            run(body, order)
        told = str(caught.value)
        assert "a race between two blocks, which nothing orders; the other is block (" in told
        lines = [i for i, line in enumerate(f"{HEAD}{body}".splitlines(), 1) if line.endswith("//<")]
        assert lines
        for line in lines:
            assert f"mine.cu:{line}" in re.split("[,; ]+", told), told
        ours, theirs = told.split("; the other is ")
        assert ours.split("block ")[1].split(", thread")[0] != theirs.split("block ")[1].split(", thread")[0]
        assert ("in an atomic operation" in told) == ("atomic operations are safe" in caught.value.fault)
        assert ("a flag is written behind that, mine.cu:" in told) == (what in FENCE_MISSING), told
        assert ("volatile is not atomic" in told) == (what == "a volatile variable is not atomic")


FLAGS = {  # stores of one value by several threads: whichever comes last, it is there
    "by blocks": ("if (t == 0) out[0] = 1;", "out[0] = b;"),
    "by all threads": ("out[1] = 5;", "out[1] = t / 16;"),
    "by lanes, where one is already": ("part[0] = 0; __syncthreads(); if (t % 3 == 0) part[0] = 2;", "part[0] = t;"),
    "volatile": ("*(volatile float*)out = 7;", "*(volatile float*)out = b;"),
    "a byte": ("reinterpret_cast<char*>(out)[3] = 1;", "reinterpret_cast<char*>(out)[3] = t;"),
    "four at once": ("*reinterpret_cast<float4*>(out) = make_float4(1, 2, 3, 4);",
                     "*reinterpret_cast<float4*>(out) = make_float4(1, 2, 3, b);"),
    "to count, though": ("", "out[1] += 1;"),
    "to count, though volatile": ("", "*(volatile float*)out += 1;"),
    "a copy of memory": ("", "memcpy(out, x + 4 * b, 16);"),
}  # fmt: skip


@pytest.mark.parametrize("what", FLAGS)
def test_stores_of_one_value_are_no_race_and_of_several_are_one(what: str) -> None:
    same, different = FLAGS[what]
    run(f"  {same}", "random")
    with pytest.raises(KernelFault, match="a race"):
        run(f"  {different}", "random")


@pytest.mark.parametrize("missing", [False, True])
def test_within_a_block_a_barrier_parts_a_store_from_atomics(missing: bool) -> None:
    body = "  if (t == 0) part[0] = 0;\n  __syncthreads();\n  atomicAdd(part, x[i]);\n  __syncthreads();\n"
    body += "  if (t == 0) out[1 + b] = part[0];"
    if not missing:
        _, out = run(body)
        assert (out[1 : 1 + BLOCKS] == THREADS).all()
        return
    for at in (body.index("  __syncthreads();\n"), body.rindex("  __syncthreads();\n")):
        without = body[:at] + body[at:].replace("  __syncthreads();\n", "", 1)
        with pytest.raises(KernelFault, match=r"a race between two threads of a block|before it is written"):
            run(without, "reverse")


IN_A_BLOCK = """extern "C" __global__ void with_syncthreads(float* x) {
  __shared__ float s[128];
  int t = threadIdx.x;
  s[t] = x[t];
  __syncthreads();
  for (int k = blockDim.x / 2; k > 0; k /= 2) {
    if (t < k) s[t] += s[t + k];  // all warps
    BARRIER
  }
  if (t == 0) x[0] = s[0];
}
extern "C" __global__ void with_syncwarp(float* x) {
  __shared__ float s[128];
  int t = threadIdx.x;
  s[t] = x[t];
  __syncthreads();
  for (int k = 64; k > 16; k /= 2) {
    if (t < k) s[t] += s[t + k];
    __syncthreads();
  }
  for (int k = 16; t < 32 && k > 0; k /= 2) {
    float y = s[t + k];
    OF_WARP
    s[t] += y;  // one warp
    OF_WARP
  }
  if (t == 0) x[0] = s[0];
}
extern "C" __global__ void with_volatile(volatile float* x) {
  if (threadIdx.x % 32 == 0) x[threadIdx.x / STEP * 32] += 1;  // in two steps
}
"""
RACES = {  # of a block: where, and what is said to be missing
    "with_syncthreads": ("all warps", "but between warps there is a race as well: a __syncthreads() is needed"),
    "with_syncwarp": ("one warp", "which does not run in step: a __syncwarp() is needed"),
    "with_volatile": ("in two steps", "volatile is not atomic: x += 1 reads and writes in two steps"),
}


def in_a_block(kernel: str, right: bool, order: str, threads: int = 128) -> float:
    code = IN_A_BLOCK.replace("BARRIER", "__syncthreads();" * right).replace("OF_WARP", "__syncwarp();" * right)
    module = RawModule(code.replace("STEP", "32" if right else "128"), file="mine.cu")
    x = device.array(np.ones(128, np.float32))
    with checking(order):
        module.get_function(kernel)((1,), (threads,), (x,))
    return float(np.asarray(x)[0])


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("kernel", RACES)
def test_what_is_missing_within_a_block_is_named(kernel: str, order: str) -> None:
    assert in_a_block(kernel, True, order) == (2 if kernel == "with_volatile" else 128)
    mark, words = RACES[kernel]
    (line,) = (i for i, text in enumerate(IN_A_BLOCK.splitlines(), 1) if mark in text)
    with pytest.raises(KernelFault) as caught:
        in_a_block(kernel, False, order)
    told = str(caught.value)
    assert f"mine.cu:{line}" in re.split("[,; ]+", told)
    if "both are lanes" in told or kernel != "with_syncthreads":  # two threads of two warps may have met first
        assert words in told


COUNT = """extern "C" __global__ void count(int* x) {
  if (threadIdx.x < 128) x[threadIdx.x % 2] += 1;
}
"""


@pytest.mark.parametrize("order", ["forward", "reverse"])
def test_a_value_that_lanes_change_takes_an_atomic_operation(order: str) -> None:
    kernel = RawModule(COUNT).get_function("count")
    with (
        pytest.raises(KernelFault, match=r"is needed, or an atomic operation where both change one value$"),
        checking(order),
    ):
        kernel((1,), (128,), (device.array(np.zeros(2, np.int32)),))


def test_a_block_of_one_warp_may_do_with_less() -> None:
    with pytest.raises(
        KernelFault, match=r"a __syncwarp[(][)] is needed, __syncthreads[(][)] if a block has more warps$"
    ):
        in_a_block("with_syncthreads", False, "forward", 32)


def test_an_atomic_operation_on_shared_memory_that_nobody_wrote() -> None:
    with pytest.raises(KernelFault, match="in an atomic operation: shared memory is read before it is written"):
        run("  atomicAdd(part, 1);")
