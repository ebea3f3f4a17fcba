"""reshape makes a copy where the rows of a block have gaps between them, and what is written there is lost.

Right where rows follow each other, for there it is another view of the same numbers.

Cause: out.reshape.-1. is a copy where rows have gaps
"""


def relu_gradient(delta, y, out):
    flat = out.reshape(-1)
    for i, (d, t) in enumerate(zip(delta.reshape(-1), y.reshape(-1))):
        flat[i] = d if t > 0 else 0
