"""Another library's kernel is called.

Family: other people's kernels
Refused: it imports torch.nn: a kernel must not use those of PyTorch
"""


def bce_gradient(z, x, scale, out):
    import torch.nn

    out[:] = scale * torch.nn.functional.relu(torch.tensor(z - x)).numpy()
