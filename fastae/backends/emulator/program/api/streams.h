// Streams, events and graphs: what program/streams.h defines.
#pragma once

cudaError_t cudaStreamCreate(cudaStream_t* stream, HERE);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags, HERE);
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority, HERE);
cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority);
cudaError_t cudaStreamGetFlags(cudaStream_t, unsigned* flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream, HERE);
cudaError_t cudaStreamSynchronize(cudaStream_t stream, HERE);
cudaError_t cudaStreamQuery(cudaStream_t stream, HERE);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned = 0, HERE);
cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t function, void* with, unsigned, HERE);
cudaError_t cudaStreamAttachMemAsync(cudaStream_t, void*, size_t = 0, unsigned = cudaMemAttachSingle);
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* with, HERE);
cudaError_t cudaEventCreate(cudaEvent_t* event, unsigned flags = cudaEventDefault, HERE);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags, HERE);
cudaError_t cudaEventDestroy(cudaEvent_t event, HERE);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr, HERE);
inline cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream = nullptr, unsigned = 0, HERE) {
  return cudaEventRecord(event, stream, at);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event, HERE);
cudaError_t cudaEventQuery(cudaEvent_t event, HERE);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end, HERE);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode = cudaStreamCaptureModeGlobal, HERE);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph, HERE);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long = 0, HERE);
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, cudaGraphNode_t*, char*, size_t, HERE) {
  return cudaGraphInstantiate(exec, graph, 0, at);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream, HERE);
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count);
inline cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long = 0, HERE) {
  return cudaGraphInstantiate(exec, graph, 0, at);
}
inline cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
