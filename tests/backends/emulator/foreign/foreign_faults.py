"""Faults to plant in this folder's kernels, at most one in each; all of a file are compiled together."""

from typing import Any, NamedTuple

RACE, EARLY, APART = (
    "a race between two threads of a block",
    "read before it is written",
    "not every thread of the block",
)
BLOCKS, BEYOND, SHARED = "a race between two blocks", "out of bounds", "beyond the dynamic shared memory"


class Fault(NamedTuple):
    """What to replace by what in a kernel's file; a word of the message, and of the line or lines where it may be."""

    kernel: str
    old: str
    new: str
    told: str
    at: str | tuple[str, ...]
    launch: dict[str, Any] = {}  # noqa: RUF012  and what of the launch is another


def without_barrier(comment: str) -> tuple[str, str]:
    return f"__syncthreads(); // {comment}", f"// {comment}"


FAULTS = [
    Fault("sgemm_shared_mem_block", *without_barrier("cache filled"), EARLY, "As[threadRow * BLOCKSIZE + dotIdx]"),
    Fault(
        "sgemm1DBlocktiling", *without_barrier("1D tile consumed"), RACE, "As[(threadRow * TM + resIdx) * BK + dotIdx]"
    ),
    Fault(
        "sgemmVectorize",
        "// transpose A while loading it\n    float4 tmp =\n"
        "        reinterpret_cast<float4 *>(&A[innerRowA * K + innerColA * 4])[0]",
        "float4 tmp =\n        reinterpret_cast<float4 *>(&A[innerRowA * K + innerColA * 4 + 1])[0]",
        "a misaligned address",
        "float4 tmp =",
    ),
    Fault("sgemmWarptiling", *without_barrier("warptile consumed"), RACE, "threadRowInWarp * TM + i]"),
    Fault("batched_gemm_small", "", "", SHARED, "b[i][j] =", {"shared": 600}),
    Fault(
        "Sgemm_double_buffer", *without_barrier("next buffer is ready"), EARLY, "FETCH_FLOAT4(frag_a[0][thread_y]) ="
    ),
    Fault("sgemm_naive", "if (x < M && y < N) {", "if (y < N) {", BEYOND, "tmp += A[x * K + i]"),
    Fault("softmax_forward_kernel2", *without_barrier("offset was read"), RACE, "float offset = shared[0]"),
    Fault("softmax_forward_kernel4", *without_barrier("partial maxima"), EARLY, "fmaxf(val, maxvals[i])"),
    Fault(
        "softmax_forward_online_kernel8",
        "offsetMaxval = __shfl_down_sync(0xFFFFFFFF",
        "offsetMaxval = __shfl_down_sync(0x0000FFFF",
        "a mask in which it is not itself",
        "0x0000FFFF",
    ),
    Fault("layernorm_forward_kernel5", *without_barrier("warp sums are there"), EARLY, "shared_sum[lane_id]"),
    Fault(
        "layernorm_backward_kernel2",
        "atomicAdd(&dbias_shared[i], dout_bt[i])",
        "dbias_shared[i] += dout_bt[i]",
        RACE,
        "dbias_shared[i] += dout_bt[i]",
    ),
    Fault("adamw_kernel3", "if (idx >= num_parameters) { return; }  // guard", "", BLOCKS, "m_memory[idx]"),
    Fault(
        "flash_forward_kernel",
        "__syncthreads();  // otherwise, thread",
        "// otherwise, thread",
        RACE,
        "Kj[(y * d) + x]",
    ),
    Fault(
        "fused_classifier_kernel5",
        *without_barrier("the loss reads a logit that is overwritten below"),
        RACE,
        "__stcs(logits",
    ),
    Fault(
        "encoder_backward_kernel",
        "atomicAdd(dwpe_tc, *dout_btc)",
        "*dwpe_tc += *dout_btc",
        "a race between two",
        "*dwpe_tc +=",
    ),
    Fault(
        "fa2_forward",
        "if (row < seqlen)\n#pragma unroll",
        "if (row >= seqlen) return;\n#pragma unroll",
        APART,
        "__syncthreads();",
    ),
    Fault("reduce2", *without_barrier("sequential"), RACE, "sdata[tid] += sdata[tid + s]"),
    Fault(
        "reduce5",
        "sdata[tid] += sdata[tid + 32]; __syncwarp();",
        "sdata[tid] += sdata[tid + 32];",
        "__syncwarp()",
        "sdata[tid] += sdata[tid + 32]",
    ),
    Fault(
        "reduceSinglePass",
        "    __threadfence();\n\n    // Thread 0 takes",
        "    // Thread 0 takes",
        BLOCKS,
        "g_odata[0] = smem[0]",
    ),
    Fault(
        "reduceSinglePassMultiBlockCG",
        "cg::sync(grid); // all blocks wrote",
        "",
        BLOCKS,
        "g_odata[blockIdx.x] = sdata[0]",
    ),
    Fault("sum_kernel_block", "g.sync(); // wait for all threads to load", "", RACE, "temp[lane] = val"),
    Fault("dot_double", "atomicAddDouble(result, acc)", "*result += acc", RACE, "*result += acc"),
    Fault(
        "deviceReduceWarpAtomicKernel",
        "if ((threadIdx.x & (warpSize - 1)) == 0) atomicAdd(out, sum)",
        "if ((threadIdx.x & (warpSize - 1)) == 0) *out += sum",
        RACE,
        "*out += sum",
    ),
    Fault("histo_private_kernel", *without_barrier("bins are zero"), EARLY, "atomicAdd(&(histo_s"),
    Fault(
        "Kogge_Stone_scan_kernel", *without_barrier("before the write"), RACE, ("XY[threadIdx.x] = temp", "temp = XY")
    ),
    Fault("Brent_Kung_scan_kernel", *without_barrier("up"), EARLY, "XY[index] += XY[index - stride]"),
    Fault("stream_scan_kernel", "__threadfence(); // published", "", BLOCKS, "sum = scan_value[bid - 1]"),
    Fault("merge_tiled_kernel", *without_barrier("tiles consumed"), RACE, "A[i - 1] > B[j]"),
    Fault("radix_sort_block", *without_barrier("scattered"), EARLY, "key = k_s[t]"),
    Fault(
        "bitonicSortShared",
        *without_barrier("bitonic step"),
        RACE,
        ("if ((keyA > keyB) == dir)", "keyA = keyB", "keyB = t"),
    ),
    Fault("oddeven", *without_barrier("phase"), RACE, "if (x[i] > x[i + 1])"),
    Fault(
        "convolution_tiled_2D_const_mem_kernel",
        "tileCol >= 0 && tileCol < OUT_TILE_DIM",
        "tileCol >= 0 && tileCol <= OUT_TILE_DIM",
        "outside of a shared or local array",
        "N_s[tileRow + fRow][tileCol + fCol]",
    ),
    Fault("stencil_1d", "if (threadIdx.x < RADIUS) {", "if (threadIdx.x < RADIUS - 1) {", EARLY, "result += temp"),
    Fault("transposeNoBankConflicts", *without_barrier("tile is full"), EARLY, "tile[threadIdx.x][threadIdx.y + j]"),
    Fault("stencil_register_tiling", *without_barrier("plane was used"), RACE, "c1 * inCurr_s"),
    Fault("spmv_csr_vector_kernel", "__syncwarp(); // partial sums are there", "", EARLY, "vals[threadIdx.x + s]"),
    Fault(
        "stencil_kernel",
        "i < N - 1 && j >= 1 && j < N - 1 && k >= 1 && k < N - 1) {\n    out",
        "i < N && j >= 1 && j < N - 1 && k >= 1 && k < N - 1) {\n    out",
        BEYOND,
        "c6 * in[(i + 1) * N * N",
    ),
    Fault(
        "spmv_coo_kernel",
        "atomicAdd(&y[row], x[col] * value)",
        "y[row] += x[col] * value",
        RACE,
        "y[row] += x[col] * value",
    ),
    Fault("bfs_frontier_private", *without_barrier("frontier complete"), RACE, "numCurrFrontier_s"),
    Fault(
        "Shared",
        "sharedMem[local_i] = A[i];\n    }\n    __syncthreads();\n    if (i < size) C[i]",
        "sharedMem[local_i] = A[i];\n    __syncthreads();\n    }\n    if (i < size) C[i]",
        APART,
        "__syncthreads();",
    ),
    Fault("Pooling", *without_barrier("pool"), EARLY, "s += sharedMem[k]", {"order": "reverse"}),
    Fault(
        "MapGuard",
        "if (local_i < size) {\n        C[local_i]",
        "if (local_i <= size) {\n        C[local_i]",
        BEYOND,
        "C[local_i] = A[local_i] + 10",
    ),
    Fault(
        "Conv1D",
        "a[TPB + local_j] =",
        "a[TPB + local_j + MAX_CONV] =",
        "outside of a shared or local array",
        "MAX_CONV] =",
    ),
    Fault(
        "dot",
        "if (cacheIndex < i)\n            cache[cacheIndex] += cache[cacheIndex + i];\n"
        "        __syncthreads(); // outside of the if",
        "if (cacheIndex < i) {\n            cache[cacheIndex] += cache[cacheIndex + i];\n"
        "            __syncthreads(); // inside of the if\n        }",
        APART,
        "inside of the if",
    ),
    Fault("DotProduct", *without_barrier("products"), EARLY, "res = res + sharedMem[i]"),
    Fault(
        "hand_over",
        "__threadfence();\n    __syncthreads();\n    if (threadIdx.x == 0) ready",
        "__syncthreads();\n    if (threadIdx.x == 0) ready",
        BLOCKS,
        "out[threadIdx.x] = mailbox",
    ),
    Fault("jacobi", "grid.sync(); // sweep is done", "", RACE, "b[c] = "),
    Fault(
        "filter_arr",
        "res = atomicAdd(ctr, active.size());",
        "{ res = *ctr; *ctr += active.size(); }",
        RACE,
        "res = *ctr",
    ),
    Fault("bodyForceTiled", "sync(cta); // positions were used", "", RACE, "bodyBodyInteraction(acc"),
    Fault(
        "assign_clusters",
        "  // Wait for those k threads.\n  __syncthreads();\n  if (index >= data.size) return;",
        "  if (index >= data.size) return;\n  __syncthreads(); // for k threads",
        APART,
        "for k threads",
    ),
    Fault("packed_shared", "", "", SHARED, "charData[i] = c[i]", {"shared": 170}),
    Fault(
        "interpreter", "int stack[16], top", "int stack[1], top", "outside of a shared or local array", "stack[top++]"
    ),
    Fault(
        "suffix_max",
        "for (size_t i = end; i-- > begin;) {",
        "for (size_t i = end - 1; i >= begin; --i) {",
        BEYOND,
        "best = fmaxf(best, x[i])",
    ),
    Fault("two_scratches", "if (t == 0) turn = 7;", "", EARLY, "* 1000 + turn"),
    Fault("hello", "assert(n > 0 &&", "assert(n > 5 &&", "an assertion does not hold: n > 5", "assert(n > 5"),
]
