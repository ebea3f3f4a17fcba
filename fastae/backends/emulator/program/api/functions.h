// Kernels by name or address: attributes, launches, occupancy.
#pragma once

#define cudaFuncSetAttribute(...) emulator::set_attribute(#__VA_ARGS__, __VA_ARGS__)
#define cudaFuncGetAttributes(attributes, ...) emulator::get_attributes(#__VA_ARGS__, attributes, __VA_ARGS__)
#define cudaLaunchKernel(...) emulator::launch_kernel(false, #__VA_ARGS__, __VA_ARGS__)
#define cudaLaunchCooperativeKernel(...) emulator::launch_kernel(true, #__VA_ARGS__, __VA_ARGS__)
#define cudaLaunchKernelExC(config, ...) emulator::launch_kernel_by_config(#__VA_ARGS__, config, __VA_ARGS__)
#define cudaLaunchKernelEx(config, ...) emulator::launch_by_config(#__VA_ARGS__, config, emulator::At::here(), __VA_ARGS__)
template <class F>
cudaError_t cudaFuncSetCacheConfig(F, cudaFuncCache) {
  return cudaSuccess;
}
template <class F>
cudaError_t cudaFuncSetSharedMemConfig(F, cudaSharedMemConfig) {
  return cudaSuccess;
}
template <class F>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, F, int threads, size_t shared, HERE) {
  return emulator::most_blocks(blocks, threads, shared, at);
}
template <class F>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, F, int threads, size_t shared, unsigned, HERE) {
  return emulator::most_blocks(blocks, threads, shared, at);
}
template <class F>
cudaError_t cudaOccupancyMaxPotentialBlockSize(int* grid, int* block, F, size_t = 0, int limit = 0, HERE) {
  return emulator::best_block(grid, block, limit, at);
}
template <class F>
cudaError_t cudaOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, F, size_t = 0, int limit = 0, unsigned = 0, HERE) {
  return emulator::best_block(grid, block, limit, at);
}
template <class F>
cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, F, int blocks, int threads, HERE) {
  return emulator::most_shared(bytes, blocks, threads, at);
}
template <class F, class S>
cudaError_t cudaOccupancyMaxPotentialBlockSizeVariableSMem(int* grid, int* block, F, S, int limit = 0, HERE) {
  return emulator::best_block(grid, block, limit, at);
}
