"""Kernels that are right on paper and lose digits: what a student may write, in NumPy, and a few in Numba and CUDA."""

NUMPY = {  # by what it is, the kernel and its file
    "tanh for the sigmoid": """
        def bias_sigmoid(z, bias, out):
            out[:] = 0.5 * (1 + np.tanh((z + bias) / 2))
        """,
    "tanh for the sigmoid, in float64": """
        def bias_sigmoid(z, bias, out):
            out[:] = (1 + np.tanh((z + bias).astype("f8") / 2)) / 2
        """,
    "the sigmoid of -t from 1": """
        def bias_sigmoid(z, bias, out):
            out[:] = 1 - 1 / (1 + np.exp(z + bias))
        """,
    "a sigmoid that is cut off at 500": """
        def bias_sigmoid(z, bias, out):
            out[:] = 1 / (1 + np.exp(-np.clip(z + bias, -500, 500)))
        """,
    "the sigmoid for tanh": """
        def bias_tanh(z, bias, out):
            out[:] = 2 / (1 + np.exp(-2 * (z + bias))) - 1
        """,
    "one minus a fraction for tanh": """
        def bias_tanh(z, bias, out):
            out[:] = 1 - 2 / (1 + np.exp(2 * (z + bias)))
        """,
    "a quotient of exponentials for tanh": """
        def bias_tanh(z, bias, out):
            t = np.clip(z + bias, -40, 40)
            out[:] = (np.exp(t) - np.exp(-t)) / (np.exp(t) + np.exp(-t))
        """,
    "y minus its square": """
        def sigmoid_gradient(delta, y, out):
            out[:] = delta * (y - y * y)
        """,
    "the sigmoid's slope multiplied out": """
        def sigmoid_gradient(delta, y, out):
            out[:] = delta * y - delta * y * y
        """,
    "the sigmoid's slope as a completed square": """
        def sigmoid_gradient(delta, y, out):
            out[:] = delta * (0.25 - (y - 0.5) ** 2)
        """,
    "the slope of tanh as a difference of squares": """
        def tanh_gradient(delta, y, out):
            out[:] = delta * (1 + y) ** 2 - 2 * delta * y * (1 + y)
        """,
    "relu of thirds": """
        def bias_relu(z, bias, out):
            out[:] = 4 * np.maximum(z / 4 + 3 * (bias / 12), 0)
        """,
    "relu's slope by a quotient": """
        def relu_gradient(delta, y, out):
            out[:] = np.where(y > 0, delta * y / np.where(y > 0, y, 1), 0)
        """,
    "z minus its square": """
        def mse_gradient(z, x, scale, out):
            out[:] = 2 * scale * (z - x) * (z - z * z)
        """,
    "the squared error's gradient multiplied out": """
        def mse_gradient(z, x, scale, out):
            out[:] = 2 * scale * (z**2 - z**3 - x * z + x * z**2)
        """,
    "the squared error's gradient in two terms": """
        def mse_gradient(z, x, scale, out):
            out[:] = 2 * scale * z * z * (1 - z) - 2 * scale * x * z * (1 - z)
        """,
    "scale in both terms": """
        def bce_gradient(z, x, scale, out):
            out[:] = scale * z - scale * x
        """,
    "the slope of each logarithm": """
        def bce_gradient(z, x, scale, out):
            out[:] = scale * ((1 - x) * z - x * (1 - z))
        """,
    "the square multiplied out": """
        def mse_loss(z, x, out):
            out[:] = np.sum(z * z, axis=1) - 2 * np.sum(z * x, axis=1) + np.sum(x * x, axis=1)
        """,
    "the difference of the logarithms": """
        def bce_loss(z, x, out):
            p, q = np.maximum(np.log(z), -100), np.maximum(np.log1p(-z), -100)
            out[:] = -np.sum(x * (p - q) + q, axis=1)
        """,
    "one minus the rest": """
        def gather(images, order, cursor, offset, out):
            rows = order[cursor[0] + offset :][: len(out)]
            out[:] = 1 - (255 - images[rows]) / out.dtype.type(255)
        """,
    "Strassen's products": """
        def product(A, B):
            (m, k), n = A.shape, B.shape[1]
            if min(m, k, n) < 2:
                return A @ B
            p, q, r = -(-m // 2), -(-k // 2), -(-n // 2)
            a = np.pad(A, ((0, 2 * p - m), (0, 2 * q - k)))
            b = np.pad(B, ((0, 2 * q - k), (0, 2 * r - n)))
            (a11, a12), (a21, a22) = (a[:p, :q], a[:p, q:]), (a[p:, :q], a[p:, q:])
            (b11, b12), (b21, b22) = (b[:q, :r], b[:q, r:]), (b[q:, :r], b[q:, r:])
            m1, m2 = product(a11 + a22, b11 + b22), product(a21 + a22, b11)
            m3, m4 = product(a11, b12 - b22), product(a22, b21 - b11)
            m5, m6, m7 = product(a11 + a12, b22), product(a21 - a11, b11 + b12), product(a12 - a22, b21 + b22)
            return np.block([[m1 + m4 - m5 + m7, m3 + m5], [m2 + m4, m1 - m2 + m3 + m6]])[:m, :n]
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            s = alpha * product(a.T if trans_a else a, b.T if trans_b else b)
            out[:] = s if beta == 0 else s + beta * out
        """,
    "a convolution by Fourier transforms": """
        def convolve(x, weights, height, width, kernel, stride, padding, out):
            p, k = padding, kernel
            images = np.pad(x.reshape(len(x), height, width, -1), ((0, 0), (p, p), (p, p), (0, 0)))
            size = images.shape[1:3]
            taps = weights.reshape(k, k, -1, weights.shape[1])
            spectra = np.fft.rfft2(images, axes=(1, 2))[..., None] * np.conj(np.fft.rfft2(taps, size, axes=(0, 1)))
            whole = np.fft.irfft2(spectra.sum(axis=3), size, axes=(1, 2))
            rows, columns = size[0] - k + 1, size[1] - k + 1
            out[:] = whole[:, :rows:stride, :columns:stride].reshape(out.shape)
        """,
}

SUMS = {  # other ways to add, which cost a rounding or two: right, or imprecise where one is unlucky
    "a mean that is multiplied": """
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            A, B = a.T if trans_a else a, b.T if trans_b else b
            s = alpha * (np.mean(A[:, :, None] * B, axis=1) * A.shape[1])
            out[:] = s if beta == 0 else s + beta * out
        def column_sum(delta, out, alpha, beta):
            s = alpha * np.mean(delta, axis=0) * len(delta)
            out[:] = s if beta == 0 else s + beta * out
        def mse_loss(z, x, out):
            out[:] = np.mean((z - x) ** 2, axis=1) * z.shape[1]
        """,
    "alpha in every term": """
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            A, B = a.T if trans_a else a, b.T if trans_b else b
            s = np.sum(alpha * (A[:, :, None] * B), axis=1)
            out[:] = s if beta == 0 else s + beta * out
        def column_sum(delta, out, alpha, beta):
            s = np.sum(alpha * delta, axis=0)
            out[:] = s if beta == 0 else s + beta * out
        """,
    "log(1 - z) for log1p(-z)": """
        def bce_loss(z, x, out):
            p, q = np.maximum(np.log(z), -100), np.maximum(np.log(1 - z), -100)
            out[:] = -np.sum(x * p, axis=1) - np.sum((1 - x) * q, axis=1)
        """,
    "alpha before and after": """
        def axpy(alpha, x, y):
            if alpha != 0:
                y[...] = alpha * (x + y / alpha)
        """,
    "1 - y times 1 + y, multiplied out": """
        def tanh_gradient(delta, y, out):
            out[:] = delta + delta * y - y * delta - delta * y * y
        """,
}

NUMBA = """
    import math
    from numba import njit

    @njit
    def bias_sigmoid(z, bias, out):
        for i in range(z.shape[0]):
            for j in range(z.shape[1]):
                out[i, j] = (1 + math.tanh((z[i, j] + bias[j]) / 2)) / 2

    @njit
    def bias_tanh(z, bias, out):
        for i in range(z.shape[0]):
            for j in range(z.shape[1]):
                out[i, j] = 2 / (1 + math.exp(-2 * (z[i, j] + bias[j]))) - 1

    @njit
    def sigmoid_gradient(delta, y, out):
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                out[i, j] = delta[i, j] * (y[i, j] - y[i, j] * y[i, j])

    @njit
    def mse_gradient(z, x, scale, out):
        for i in range(z.shape[0]):
            for j in range(z.shape[1]):
                out[i, j] = 2 * scale * (z[i, j] - x[i, j]) * (z[i, j] - z[i, j] * z[i, j])
    """

CUDA = """
    // launch bias_sigmoid: grid (ceil(n / 64), m), block (64)
    extern "C" __global__ void bias_sigmoid(int m, int n, const real* z, long long z_stride, const real* bias,
                                            real* out, long long out_stride) {
      const int c = blockIdx.x * 64 + threadIdx.x, r = blockIdx.y;
      if (c < n) out[r * out_stride + c] = (1 + tanh((z[r * z_stride + c] + bias[c]) / 2)) / 2;
    }
    // launch sigmoid_gradient: grid (ceil(n / 64), m), block (64)
    extern "C" __global__ void sigmoid_gradient(int m, int n, const real* delta, long long delta_stride, const real* y,
                                                long long y_stride, real* out, long long out_stride) {
      const int c = blockIdx.x * 64 + threadIdx.x, r = blockIdx.y;
      if (c < n) {
        const real s = y[r * y_stride + c];
        out[r * out_stride + c] = delta[r * delta_stride + c] * (s - s * s);
      }
    }
    // launch mse_loss: grid (ceil(m / 32)), block (32)
    extern "C" __global__ void mse_loss(int m, int n, const real* z, long long z_stride, const real* x,
                                        long long x_stride, double* out) {
      const int r = blockIdx.x * 32 + threadIdx.x;
      if (r >= m) return;
      real squares = 0, products = 0;
      for (int c = 0; c < n; ++c) {
        const real p = z[r * z_stride + c], q = x[r * x_stride + c];
        squares += p * p + q * q;
        products += p * q;
      }
      out[r] = squares - 2 * products;
    }
    """
