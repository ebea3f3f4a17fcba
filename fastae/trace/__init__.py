"""A launch as it ran on the emulator, on one page: what each warp did at each step, and what it cost.

- ``record``: steps of warps from the events that the emulator has recorded
- ``names``: the lines, arrays and variables of addresses
- ``page``: the steps as one HTML file; ``template`` has its parts
- ``launches``: small launches of the contract's kernels
- ``program``: the launches of a whole program, as it runs
- ``command``: ``fastae trace``
"""
