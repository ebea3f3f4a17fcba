"""The parts of `benchmarks/gpu.py`.

- ``parts``: both commands' parts, in order, with their limits
- ``supervisor``, ``part``, ``findings``: a process for each, what it tells, and what becomes of it
- ``machine``, ``kernels``, ``modes``, ``gpu_tests``, ``sanitizer``, ``learners``: right or wrong
- ``limits``, ``host``, ``products``, ``race``: what the device can do, and what everything takes
- ``contenders``, ``cublas``, ``launches``: who is timed; cuBLAS by a handle of our own; launches without our Python
- ``report``, ``targets``: the Markdown, and what should have been measured
- ``rehearsal``: what stands for the rest of CuPy and for cuBLAS
"""
