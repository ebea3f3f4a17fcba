"""Two loops, as the definition has it, in the interpreter.

Idea: σ(t) = 1 / (1 + e^−t), element by element. For t below −709 in double precision e^−t is more than a float holds,
and `math.exp` raises; σ(t) is then e^t, which is 0 when even that is too small.

Hint: t = z[i, j] + bias[j]; for t < −700 write math.exp(t), else the definition.
"""

import math


def bias_sigmoid(z, bias, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # idea
            t = float(z[i, j] + bias[j])
            out[i, j] = math.exp(t) if t < -700 else 1 / (1 + math.exp(-t))
            # end
