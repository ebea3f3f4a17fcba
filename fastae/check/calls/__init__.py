"""Calls of a kernel: with which arguments, what came of them, and what should have.

- `shapes`: the lengths and numbers of all ordinary calls
- `cases`: the arguments for them, the expected result with its bound, and the call itself
- `special`: calls for what ordinary ones do not show, such as NaN, or the output being an input
- `model`: some steps of a whole model
- `evidence`: `Call`, one call with its result
"""
