"""What the other tests of the compiled kernels let pass: found by `tests/attacks/mutate_kernels.py`."""
