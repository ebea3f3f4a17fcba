"""What `benchmarks/gpu.py` is made of.

- ``checks``: right or wrong, against float64 and between the modes
- ``contenders``, ``worker``: who takes part in the race, each in a process of its own
- ``cublas``: cuBLAS by a handle of our own, which can be captured
- ``limits``, ``products``: what the device can do, and what each product takes
- ``report``: the table and the figure
"""
