// What all kernels share. Compiled with -Dreal=float or -Dreal=double.
//
// A matrix is a pointer and its row stride in elements; its rows are contiguous. A number that may change between
// replays of a captured step is two arguments: a value, and an address on the device that is read instead unless it is
// null.
#pragma once

#define WARP 32
#define THREADS 256  // of a block

__device__ inline real number(real value, const real* address) { return address ? *address : value; }

struct __align__(16) Quad {
  real v[4];
};

struct Matrix {  // in memory
  const real* at;
  long long stride;
  int rows, cols;

  // Whether four elements from a multiple of four on are a Quad, and all inside or all outside.
  __device__ bool in_quads() const {
    return cols % 4 == 0 && stride % 4 == 0 && reinterpret_cast<unsigned long long>(at) % 16 == 0;
  }
  // Four elements of a row, 0 where there is no element.
  __device__ Quad quad(int row, int col, bool in_quads) const {
    Quad q = {};
    if (row >= rows || col >= cols) return q;
    const real* from = at + row * stride + col;
    if (in_quads) return *reinterpret_cast<const Quad*>(from);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (col + i < cols) q.v[i] = from[i];
    return q;
  }
};

// Call f(row, col) for every element of a matrix, by one thread of the grid each. A division of 64 bits costs more than all
// else, so it is done only where there are that many elements.
template <class F>
__device__ inline void each_element(int rows, int cols, F f) {
  const long long count = (long long)rows * cols;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < count; i += (long long)gridDim.x * blockDim.x) {
    const long long row = count >> 32 ? i / cols : (unsigned)i / (unsigned)cols;
    f(row, i - row * cols);
  }
}

// Division by a power of two whose exponent is known: a shift and a mask instead of some 30 instructions each.
__device__ inline int over(int i, int log) { return i >> log; }
__device__ inline int rest(int i, int log) { return i & ((1 << log) - 1); }

// Call f(task) for `count` tasks from `first` on, by one block of the grid each. Tasks are dealt to the blocks in turn,
// after those that were dealt `before` in the same phase.
template <class F>
__device__ inline void each_task(int first, int count, int& before, F f) {
  const int blocks = gridDim.x;
  for (int i = (blockIdx.x + blocks - before % blocks) % blocks; i < count; i += blocks) f(first + i);
  before += count;
}
