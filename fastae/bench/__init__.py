"""``fastae bench``: how fast this machine trains the model, beside others' libraries and beside its own limits.

- ``contenders``: the same training by each library, as its own users would write it
- ``harness``, ``worker``: a race between them, a process each, in turn
- ``ranks``: the same among processes that share every batch, over MPI
- ``limits``: what the cores and the memory can do
- ``roofline``, ``operations``: each kernel, each layer and the step against those limits
- ``figures``, ``command``: what comes of it
"""
