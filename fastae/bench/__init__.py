"""The command ``fastae bench``: compare the speed of a training with other libraries and with the machine's limits.

- ``command``: the options, and the report of the results; start reading here
- ``contenders``: the same training with each library, written as its users would write it
- ``harness``: a race between contenders, which train in turn; ``worker``: the process of one contender
- ``ranks``: a race between processes that share every batch over MPI
- ``limits``: measures what the cores and the memory can do
- ``roofline``, ``operations``: each kernel, each layer and the whole step compared with those limits
- ``figures``: the pictures
"""
