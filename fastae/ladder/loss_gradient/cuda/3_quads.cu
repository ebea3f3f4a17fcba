// Quads: a thread's four neighbours are read by one instruction, and written by one.
//
// Idea: the 32 threads of a warp execute each instruction together. If each reads the first of its four
// neighbours, they touch 16 sectors of 32 bytes, and the same ones again for the second, the third and the
// fourth. 16 bytes a thread at once are those 16 sectors once: coalesced. This needs addresses that are
// multiples of 16; if rows start at other addresses, or end within a quad, elements are processed one by one.
//
// Predicted: 4 times, from 16 sectors for 32 numbers to 4.
//
// Hint: for each row copy four of z to q.v and four of x to p.v, compute, and copy q.v to out. n - col are left of
// a row.

struct __align__(16) Quad {
  real v[4];
};

__device__ bool aligned(const real* at, long long stride) { return stride % 4 == 0 && (size_t)at % 16 == 0; }

// Copy four elements of a row, at once if they may be; or as many as are left of it.
__device__ void copy(real* to, const real* from, int left, bool quads) {
  if (quads && left >= 4) *reinterpret_cast<Quad*>(to) = *reinterpret_cast<const Quad*>(from);
  else for (int i = 0; i < min(left, 4); ++i) to[i] = from[i];
}

// launch mse_gradient: grid (ceil(n / 128), ceil(m / 64)), block (32, 8)
extern "C" __global__ void mse_gradient(int m, int n, const real* z, long long z_stride, const real* x,
                                        long long x_stride, real scale, const real* scale_at, real* out,
                                        long long out_stride) {
  const int col = (blockIdx.x * 32 + threadIdx.x) * 4, first = (blockIdx.y * 8 + threadIdx.y) * 8;
  const int last = min(first + 8, m);
  const real factor = real(2) * (scale_at ? *scale_at : scale);
  const bool quads = aligned(z, z_stride) && aligned(x, x_stride) && aligned(out, out_stride);
  Quad q = {}, p = {};
  // idea
  for (int row = first; row < last; ++row) {
    copy(q.v, z + row * z_stride + col, n - col, quads);
    copy(p.v, x + row * x_stride + col, n - col, quads);
    for (int i = 0; i < 4; ++i) q.v[i] = factor * (q.v[i] - p.v[i]) * (q.v[i] * (real(1) - q.v[i]));
    copy(out + row * out_stride + col, q.v, n - col, quads);
  }
  // end
}
