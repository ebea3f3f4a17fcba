"""The verdict on a kernel, ours or a learner's.

- ``learner``: a file of kernels as a backend
- ``cases``: what a kernel is called with; ``bounds``: how far from the exact result it may be
- ``verdict``: right or wrong, in ordinary calls; ``special``: in others; ``evidence``, ``problem``: what it is told by
- ``causes``: which known way to be wrong it is: ``formulas`` (``activation_formulas``, ``own_formulas``,
  ``patch_formulas``, ``sums``), ``edits``; ``probes``: experiments; ``patterns``, ``amounts``: what errors look like;
  ``habits``, ``launches``: what the file's text says
- ``exhibits``: the gallery of known ways; ``pictures``: errors on paper; ``speed``: how far from the machine's limit
- ``command``: ``fastae check``
"""
