"""Two loops, as the definition has it, in the interpreter.

Idea: the gradient of scale · Σ (z − x)² with respect to the last layer's pre-activation is 2 scale (z − x) times
σ′ = z (1 − z), element by element.

Hint: four factors, 2 · scale, z − x, z and 1 − z; none of them may be left out.
"""


def mse_gradient(z, x, scale, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # idea
            out[i, j] = 2 * scale * (z[i, j] - x[i, j]) * z[i, j] * (1 - z[i, j])
            # end
