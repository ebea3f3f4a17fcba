"""The process that runs a learner's file, and what it may do there.

- `policy`, with `python_policy` and `cuda_policy`: what a file must not contain, found before anything is run
- `worker`: the process itself; it imports the file
- `confine`: what the operating system and Python deny to it
- `process`: how the judge starts a worker, asks it, times it and ends it
- `remote`: the file as a backend whose kernels run in a worker
"""
