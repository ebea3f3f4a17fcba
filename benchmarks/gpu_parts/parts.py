"""The parts of both commands, in order. To add a part, write its function and add a line here.

Their limits are far above what they should take, so that a slow machine is no failure; together they may be more than
the command's own, which then cuts the last ones short. What waits across the device comes last in its group, for at
most 30 s, and is not tried again once it hung.
"""

from gpu_parts.supervisor import Part

SECONDS = {"check": 270.0, "measure": 300.0}
SANITIZERS = ("memcheck", "initcheck", "racecheck", "synccheck")
VERSIONS = Part("versions", "gpu_parts.machine:versions", 30)
COMPILE = Part("compile", "gpu_parts.machine:compiled", 90)  # into CuPy's cache: no later limit has to allow for it

CHECK = [
    VERSIONS,
    Part("doctor", "gpu_parts.machine:doctor", 90, beside=True),  # most of it is Numba's compilation
    COMPILE,
    Part("kernels", "gpu_parts.kernels:contract", 30),
    Part("operations", "gpu_parts.kernels:operations", 25),
    Part("convolutions", "gpu_parts.convolutions:check", 60),
    Part("modes", "gpu_parts.modes:captured", 30),
    Part("persistent", "gpu_parts.modes:persistent", 30, persistent=True),
    Part("history", "gpu_parts.modes:history", 60),
    Part("tests", "gpu_parts.gpu_tests:others", 60),
    Part("tests-persistent", "gpu_parts.gpu_tests:persistent", 30, persistent=True),
    *(Part(tool, "gpu_parts.sanitizer:run", 30, (tool, "launched")) for tool in SANITIZERS),
    *(
        Part(f"{tool}-persistent", "gpu_parts.sanitizer:run", 20, (tool, "persistent"), persistent=True)
        for tool in SANITIZERS
    ),
    Part("learners", "gpu_parts.learners:run", 40, kept=True),
]

MEASURE = [
    VERSIONS,
    COMPILE,
    Part("limits", "gpu_parts.limits:measure", 20),
    Part("host", "gpu_parts.host:measure", 20),
    Part("ours-captured", "gpu_parts.race:run", 25, ("fastae captured", "all")),
    Part("ours-eager", "gpu_parts.race:run", 15, ("fastae eager", "first")),
    Part("ours-on-cublas", "gpu_parts.race:run", 20, ("fastae on cuBLAS, captured", "first")),
    Part("ours-tf32", "gpu_parts.race:run", 15, ("fastae captured, TF32", "first")),
    Part("products", "gpu_parts.products:measure", 25),
    Part("torch-eager", "gpu_parts.race:run", 40, ("PyTorch eager", "all")),
    Part("torch-captured", "gpu_parts.race:run", 30, ("PyTorch by hand, captured", "all")),
    Part("torch-reduce-overhead", "gpu_parts.race:run", 50, ("PyTorch compile, reduce-overhead", "first")),
    Part("jax-scan", "gpu_parts.race:run", 45, ("JAX, scan", "first")),
    Part("torch-max-autotune", "gpu_parts.race:run", 60, ("PyTorch compile, max-autotune", "slow")),
    Part("ours-again", "gpu_parts.race:run", 15, ("fastae captured", "again"), kept=True),
    Part("barrier", "gpu_parts.limits:barrier", 20, persistent=True, kept=True),
    Part("ours-persistent", "gpu_parts.race:run", 25, ("fastae persistent", "all"), persistent=True, kept=True),
]

PARTS = {"check": CHECK, "measure": MEASURE}
