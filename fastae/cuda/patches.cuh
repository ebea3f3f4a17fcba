// Patches of images: read from the images, or added up from rows that hold them. The integers are those of
// fastae.layers.Geometry; the numbers of a patch are in the order (row, column, channel).
#pragma once
#include "common.cuh"

struct Geometry {
  const int height, width, kernel, stride, padding, channels;
  const int rows, columns;  // of patches in an image

  __device__ Geometry(int height, int width, int kernel, int stride, int padding, int channels)
      : height(height),
        width(width),
        kernel(kernel),
        stride(stride),
        padding(padding),
        channels(channels),
        rows((height + 2 * padding - kernel) / stride + 1),
        columns((width + 2 * padding - kernel) / stride + 1) {}
};

// Some patches, read as a matrix with a row for each: a product takes them in place of a Matrix, so that no patch is copied.
// Divisions are of unsigned numbers, which take fewer instructions.
struct Patches {
  const real* at;
  long long stride;  // from image to image
  const Geometry& g;
  int first, rows, cols;  // the first patch, how many, and the numbers of each

  // Four numbers of a patch are in one pixel, or all padding, where a pixel has a multiple of four channels.
  __device__ bool in_quads() const {
    return g.channels % 4 == 0 && stride % 4 == 0 && reinterpret_cast<unsigned long long>(at) % 16 == 0;
  }
  __device__ Quad quad(int row, int col, bool in_quads) const {
    Quad q = {};
    if (row >= rows || col >= cols) return q;
    const Corner corner = corner_of(row);
    if (in_quads) {
      const real* from = place(corner, col);
      return from ? *reinterpret_cast<const Quad*>(from) : q;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (col + i < cols)
        if (const real* from = place(corner, col + i)) q.v[i] = *from;
    return q;
  }
  __device__ real element(int row, int col) const {
    const real* from = place(corner_of(row), col);
    return from ? *from : real(0);
  }

 private:
  struct Corner {  // of a patch: its image, and its first row and column there
    const real* image;
    int top, left;
  };
  __device__ Corner corner_of(int row) const {
    const unsigned patch = first + row, line = patch / (unsigned)g.columns, image = line / (unsigned)g.rows;
    return {at + image * stride, (int)(line - image * g.rows) * g.stride - g.padding,
            (int)(patch - line * g.columns) * g.stride - g.padding};
  }
  // The address of a number of a patch, or null in the padding.
  __device__ const real* place(const Corner& corner, int col) const {
    const unsigned tap = (unsigned)col / (unsigned)g.channels, row = tap / (unsigned)g.kernel;
    const int y = corner.top + (int)row, x = corner.left + (int)(tap - row * g.kernel);
    if (y < 0 || y >= g.height || x < 0 || x >= g.width) return nullptr;
    return corner.image + (y * g.width + x) * (long long)g.channels + (col - tap * g.channels);
  }
};

// Call f(image, col, channel, sum) for every number of m images, with the sum over the patches that contain it. One thread
// gathers them, in the order of the kernel's taps, so no other thread adds to the same sum.
template <class F>
__device__ inline void each_folded(int m, const real* patches, long long stride, const Geometry& g, F f) {
  each_element(m, g.height * g.width * g.channels, [&](long long image, long long col) {
    const unsigned pixel = (unsigned)col / (unsigned)g.channels, row = pixel / (unsigned)g.width;
    const int channel = col - pixel * g.channels;
    const int y = (int)row + g.padding, x = (int)(pixel - row * g.width) + g.padding;
    real sum = 0;
    for (int i = y % g.stride, r = y / g.stride; i < g.kernel && r >= 0; i += g.stride, --r) {
      if (r >= g.rows) continue;
      for (int j = x % g.stride, c = x / g.stride; j < g.kernel && c >= 0; j += g.stride, --c)
        if (c < g.columns)
          sum += patches[((image * g.rows + r) * g.columns + c) * stride + (i * g.kernel + j) * g.channels + channel];
    }
    f(image, col, channel, sum);
  });
}
