"""The verdict on a kernel, ours or a learner's.

- ``learner``: a file of kernels as a backend
- ``cases``: what a kernel is called with; ``bounds``: how far from the exact result it may be
- ``verdict``: right or wrong; ``causes``: what the errors look like; ``speed``: how far from the machine's limit
- ``command``: ``fastae check``
"""
