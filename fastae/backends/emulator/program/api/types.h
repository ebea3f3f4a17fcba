// The types of CUDA's runtime API, as far as whole programs use them. (CUDA runtime API, on data types.)
#pragma once

enum cudaError {
#define ERROR(name, number, words) name = number,
#include "error_codes.h"
#undef ERROR
};
using cudaError_t = cudaError;

enum cudaMemcpyKind {
  cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault
};
enum cudaMemoryType { cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice, cudaMemoryTypeManaged };
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
  void *devicePointer, *hostPointer;
};

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;
using cudaGraph_t = struct CUgraph_st*;
using cudaGraphExec_t = struct CUgraphExec_st*;
using cudaGraphNode_t = struct CUgraphNode_st*;
using cudaMemPool_t = struct CUmemPoolHandle_st*;
using cudaHostFn_t = void (*)(void*);
using cudaStreamCallback_t = void (*)(cudaStream_t, cudaError_t, void*);
#define CUDART_CB
#define CUDARTAPI
#define cudaStreamLegacy (reinterpret_cast<cudaStream_t>(1))
#define cudaStreamPerThread (reinterpret_cast<cudaStream_t>(2))

enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed
};
enum cudaStreamCaptureStatus {
  cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive, cudaStreamCaptureStatusInvalidated
};

enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2, cudaEventInterprocess = 4 };
enum { cudaEventRecordDefault = 0, cudaEventWaitDefault = 0 };
enum { cudaHostAllocDefault = 0, cudaHostAllocPortable = 1, cudaHostAllocMapped = 2, cudaHostAllocWriteCombined = 4 };
enum { cudaHostRegisterDefault = 0, cudaHostRegisterPortable = 1, cudaHostRegisterMapped = 2, cudaHostRegisterReadOnly = 8 };
enum { cudaMemAttachGlobal = 1, cudaMemAttachHost = 2, cudaMemAttachSingle = 4 };
enum {
  cudaDeviceScheduleAuto = 0, cudaDeviceScheduleSpin = 1, cudaDeviceScheduleYield = 2,
  cudaDeviceScheduleBlockingSync = 4, cudaDeviceMapHost = 8
};
enum { cudaOccupancyDefault = 0, cudaOccupancyDisableCachingOverride = 1 };
constexpr int cudaCpuDeviceId = -1, cudaInvalidDeviceId = -2;

enum cudaFuncCache { cudaFuncCachePreferNone, cudaFuncCachePreferShared, cudaFuncCachePreferL1, cudaFuncCachePreferEqual };
enum cudaSharedMemConfig { cudaSharedMemBankSizeDefault, cudaSharedMemBankSizeFourByte, cudaSharedMemBankSizeEightByte };
enum cudaSharedCarveout {
  cudaSharedmemCarveoutDefault = -1, cudaSharedmemCarveoutMaxL1 = 0, cudaSharedmemCarveoutMaxShared = 100
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8, cudaFuncAttributePreferredSharedMemoryCarveout = 9 };
struct cudaFuncAttributes {
  size_t sharedSizeBytes, constSizeBytes, localSizeBytes;
  int maxThreadsPerBlock, numRegs, ptxVersion, binaryVersion, cacheModeCA, maxDynamicSharedSizeBytes;
  int preferredShmemCarveout;
};
enum cudaLimit {
  cudaLimitStackSize, cudaLimitPrintfFifoSize, cudaLimitMallocHeapSize, cudaLimitDevRuntimeSyncDepth,
  cudaLimitDevRuntimePendingLaunchCount, cudaLimitMaxL2FetchGranularity, cudaLimitPersistingL2CacheSize
};
enum cudaMemoryAdvise {
  cudaMemAdviseSetReadMostly = 1, cudaMemAdviseUnsetReadMostly, cudaMemAdviseSetPreferredLocation,
  cudaMemAdviseUnsetPreferredLocation, cudaMemAdviseSetAccessedBy, cudaMemAdviseUnsetAccessedBy
};
enum cudaComputeMode {
  cudaComputeModeDefault, cudaComputeModeExclusive, cudaComputeModeProhibited, cudaComputeModeExclusiveProcess
};

struct cudaLaunchAttributeValue {
  int cooperative;
};
enum cudaLaunchAttributeID { cudaLaunchAttributeIgnore, cudaLaunchAttributeCooperative = 2 };
struct cudaLaunchAttribute {
  cudaLaunchAttributeID id;
  cudaLaunchAttributeValue val;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};

// Memory of three dimensions, and arrays. Widths of the one are bytes, and of the other elements.
struct cudaExtent {
  size_t width, height, depth;
};
struct cudaPos {
  size_t x, y, z;
};
struct cudaPitchedPtr {
  void* ptr;
  size_t pitch, xsize, ysize;
};
inline cudaExtent make_cudaExtent(size_t width, size_t height, size_t depth) { return {width, height, depth}; }
inline cudaPos make_cudaPos(size_t x, size_t y, size_t z) { return {x, y, z}; }
inline cudaPitchedPtr make_cudaPitchedPtr(void* at, size_t pitch, size_t width, size_t height) { return {at, pitch, width, height}; }
using cudaArray_t = struct cudaArray*;
using cudaArray_const_t = const struct cudaArray*;
struct cudaMemcpy3DParms {
  cudaArray_t srcArray;
  cudaPos srcPos;
  cudaPitchedPtr srcPtr;
  cudaArray_t dstArray;
  cudaPos dstPos;
  cudaPitchedPtr dstPtr;
  cudaExtent extent;
  cudaMemcpyKind kind;
};

// Pools of memory, of which there is one, and which keeps nothing.
enum cudaMemPoolAttr {
  cudaMemPoolReuseFollowEventDependencies = 1, cudaMemPoolReuseAllowOpportunistic, cudaMemPoolReuseAllowInternalDependencies,
  cudaMemPoolAttrReleaseThreshold, cudaMemPoolAttrReservedMemCurrent, cudaMemPoolAttrReservedMemHigh,
  cudaMemPoolAttrUsedMemCurrent, cudaMemPoolAttrUsedMemHigh
};
enum cudaMemAllocationType { cudaMemAllocationTypeInvalid, cudaMemAllocationTypePinned };
enum cudaMemAllocationHandleType { cudaMemHandleTypeNone };
enum cudaMemLocationType { cudaMemLocationTypeInvalid, cudaMemLocationTypeDevice };
struct cudaMemLocation {
  cudaMemLocationType type;
  int id;
};
struct cudaMemPoolProps {
  cudaMemAllocationType allocType;
  cudaMemAllocationHandleType handleTypes;
  cudaMemLocation location;
  void* win32SecurityAttributes;
  size_t maxSize;
  unsigned char reserved[56];
};

struct cudaUUID_t {
  char bytes[16];
};
struct cudaDeviceProp {
  char name[256];
  cudaUUID_t uuid;
  size_t totalGlobalMem, sharedMemPerBlock;
  int regsPerBlock, warpSize;
  size_t memPitch;
  int maxThreadsPerBlock, maxThreadsDim[3], maxGridSize[3], clockRate;
  size_t totalConstMem;
  int major, minor;
  size_t textureAlignment, texturePitchAlignment;
  int deviceOverlap, multiProcessorCount, kernelExecTimeoutEnabled, integrated, canMapHostMemory, computeMode;
  int maxTexture1D, maxTexture2D[2], maxTexture3D[3], maxTexture1DLayered[2], maxTexture2DLayered[3];
  size_t surfaceAlignment;
  int concurrentKernels, ECCEnabled, pciBusID, pciDeviceID, pciDomainID, tccDriver, asyncEngineCount, unifiedAddressing;
  int memoryClockRate, memoryBusWidth, l2CacheSize, persistingL2CacheMaxSize, maxThreadsPerMultiProcessor;
  int streamPrioritiesSupported, globalL1CacheSupported, localL1CacheSupported;
  size_t sharedMemPerMultiprocessor;
  int regsPerMultiprocessor, managedMemory, isMultiGpuBoard, multiGpuBoardGroupID, hostNativeAtomicSupported;
  int singleToDoublePrecisionPerfRatio, pageableMemoryAccess, concurrentManagedAccess, computePreemptionSupported;
  int canUseHostPointerForRegisteredMem, cooperativeLaunch, cooperativeMultiDeviceLaunch;
  size_t sharedMemPerBlockOptin;
  int pageableMemoryAccessUsesHostPageTables, directManagedMemAccessFromHost, maxBlocksPerMultiProcessor;
  int accessPolicyMaxWindowSize;
  size_t reservedSharedMemPerBlock;
  int memoryPoolsSupported;
};

// Name, number, and the value for this device.
#define DEVICE_ATTRIBUTES(attribute)                                    \
  attribute(MaxThreadsPerBlock, 1, p.maxThreadsPerBlock)                \
  attribute(MaxBlockDimX, 2, p.maxThreadsDim[0])                        \
  attribute(MaxBlockDimY, 3, p.maxThreadsDim[1])                        \
  attribute(MaxBlockDimZ, 4, p.maxThreadsDim[2])                        \
  attribute(MaxGridDimX, 5, p.maxGridSize[0])                           \
  attribute(MaxGridDimY, 6, p.maxGridSize[1])                           \
  attribute(MaxGridDimZ, 7, p.maxGridSize[2])                           \
  attribute(MaxSharedMemoryPerBlock, 8, p.sharedMemPerBlock)            \
  attribute(TotalConstantMemory, 9, p.totalConstMem)                    \
  attribute(WarpSize, 10, p.warpSize)                                   \
  attribute(MaxPitch, 11, p.memPitch)                                   \
  attribute(MaxRegistersPerBlock, 12, p.regsPerBlock)                   \
  attribute(ClockRate, 13, p.clockRate)                                 \
  attribute(TextureAlignment, 14, p.textureAlignment)                   \
  attribute(GpuOverlap, 15, p.deviceOverlap)                            \
  attribute(MultiProcessorCount, 16, p.multiProcessorCount)             \
  attribute(KernelExecTimeout, 17, p.kernelExecTimeoutEnabled)          \
  attribute(Integrated, 18, p.integrated)                               \
  attribute(CanMapHostMemory, 19, p.canMapHostMemory)                   \
  attribute(ComputeMode, 20, p.computeMode)                             \
  attribute(ConcurrentKernels, 31, p.concurrentKernels)                 \
  attribute(EccEnabled, 32, p.ECCEnabled)                               \
  attribute(PciBusId, 33, p.pciBusID)                                   \
  attribute(PciDeviceId, 34, p.pciDeviceID)                             \
  attribute(TccDriver, 35, p.tccDriver)                                 \
  attribute(MemoryClockRate, 36, p.memoryClockRate)                     \
  attribute(GlobalMemoryBusWidth, 37, p.memoryBusWidth)                 \
  attribute(L2CacheSize, 38, p.l2CacheSize)                             \
  attribute(MaxThreadsPerMultiProcessor, 39, p.maxThreadsPerMultiProcessor) \
  attribute(AsyncEngineCount, 40, p.asyncEngineCount)                   \
  attribute(UnifiedAddressing, 41, p.unifiedAddressing)                 \
  attribute(PciDomainId, 50, p.pciDomainID)                             \
  attribute(ComputeCapabilityMajor, 75, p.major)                        \
  attribute(ComputeCapabilityMinor, 76, p.minor)                        \
  attribute(StreamPrioritiesSupported, 78, p.streamPrioritiesSupported) \
  attribute(GlobalL1CacheSupported, 79, p.globalL1CacheSupported)       \
  attribute(LocalL1CacheSupported, 80, p.localL1CacheSupported)         \
  attribute(MaxSharedMemoryPerMultiprocessor, 81, p.sharedMemPerMultiprocessor) \
  attribute(MaxRegistersPerMultiprocessor, 82, p.regsPerMultiprocessor) \
  attribute(ManagedMemory, 83, p.managedMemory)                         \
  attribute(IsMultiGpuBoard, 84, p.isMultiGpuBoard)                     \
  attribute(HostNativeAtomicSupported, 86, p.hostNativeAtomicSupported) \
  attribute(PageableMemoryAccess, 88, p.pageableMemoryAccess)           \
  attribute(ConcurrentManagedAccess, 89, p.concurrentManagedAccess)     \
  attribute(ComputePreemptionSupported, 90, p.computePreemptionSupported) \
  attribute(CooperativeLaunch, 95, p.cooperativeLaunch)                 \
  attribute(CooperativeMultiDeviceLaunch, 96, p.cooperativeMultiDeviceLaunch) \
  attribute(MaxSharedMemoryPerBlockOptin, 97, p.sharedMemPerBlockOptin) \
  attribute(MaxBlocksPerMultiprocessor, 106, p.maxBlocksPerMultiProcessor) \
  attribute(ReservedSharedMemoryPerBlock, 111, p.reservedSharedMemPerBlock) \
  attribute(MemoryPoolsSupported, 115, p.memoryPoolsSupported)
enum cudaDeviceAttr {
#define ENUMERATOR(name, number, value) cudaDevAttr##name = number,
  DEVICE_ATTRIBUTES(ENUMERATOR)
#undef ENUMERATOR
};
