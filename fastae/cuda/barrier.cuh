// A barrier across all blocks of a grid, which must be on the device together: a cooperative launch.
#pragma once

// Count one more arrival. A thread that acquires the count sees what this thread wrote, and what this thread had seen.
__device__ inline void arrive(unsigned* arrived) {
#ifdef __CUDA_ARCH__
  asm volatile("red.release.gpu.add.u32 [%0], 1;" : : "l"(arrived) : "memory");
#else
  emulated_add_release(arrived, 1u);
#endif
}

__device__ inline unsigned arrivals(const unsigned* arrived) {
#ifdef __CUDA_ARCH__
  unsigned count;
  asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(count) : "l"(arrived) : "memory");
  return count;
#else
  return emulated_load_acquire(arrived);
#endif
}

// Wait until all blocks of the grid have arrived. `goal` counts the arrivals that thread 0 will have seen. Before thread 0
// arrives it sees what its block wrote, by __syncthreads, so one release is enough for the block.
// (PTX ISA, memory consistency model, on release and acquire patterns; compute capability 7.0 and newer.)
__device__ inline void grid_barrier(unsigned* arrived, unsigned& goal) {
  __syncthreads();
  if (threadIdx.x == 0) {
    goal += gridDim.x;
    arrive(arrived);
    while (arrivals(arrived) < goal) {
    }
  }
  __syncthreads();
}
