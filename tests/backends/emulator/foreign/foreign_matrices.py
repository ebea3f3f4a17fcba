"""Launches of matrix products, softmax, norms and the parts of a transformer."""

from math import sqrt
from typing import Any

import numpy as np
from foreign_launches import F, by_value, cells, launch

M, N, K = 64, 128, 32


@launch("sgemm", (3, 4), (16, 16), "sgemm_naive", of=(45, 60, 33))
@launch("sgemm", (3, 4), 256, "sgemm_coalesce<16>", of=(45, 60, 33))
@launch("sgemm", (4, 8), 256, "sgemm_shared_mem_block<16>")
@launch("sgemm", (2, 1), 512, "sgemm1DBlocktiling<64, 64, 8, 8>", of=(M, N, 16))
@launch("sgemm", (2, 1), 64, "sgemm2DBlocktiling<64, 64, 8, 8, 8>", of=(M, N, 16))
@launch("sgemm", (2, 1), 256, "sgemmVectorize<64, 64, 16, 4, 4>")
@launch("sgemm", (2, 1), 256, "sgemmResolveBankExtraCol<64, 64, 16, 4, 4>")
@launch("sgemm", (2, 1), 128, "sgemmWarptiling<64, 64, 8, 32, 32, 1, 4, 4, 128>", of=(M, N, 24))
def product(random: np.random.Generator, m: int = M, n: int = N, k: int = K) -> Any:
    a, b, c = (random.standard_normal(s, F) for s in ((m, k), (k, n), (m, n)))
    return (m, n, k, 0.5, a, b, 2.0, c), {7: 0.5 * (a @ b) + 2 * c}


@launch("sgemm", (2, 1), (8, 8), "Sgemm_double_buffer<64, 8, 64, 8, 8>")
@launch("sgemm", (2, 1), (8, 8), "sgemm_t_8x8_sliced_k_f32x4_bcf_kernel<>")
def plain_product(random: Any) -> Any:
    a, b = random.standard_normal((M, K), F), random.standard_normal((K, N), F)
    return (a, b, np.zeros((M, N), F), M, N, K), {2: a @ b}


@launch("sgemm", 5, (32, 4), "sgemv_k128_f32x4_kernel", of=(18, 256))
@launch("sgemm", 3, (32, 4), "sgemv_k16_f32_kernel<2>", of=(20, 16))
def of_vector(random: Any, m: int, k: int) -> Any:
    a, x = random.standard_normal((m, k), F), random.standard_normal(k, F)
    return (a, x, np.zeros(m, F), m, k), {2: a @ x}


@launch("sgemm", 5, (7, 7), shared=2 * 7 * 9 * 8)
def batched_gemm_small(random: Any) -> Any:
    a, b = random.standard_normal((5, 7, 7)), random.standard_normal((5, 7, 7))
    c = np.swapaxes(np.swapaxes(a, 1, 2) @ np.swapaxes(b, 1, 2), 1, 2)
    return (a, b, np.zeros((5, 7, 7)), np.int32(7)), {2: c}


ROWS, COLUMNS = 6, 100


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@launch("softmax_norm", 2, 4, "softmax_forward_kernel1")
@launch("softmax_norm", ROWS, 64, "softmax_forward_kernel2", shared=256)
@launch("softmax_norm", ROWS, 32, "softmax_forward_kernel3")
@launch("softmax_norm", ROWS, 96, "softmax_forward_kernel4", shared=24)
@launch("softmax_norm", 2, 128, "softmax_forward_online_kernel8")
@launch("softmax_norm", 2, 128, "softmax_forward_online_cg")
def rows(random: np.random.Generator) -> Any:
    x = 3 * random.standard_normal((ROWS, COLUMNS), F)
    return (np.zeros_like(x), x, ROWS, COLUMNS), {0: softmax(x)}


@launch("softmax_norm", 3, 64, "safe_softmax_f32x4_per_token_kernel<64>")
def safe_softmax_f32x4(random: Any) -> Any:
    x = random.standard_normal((3, 256), F)
    return (x, np.zeros_like(x), 768), {1: softmax(x)}


@launch("softmax_norm", 3, 128, "online_safe_softmax_f32_per_token_kernel<128>")
def online_safe_softmax(random: Any) -> Any:
    x = random.standard_normal((3, 128), F)
    return (x, np.zeros_like(x), 384), {1: softmax(x)}


@launch("softmax_norm", 2, 4, "layernorm_forward_kernel1")
@launch("softmax_norm", 2, 96, "layernorm_forward_kernel3")
@launch("softmax_norm", ROWS, 64, "layernorm_forward_kernel5")
def norm(random: np.random.Generator) -> Any:
    x, w, b = random.standard_normal((ROWS, COLUMNS), F), random.standard_normal(COLUMNS, F), np.ones(COLUMNS, F)
    mean, rstd = x.mean(1), 1 / np.sqrt(x.var(1) + 1e-5)
    out = (x - mean[:, None]) * rstd[:, None] * w + b
    return (np.zeros_like(x), np.zeros(ROWS, F), np.zeros(ROWS, F), x, w, b, ROWS, COLUMNS), {0: out, 1: mean, 2: rstd}


@launch("softmax_norm", 3, 64, shared=8 * 40)
def layernorm_backward_kernel2(random: Any) -> Any:
    b, t, c = 2, 3, 40
    x, dout = random.standard_normal((b * t, c)), random.standard_normal((b * t, c))
    w = random.standard_normal(c)
    mean, rstd = x.mean(1, keepdims=True), 1 / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    normal, d = (x - mean) * rstd, w * dout
    dx = (d - d.mean(1, keepdims=True) - normal * (d * normal).mean(1, keepdims=True)) * rstd
    given = [np.zeros((b * t, c)), np.zeros(c), np.zeros(c), dout, x, w, mean.ravel(), rstd.ravel()]
    return (*(g.astype(F) for g in given), b, t, c), {0: dx, 1: (normal * dout).sum(0), 2: dout.sum(0)}


@launch("softmax_norm", 3, 32, "rms_norm_f32x4_kernel<32>")
def rms_norm_f32x4(random: Any) -> Any:
    x = random.standard_normal((3, 128), F)
    return (x, np.zeros_like(x), 1.5, 3, 128), {1: 1.5 * x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-5)}


@launch("softmax_norm", 3, 64)
def fused_add_rmsnorm(random: Any) -> Any:
    r, x, gamma = random.standard_normal((3, 80), F), random.standard_normal((3, 80), F), random.standard_normal(80, F)
    params = np.dtype([("hidden", "i4"), ("eps", "f4"), ("gamma", "u8")])
    total = r + x
    out = total / np.sqrt((total**2).mean(1, keepdims=True) + 1e-6) * gamma
    return (r, x, np.zeros_like(r), {"type": params, "hidden": 80, "eps": 1e-6, "gamma": gamma}), {0: total, 2: out}


B, T, C, V = 2, 8, 12, 50


@launch("transformer", cells(B * T * C // 4, 32), 32)
def encoder_forward_kernel3(random: Any) -> Any:
    tokens = random.integers(0, V, (B, T), dtype=np.int32)
    wte, wpe = random.standard_normal((V, C), F), random.standard_normal((T, C), F)
    return (np.zeros((B, T, C), F), tokens, wte, wpe, B, T, C), {0: wte[tokens] + wpe}


@launch("transformer", cells(B * T * C, 64), 64)
def encoder_backward_kernel(random: Any) -> Any:
    tokens, dout = random.integers(0, 5, (B, T), dtype=np.int32), random.standard_normal((B, T, C), F)
    dwte = np.zeros((5, C), F)
    np.add.at(dwte, tokens, dout)
    return (np.zeros((5, C), F), np.zeros((T, C), F), dout, tokens, B, T, C), {0: dwte, 1: dout.sum(0)}


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


@launch("transformer", 4, 64)
def gelu_kernel(random: Any) -> Any:
    x = 3 * random.standard_normal(200, F)
    return (np.zeros(200, F), x, 200), {0: gelu(x)}


@launch("transformer", 4, 64, tolerance=1e-3)
def gelu_backward_kernel(random: Any) -> Any:
    x, d = 3 * random.standard_normal(200, F), random.standard_normal(200, F)
    exact = x.astype(float)
    return (np.zeros(200, F), x, d, 200), {0: d * (gelu(exact + 1e-6) - gelu(exact - 1e-6)) / 2e-6}


@launch("transformer", cells(B * T * V, 128), 128)
def crossentropy_softmax_backward_kernel1(random: Any) -> Any:
    probs, targets = softmax(random.standard_normal((B * T, V), F)), random.integers(0, V, B * T, dtype=np.int32)
    losses = random.standard_normal(B * T, F)
    return (np.zeros((B * T, V), F), losses, probs, targets, B, T, V), {
        0: (probs - np.eye(V)[targets]) * losses[:, None]
    }


@launch("transformer", B * T, 64, "fused_classifier_kernel5<true>")
def fused_classifier(random: Any) -> Any:
    logits, targets = random.standard_normal((B * T, 64), F), random.integers(0, V, B * T, dtype=np.int32)
    p = softmax(logits[:, :V])
    after = logits.copy()
    after[:, :V] = (p - np.eye(V)[targets]) / (B * T)
    probs = np.zeros((B * T, 64), F)
    probs[:, :V] = p
    losses, unused = np.zeros(B * T, F), by_value(np.zeros(1, "u1"))
    given = (logits, losses, np.zeros((B * T, 64), F), 1 / (B * T), targets, B, T, V, 64, unused)
    return given, {0: after, 1: -np.log(p[np.arange(B * T), targets]), 2: probs}


@launch("transformer", (2, 2), 64, "adamw_kernel3<float, float>")
def adamw_kernel3(random: Any) -> Any:
    p, g, m = (random.standard_normal((2, 100), F) for _ in range(3))
    v = np.abs(random.standard_normal((2, 100), F))
    m1, v1 = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
    p1 = p - 0.01 * ((m1 / 0.5) / (np.sqrt(v1 / 0.25) + 1e-8) + 0.1 * p)
    sizes = (np.uint64(100), *[np.int64(100)] * 3)
    floats = (0.01, 0.9, 0.99, 0.5, 0.25, 1e-8, 0.1, 1.0)
    return (p, np.uint64(0), g, m, v, *sizes, *floats), {0: p1, 3: m1, 4: v1}


@launch("transformer", 3, 64, "global_norm_squared_kernel<float>")
def global_norm_squared(random: Any) -> Any:
    x = random.standard_normal(1000, F)
    return (np.zeros(1, F), x, np.uint64(1000)), {0: (x * x).sum()}


@launch("transformer", 2, 128, shared=512)
def matmul_backward_bias_kernel4(random: Any) -> Any:
    dout = random.standard_normal((B * T, 64), F)
    return (np.ones(64, F), dout, B, T, 64), {0: 1 + dout.sum(0)}


HEADS, SIZE = 3, 4


@launch("transformer", cells(B * T * C, 64), 64)
def permute_kernel(random: Any) -> Any:
    x = random.standard_normal((B, T, 3, HEADS, SIZE), F)
    q, k, v = np.transpose(x, (2, 0, 3, 1, 4))
    return (*(np.zeros(B * T * C, F) for _ in range(3)), x, B, T, HEADS, SIZE), {0: q, 1: k, 2: v}


def scores(x: Any) -> Any:
    q, k, _ = np.transpose(x, (2, 0, 3, 1, 4))
    s = q @ np.swapaxes(k, 2, 3) / sqrt(SIZE)
    return np.where(np.tri(T, dtype=bool), s, -np.inf)


@launch("transformer", cells(B * HEADS * T * T, 128), 128)
def attention_query_key_kernel1(random: Any) -> Any:
    x = random.standard_normal((B, T, 3, HEADS, SIZE), F)
    return (np.zeros(B * HEADS * T * T, F), x, B, T, C, HEADS), {0: scores(x)}


@launch("transformer", 24, 64)
def softmax_forward_kernel5(random: Any) -> Any:
    x = random.standard_normal((6, 8, 8), F)
    out = softmax(np.where(np.tri(8, dtype=bool), 0.7 * x, -np.inf))
    return (np.zeros_like(x), 0.7, x, 6, 8), {0: out}


def attention(q: Any, k: Any, v: Any, causal: bool = False) -> Any:
    s = q @ np.swapaxes(k, -1, -2) / sqrt(q.shape[-1])
    return softmax(np.where(np.tri(s.shape[-1], dtype=bool), s, -np.inf) if causal else s) @ v


@launch("transformer", (2, 2), 16, shared=4 * (3 * 16 * 8 + 16 * 16))
def flash_forward_kernel(random: Any) -> Any:
    q, k, v = (random.standard_normal((2, 2, 32, 8), F) for _ in range(3))
    o = np.zeros_like(q)
    state = (np.zeros((2, 2, 32), F), np.full((2, 2, 32), -np.inf, F))
    return (q, k, v, 32, 8, 2, 2, 16, 16, 1 / sqrt(8), *state, o), {12: attention(q, k, v)}


@launch("transformer", (3, 2), 16, "fa2_forward<8, 16, 16>")
def fa2_forward(random: Any) -> Any:
    q, k, v = (random.standard_normal((2, 37, 8), F) for _ in range(3))
    return (q, k, v, np.zeros_like(q), 37, 1 / sqrt(8), np.bool_(True)), {3: attention(q, k, v, True)}


@launch("transformer", 2, 64, tolerance=1e-3)
def rope_f32_kernel(random: Any) -> Any:
    x = random.standard_normal((6, 2, 8), F)
    angle = np.arange(6)[:, None, None] / 10000 ** (2 * np.arange(4) / 8)
    pairs = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angle)
    return (x, 6, 2, 8, 10000.0), {0: np.stack([pairs.real, pairs.imag], -1).reshape(x.shape)}


@launch("transformer", 3, 32, "act_and_mul_kernel<float, silu_kernel<float>>")
def silu_and_mul(random: Any) -> Any:
    x = random.standard_normal((3, 2, 40), F)
    return (np.zeros((3, 40), F), x, 40), {0: x[:, 0] / (1 + np.exp(-x[:, 0])) * x[:, 1]}
