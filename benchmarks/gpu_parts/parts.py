"""The parts of both commands, in order: a part more is a function and a line here.

Their limits are far above what they should take, so that a slow machine is no failure; together they may be more than
the command's own, which then cuts the last ones short. What waits across the device comes last in its group, for at
most 30 s, and is not tried again once it hung.
"""

from gpu_parts.supervisor import Part

SECONDS = {"check": 270.0, "measure": 300.0}
VERSIONS = Part("versions", "machine:versions", 20)

CHECK = [
    VERSIONS,
    Part("doctor", "machine:doctor", 90, beside=True),  # most of it is Numba's compilation
    Part("kernels", "kernels:contract", 30),
    Part("operations", "kernels:operations", 25),
    Part("modes", "modes:captured", 30),
    Part("persistent", "modes:persistent", 30, persistent=True),
    Part("history", "modes:history", 60),
    Part("tests", "gpu_tests:others", 60),
    Part("tests-persistent", "gpu_tests:persistent", 30, persistent=True),
    *(Part(tool, "sanitizer:run", 30, (tool, "launched")) for tool in ("memcheck", "initcheck", "racecheck", "synccheck")),
    *(Part(f"{tool}-persistent", "sanitizer:run", 20, (tool, "persistent"), persistent=True)
      for tool in ("memcheck", "initcheck", "racecheck", "synccheck")),
    Part("learners", "learners:run", 40, ),
]  # fmt: skip

MEASURE = [
    VERSIONS,
    Part("limits", "limits:measure", 20),
    Part("host", "host:measure", 20),
    Part("ours-captured", "race:run", 25, ("fastae captured", "all")),
    Part("ours-eager", "race:run", 15, ("fastae eager", "first")),
    Part("ours-on-cublas", "race:run", 20, ("fastae on cuBLAS, captured", "first")),
    Part("ours-tf32", "race:run", 15, ("fastae captured, TF32", "first")),
    Part("products", "products:measure", 25),
    Part("torch-eager", "race:run", 40, ("PyTorch eager", "all")),
    Part("torch-captured", "race:run", 30, ("PyTorch by hand, captured", "all")),
    Part("torch-reduce-overhead", "race:run", 50, ("PyTorch compile, reduce-overhead", "all")),
    Part("jax-scan", "race:run", 45, ("JAX, scan", "all")),
    Part("torch-max-autotune", "race:run", 60, ("PyTorch compile, max-autotune", "first")),
    Part("ours-again", "race:run", 15, ("fastae captured", "again"), kept=True),
    Part("barrier", "limits:barrier", 10, persistent=True, kept=True),
    Part("ours-persistent", "race:run", 25, ("fastae persistent", "all"), persistent=True, kept=True),
]

PARTS = {"check": CHECK, "measure": MEASURE}
