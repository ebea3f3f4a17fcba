// Streams, events and graphs. Each operation runs at once, so there is nothing to wait for; but what CUDA shows only after
// waiting, such as a kernel's failure, is shown only then.
#pragma once

namespace emulator {

inline cudaError_t new_stream(cudaStream_t* stream, unsigned flags, int priority, At at) {
  const Fencing own;
  const std::lock_guard<std::recursive_mutex> guard(device_lock);
  *stream = new CUstream_st{at};
  (*stream)->flags = flags, (*stream)->priority = priority;
  several = true;
  live_streams.insert(*stream);
  return cudaSuccess;
}


}  // namespace emulator

#define KNOWN_STREAM \
  if (!is_stream(stream)) return call.wrong(cudaErrorInvalidResourceHandle, "the stream does not exist: it was not created, or is destroyed");
#define KNOWN_EVENT(event) \
  if (!live_events.count(event)) return call.wrong(cudaErrorInvalidResourceHandle, "the event does not exist: it was not created, or is destroyed");
#define NOT_CAPTURING \
  for (CUstream_st* s : live_streams)                         \
    if (s->captured) return call.wrong(cudaErrorStreamCaptureUnsupported, "the host may not wait while a stream is captured");

cudaError_t cudaDeviceSynchronize(emulator::At at) {
  ENTER("cudaDeviceSynchronize");
  NOT_CAPTURING
  host_waits_for_all();
  return waited();
}
cudaError_t cudaDeviceReset(emulator::At at) {
  using namespace emulator;
  const Entered call("cudaDeviceReset", at);
  host_waits_for_all(), waited();
  while (!live.empty()) release_allocation(live.begin()->second, at);
  heap_next = heap_end = nullptr, heap_free.clear(), heap_freed.clear();
  last = sticky = pending = cudaSuccess;
  forget_history(), live_streams.clear(), live_events.clear();
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream, emulator::At at) { return emulator::new_stream(stream, 0, 0, at); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags, emulator::At at) {
  return emulator::new_stream(stream, flags, 0, at);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority, emulator::At at) {
  return emulator::new_stream(stream, flags, std::max(-5, std::min(priority, 0)), at);
}
cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  *priority = reinterpret_cast<uintptr_t>(stream) <= 2 ? 0 : stream->priority;
  return cudaSuccess;
}
cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned* flags) {
  *flags = reinterpret_cast<uintptr_t>(stream) <= 2 ? 0 : stream->flags;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream, emulator::At at) {
  ENTER("cudaStreamDestroy");
  if (!live_streams.count(stream)) return call.wrong(cudaErrorInvalidResourceHandle, "the stream does not exist: it was not created, or is destroyed");
  live_streams.erase(stream);
  forget_stream(stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream, emulator::At at) {
  ENTER("cudaStreamSynchronize");
  KNOWN_STREAM NOT_CAPTURING
  host_waits_for_stream(stream);
  return waited();
}
cudaError_t cudaStreamQuery(cudaStream_t stream, emulator::At at) {
  ENTER("cudaStreamQuery");
  KNOWN_STREAM
  host_waits_for_stream(stream);
  return waited();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned, emulator::At at) {
  ENTER("cudaStreamWaitEvent");
  KNOWN_STREAM KNOWN_EVENT(event)
  CUstream_st* const origin = event->captured_on;
  if (origin && live_streams.count(origin) && origin->captured && reinterpret_cast<uintptr_t>(stream) > 2)
    stream->captured = origin->captured, stream->origin = origin->origin;
  if (!capture_of(stream)) wait_for_event(stream, event);
  return cudaSuccess;
}
cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t function, void* with, unsigned, emulator::At at) {
  ENTER("cudaStreamAddCallback");
  KNOWN_STREAM
  show_printed();
  const Called in(stream);
  function(stream, pending, with);
  return cudaSuccess;
}
cudaError_t cudaStreamAttachMemAsync(cudaStream_t, void*, size_t, unsigned) { return cudaSuccess; }
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* with, emulator::At at) {
  ENTER("cudaLaunchHostFunc");
  KNOWN_STREAM
  submit(stream, [=] {
    show_printed();
    const Called in(stream);
    function(with);
  });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags, emulator::At at) {
  const std::lock_guard<std::recursive_mutex> guard(emulator::device_lock);
  *event = new CUevent_st{at};
  (*event)->flags = flags;
  emulator::live_events.insert(*event);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event, unsigned flags, emulator::At at) {
  return cudaEventCreateWithFlags(event, flags, at);
}
cudaError_t cudaEventDestroy(cudaEvent_t event, emulator::At at) {
  ENTER("cudaEventDestroy");
  KNOWN_EVENT(event)
  live_events.erase(event);
  forget_event(event);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream, emulator::At at) {
  ENTER("cudaEventRecord");
  KNOWN_EVENT(event) KNOWN_STREAM
  event->captured_on = capture_of(stream) ? stream : nullptr;
  submit(stream, [event, stream] {
    if (!live_events.count(event)) return;
    event->recorded = true, event->when = std::chrono::steady_clock::now();
    record_event(event, stream);
  });
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event, emulator::At at) {
  ENTER("cudaEventSynchronize");
  KNOWN_EVENT(event) NOT_CAPTURING
  host_waits_for_event(event);
  return waited();
}
cudaError_t cudaEventQuery(cudaEvent_t event, emulator::At at) {
  ENTER("cudaEventQuery");
  KNOWN_EVENT(event)
  host_waits_for_event(event);
  return waited();
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end, emulator::At at) {
  ENTER("cudaEventElapsedTime");
  KNOWN_EVENT(begin) KNOWN_EVENT(end)
  if (!begin->recorded || !end->recorded)
    return call.wrong(cudaErrorInvalidResourceHandle, "an event has not been recorded: cudaEventRecord comes before");
  if ((begin->flags | end->flags) & cudaEventDisableTiming)
    return call.wrong(cudaErrorInvalidResourceHandle, "an event was created with cudaEventDisableTiming");
  *milliseconds = std::chrono::duration<float, std::milli>(end->when - begin->when).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode, emulator::At at) {
  ENTER("cudaStreamBeginCapture");
  KNOWN_STREAM
  if (reinterpret_cast<uintptr_t>(stream) <= 2) return call.wrong(cudaErrorStreamCaptureUnsupported, "the default stream cannot be captured");
  if (stream->captured) return call.wrong(cudaErrorIllegalState, "the stream is captured already");
  stream->captured = new CUgraph_st, stream->origin = stream;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph, emulator::At at) {
  ENTER("cudaStreamEndCapture");
  KNOWN_STREAM
  *graph = nullptr;
  if (!capture_of(stream) || stream->origin != stream)
    return call.wrong(cudaErrorStreamCaptureUnmatched, "the capture was not begun on this stream");
  *graph = stream->captured;
  for (CUstream_st* s : live_streams)
    if (s->captured == *graph) s->captured = nullptr, s->origin = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = emulator::capture_of(stream) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long, emulator::At at) {
  ENTER("cudaGraphInstantiate");
  if (!graph) return call.wrong(cudaErrorInvalidValue, "there is no graph");
  *exec = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream, emulator::At at) {
  ENTER("cudaGraphLaunch");
  KNOWN_STREAM
  if (!exec) return call.wrong(cudaErrorInvalidValue, "there is no graph");
  show_printed();
  replays = true, replays_on = stream;  // branches count as one after another
  for (const auto& work : exec->work) work();
  replays = false;
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  if (nodes) return cudaErrorNotSupported;
  *count = graph->work.size();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
