"""Ladders: teaching versions of a kernel, slowest first, each a few lines from the last; at the top the backend's own.

- ``matmul``, ``conv``, ``sigmoid``, ``loss_gradient``: the rungs, by ``numpy``, ``numba`` and ``cuda``, files as a
  learner's
- ``rungs``: what a rung's file says of itself
- ``climb``: how fast each is, or what can be counted of it; ``figures`` draws it
- ``exercises``: a rung with its idea taken out, to be put back
- ``command``: ``fastae ladder`` and ``fastae exercise``

A rung is a file that ``fastae check`` and ``fastae train --kernels`` take; ``convolve``, which no step calls, only the
first. It begins with a docstring, in CUDA with a comment, of four paragraphs:

    The title: what is done, in a line.

    Idea: why that is faster, in terms of the machine.

    Predicted: 16 times, because ...   (of the rung below; the first has none)

    Hint: for whom the idea was taken out.

The lines from ``# idea`` to ``# end`` (``// idea`` and ``// end``) are what an exercise takes out; what is left still
compiles, and is wrong.
"""
