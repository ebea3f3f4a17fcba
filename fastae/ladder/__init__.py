"""Ladders: teaching versions of a kernel. Each version, a rung, adds one idea to the one below.

The first rung is naive loops, and the last is the backend's own kernel.

- ``command``: ``fastae ladder``
- ``rungs``: reads the rungs from their files in ``matmul``, ``conv``, ``sigmoid`` and ``loss_gradient``, each with
  versions for ``numpy``, ``numba`` and ``cuda``
- ``climb``: times the rungs; ``counts``: counts what CUDA rungs do on the emulator; ``figures`` draws either
- ``exercise_command``: ``fastae exercise``; ``exercises``: a rung with its idea removed, to be restored

A rung is a file like a learner's: ``fastae check`` and ``fastae train --kernels`` take it. (``convolve`` is not called
by the training step, so only ``fastae check`` takes its rungs.) The file begins with a docstring, in CUDA with a
comment, of four paragraphs:

    Title: what the rung does, in one line.

    Idea: why that is faster, in terms of the machine.

    Predicted: 16 times, because ...   (faster than the rung below; the first rung has none)

    Hint: help for an exercise in which the idea is removed.

An exercise removes the lines from ``# idea`` to ``# end`` (``// idea`` and ``// end``). What remains must still
compile, and be wrong.
"""
