"""Launches of simulations and pictures: particles, cells, options, fractals, fluids and rays."""

from typing import Any

import numpy as np
from foreign_launches import F, U, launch


@launch("puzzles", (32, 32), 1)
def julia_kernel(random: Any) -> Any:
    y, x = np.mgrid[:32, :32]
    a = 1.5 * (16 - x) / 16 + 1j * 1.5 * (16 - y) / 16
    inside = np.ones((32, 32), bool)
    for _ in range(50):
        a = np.where(inside, a * a - 0.8 + 0.156j, a)
        inside &= np.abs(a) ** 2 <= 1000
    return (np.zeros((32, 32, 4), "u1"),), {0: lambda out: (out[:, :, 0], 255 * inside)}


@launch("puzzles", (2, 2), (16, 8))
def rgb_to_gray(random: Any) -> Any:
    image = random.integers(0, 256, (15, 20, 3), dtype="u1")
    gray = (image @ np.array([0.21, 0.71, 0.07])).astype("u1")
    given = (image.view([("r", "u1"), ("g", "u1"), ("b", "u1")]), np.zeros((15, 20), "u1"), 20, 15)
    return given, {1: lambda out: (np.abs(out.astype(int) - gray) <= 1, True)}


def forces(x: Any, y: Any, n: int) -> Any:
    d = y[None] - x[:, None]
    return (d / ((d**2).sum(-1, keepdims=True) + 1e-9) ** 1.5).sum(1)


@launch("algorithms", 3, 32, tolerance=1e-3)
def bodyForce(random: Any) -> Any:
    p = random.standard_normal((70, 6), F)
    after = p.copy()
    after[:, 3:] += 0.01 * forces(p[:, :3], p[:, :3], 70)
    kind = np.dtype([(name, "f4") for name in ("x", "y", "z", "vx", "vy", "vz")])
    return (p.view(kind), 0.01, 70), {0: lambda out: (out.view("f4").reshape(70, 6), after)}


@launch("algorithms", 3, 32, shared=512, tolerance=1e-3)
def bodyForceTiled(random: Any) -> Any:
    p, v = random.standard_normal((70, 4), F), np.zeros((70, 4), F)
    p[:, 3] = 1
    system = {"type": np.dtype([("pos", "u8"), ("vel", "u8")]), "pos": p, "vel": v}
    out = 0.01 * forces(p[:, :3], p[:, :3], 70)
    return (system, 0.01, 70), {(0, "vel"): lambda got: (got[:, :3], out)}


@launch("algorithms", (1, 2), (16, 8))
def mandelbrot(random: Any) -> Any:
    y, x = np.mgrid[:20, :24]
    c = x * 0.1 - 1.7 + 1j * (y * 0.1 - 1)
    z, left = np.zeros_like(c), np.full(c.shape, 30)
    for _ in range(30):
        alive = np.abs(z) ** 2 < 4
        z = np.where(alive, z * z + c, z)
        left -= alive
    given = (np.zeros((20, 24, 4), "u1"), 24, 20, 30, np.float64(-1.7), np.float64(-1.0), np.float64(0.1))
    escaped = np.abs(z) ** 2 >= 4
    return given, {0: lambda out: (out[:, :, 0], np.where(escaped, 3 * left, 0) % 256)}


@launch("algorithms", 2, 64)
def life(random: Any) -> Any:
    cells = random.integers(0, 2, (12, 20), dtype="u1")
    around = sum(np.roll(cells, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) - cells
    return (cells, U(20), U(12), np.zeros_like(cells)), {3: (around == 3) | ((around == 2) & (cells > 0))}


@launch("algorithms", 1, 128, tolerance=1e-3)
def BlackScholesGPU(random: Any) -> Any:
    from math import erf

    s, x, t = random.uniform(5, 30, 100), random.uniform(1, 100, 100), random.uniform(0.25, 10, 100)
    d1 = (np.log(s / x) + (0.02 + 0.3**2 / 2) * t) / (0.3 * np.sqrt(t))
    d2 = d1 - 0.3 * np.sqrt(t)
    n1, n2 = (np.array([(1 + erf(v / 2**0.5)) / 2 for v in d]) for d in (d1, d2))
    call = s * n1 - x * np.exp(-0.02 * t) * n2
    put = call - s + x * np.exp(-0.02 * t)
    given = [np.zeros(100, F), np.zeros(100, F), s.astype(F), x.astype(F), t.astype(F)]
    return (*given, 0.02, 0.3, 100), {0: call, 1: put}


@launch("algorithms", 2, 64, cooperative=True)
def jacobi(random: Any) -> Any:
    a = random.standard_normal((16, 16), F)
    x = a.astype(float)
    for _ in range(3):
        before, x = x, x.copy()
        x[1:-1, 1:-1] = (before[1:-1, :-2] + before[1:-1, 2:] + before[:-2, 1:-1] + before[2:, 1:-1]) / 4
    return (a, np.zeros_like(a), 16, 3, np.zeros(1, F)), {1: x, 4: np.abs(x - before).sum()}


@launch("algorithms", 2, 64)
def monte_carlo_pi(random: Any) -> Any:
    inside = 0
    for thread in range(128):
        state = (9 + thread) ^ 2747636419
        draws = []
        for _ in range(40):
            for shift in (13, -17, 5):
                state ^= state << shift & 0xFFFFFFFF if shift > 0 else state >> -shift
            draws.append(float(F(state) * F(2.3283064365386963e-10)))
        inside += sum(x * x + y * y <= 1 for x, y in zip(draws[::2], draws[1::2], strict=True))
    return (np.zeros(1, np.uint64), 20, U(9)), {0: inside}


@launch("language", (2, 3), (8, 4))
def median_filter(random: Any) -> Any:
    x = random.integers(0, 256, (10, 13), dtype="u1")
    padded = np.pad(x, 1, "edge")
    around = [padded[i : i + 10, j : j + 13] for i in range(3) for j in range(3)]
    return (x, np.zeros_like(x), 13, 10), {1: np.median(around, 0)}


SPAN = np.dtype({"names": ["ptr", "size"], "formats": ["u8", "i4"], "itemsize": 16})
FIELDS = np.dtype([*((f"f{q}", "u8") for q in range(10)), ("rho", "u8")])


@launch("language", (1, 6), 8, "fluid::collide_and_stream")
def collide_and_stream(random: Any) -> Any:
    f = random.random((5, 6, 7)).astype(F)
    rho, weights = f.sum(0), F([1 / 3, 1 / 6, 1 / 6, 1 / 6, 1 / 6])
    after = np.zeros_like(f)
    for q, (cx, cy) in enumerate([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]):
        post = f[q] + F(0.8) * (weights[q] * rho - f[q])
        for y in range(6):
            for x in range(7):
                if 0 <= x + cx < 7 and 0 <= y + cy < 6:
                    after[q, y + cy, x + cx] = post[y, x]
                else:
                    after[[0, 2, 1, 4, 3][q], y, x] = post[y, x]
    source = {"type": FIELDS, **{f"f{2 * q}": f[q] for q in range(5)}, "rho": np.zeros((6, 7), F)}
    target = {"type": FIELDS, **{f"f{2 * q}": np.zeros((6, 7), F) for q in range(5)}}
    expected: dict[Any, Any] = {(1, f"f{2 * q}"): after[q] for q in range(5)}
    return (source, target, 7, 6, 0.8), {(0, "rho"): rho, **expected}


@launch("language", (2, 2), (8, 8))
def ray_cast(random: Any) -> Any:
    spheres = F([[0, 0, -3, 1], [1, 1, -4, 1]])
    j, i = np.mgrid[:12, :14]
    d = np.stack([(i + 0.5) / 14 * 2 - 1, (j + 0.5) / 12 * 2 - 1, -np.ones((12, 14))], -1)
    d /= np.sqrt((d * d).sum(-1, keepdims=True))
    closest = np.full((12, 14), 1e30)
    for x, y, z, r in spheres.astype(float):
        b = d @ [-x, -y, -z]
        disc = b * b - (x * x + y * y + z * z - r * r)
        t = np.where(disc >= 0, -b - np.sqrt(np.abs(disc)), 1e30)
        closest = np.minimum(closest, np.where(t > 1e-3, t, 1e30))
    color = np.where(closest < 1e30, np.clip(1 / closest, 0, 1), 0.1) + 0.01
    return (np.zeros((12, 14, 3), F), 14, 12, spheres.view("V16"), 2), {0: np.repeat(color[..., None], 3, 2)}
