"""`fastae run --check`: memory that nobody has written, and streams that nothing orders."""

import sys
from pathlib import Path

import pytest

from fastae import cli

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the emulator runs on Linux")

# One program for all, so that it is compiled once; a case is chosen by its argument, and its line by the mark there.
CASES = r"""#include <cstdio>
#include <cstdlib>
#include <cstring>
struct Padded { char c; double d; int i; };
__global__ void set(int* x, int n, int step = 1, int first = 0) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) x[first + i * step] = i;     // set
}
__global__ void add(const int* x, int* y, int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = x[i] + 1;             // add
}
__global__ void bytes(char* x, int n) { for (int i = threadIdx.x; i < n; i += blockDim.x) x[i] = 1; }  // bytes
__global__ void count(int* x) { atomicAdd(x, 1); }
__global__ void members(Padded* x) { x[threadIdx.x].c = 1, x[threadIdx.x].d = 2, x[threadIdx.x].i = 3; }
__global__ void whole(const Padded* x, Padded* y) { y[threadIdx.x] = x[threadIdx.x]; }
int seen;
void look(void* h) { seen = *static_cast<int*>(h); }

int main(int, char** argv) {
  const char* name = argv[1];
#define CASE(word) if (!strcmp(name, word))
  constexpr int N = 256;
  int *p, *q, *h, own[N] = {};
  cudaMalloc(&p, N * sizeof(int));                                               // allocated
  cudaMalloc(&q, N * sizeof(int));                                               // second
  cudaMallocHost(&h, N * sizeof(int));
  memset(h, 0, N * sizeof(int));
  cudaStream_t a, b, c;
  cudaStreamCreate(&a), cudaStreamCreate(&b), cudaStreamCreateWithFlags(&c, cudaStreamNonBlocking);
  cudaEvent_t event;
  cudaEventCreate(&event);
  // Memory that nobody has written.
  CASE("read by a kernel") add<<<1, 32>>>(p, q, N);
  CASE("read in part by a kernel") {
    cudaMemset(p, 0, N * 2);
    add<<<1, 32>>>(p, q, N);
  }
  CASE("counted by a kernel") count<<<1, 1>>>(p);
  CASE("read by the host") cudaMemcpy(own, p, sizeof own, cudaMemcpyDeviceToHost);  // read by the host
  CASE("read by the host through another") {
    cudaMemcpy(q, p, sizeof own, cudaMemcpyDeviceToDevice);
    cudaMemcpy(own, q, sizeof own, cudaMemcpyDeviceToHost);                      // read by the host through another
  }
  CASE("set by cudaMemset") {
    cudaMemset(p, 0, N * sizeof(int));
    count<<<1, 32>>>(p);
    cudaMemcpy(own, p, sizeof own, cudaMemcpyDeviceToHost);
  }
  CASE("half is copied on") {
    cudaMemset(p, 0, N * 2);
    cudaMemcpy(q, p, sizeof own, cudaMemcpyDeviceToDevice);
    add<<<1, 32>>>(q, p, N / 2);
    cudaMemcpy(own, q, sizeof own / 2, cudaMemcpyDeviceToHost);
  }
  CASE("padding") {
    members<<<1, 8>>>((Padded*)p);
    whole<<<1, 8>>>((Padded*)p, (Padded*)q);
    whole<<<1, 8>>>((Padded*)q, (Padded*)p);
  }
  // Streams.
  CASE("another stream writes") {
    set<<<1, 32, 0, a>>>(p, N);                                                  // writer
    add<<<1, 32, 0, b>>>(p, q, N);
  }
  CASE("another stream has read") {
    cudaMemset(p, 0, N * 4);
    add<<<1, 32, 0, a>>>(p, q, N);                                               // reader
    set<<<1, 32, 0, b>>>(p, N);
  }
  CASE("an event of the wrong moment") {
    cudaEventRecord(event, a);
    set<<<1, 32, 0, a>>>(p, N);                                                  // late
    cudaStreamWaitEvent(b, event);
    add<<<1, 32, 0, b>>>(p, q, N);
  }
  CASE("a stream that does not wait for the default") {
    cudaMemset(p, 0, N * 4);                                                     // default
    add<<<1, 32, 0, c>>>(p, q, N);
  }
  CASE("a copy beside") {
    set<<<1, 32, 0, a>>>(p, N);                                                  // copied
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost, c);                     // a copy beside
  }
  CASE("an event") {
    set<<<1, 32, 0, a>>>(p, N);
    cudaEventRecord(event, a);
    cudaStreamWaitEvent(c, event);
    add<<<1, 32, 0, c>>>(p, q, N);
    cudaMemcpyAsync(h, q, N * 4, cudaMemcpyDeviceToHost, c);
    cudaStreamSynchronize(c);
    seen = h[3];
  }
  CASE("the host between") {
    set<<<1, 32, 0, a>>>(p, N);
    cudaStreamSynchronize(a);
    add<<<1, 32, 0, c>>>(p, q, N);
  }
  CASE("the default stream between") {
    set<<<1, 32, 0, a>>>(p, N);
    add<<<1, 32>>>(p, q, N);
    add<<<1, 32, 0, b>>>(q, p, N);
    cudaMemcpy(own, p, sizeof own, cudaMemcpyDeviceToHost);
  }
  CASE("each its part") {
    set<<<1, 32, 0, a>>>(p, N / 2, 2, 0);
    set<<<1, 32, 0, c>>>(p, N / 2, 2, 1);
    bytes<<<1, 32, 0, a>>>((char*)q, 333);
    bytes<<<1, 32, 0, c>>>((char*)q + 333, 333);
  }
  CASE("all count") {
    cudaMemset(p, 0, N * 4), cudaDeviceSynchronize();
    count<<<2, 32, 0, a>>>(p), count<<<2, 32, 0, c>>>(p);
  }
  CASE("both read") {
    cudaMemcpy(p, own, sizeof own, cudaMemcpyHostToDevice);
    add<<<1, 32, 0, a>>>(p, q, N / 2), add<<<1, 32, 0, c>>>(p, q + N / 2, N / 2);
  }
  CASE("a graph") {
    cudaGraph_t graph;
    cudaGraphExec_t run;
    cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal);
    set<<<1, 32, 0, a>>>(p, N);
    cudaEventRecord(event, a);
    cudaStreamWaitEvent(b, event);
    add<<<1, 32, 0, b>>>(p, q, N);
    cudaEventRecord(event, b);
    cudaStreamWaitEvent(a, event);
    cudaStreamEndCapture(a, &graph);
    cudaGraphInstantiate(&run, graph, 0);
    cudaGraphLaunch(run, c);
    cudaStreamSynchronize(c);
    add<<<1, 32, 0, a>>>(q, p, N);
    cudaGraphExecDestroy(run), cudaGraphDestroy(graph);
  }
  // Memory of the host.
  CASE("read too early") {
    cudaMemset(p, 0, N * 4);
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost, a);                     // to the host
    seen = h[7];                                                                 // read too early
  }
  CASE("compared too early") {
    cudaMemset(p, 0, N * 4);
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost);                        // to compare
    memcpy(own, h, sizeof own);                                                  // compared too early
  }
  CASE("written too early") {
    cudaMemcpyAsync(p, h, N * 4, cudaMemcpyHostToDevice, a);                     // from the host
    h[9] = 3;                                                                    // written too early
  }
  CASE("freed too early") {
    cudaMemcpyAsync(p, h, N * 4, cudaMemcpyHostToDevice, a);                     // from freed
    cudaFreeHost(h);                                                             // freed too early
    cudaMallocHost(&h, 4);
  }
  CASE("another stream is waited for") {
    int* m;
    cudaMallocManaged(&m, 64);                                                   // managed
    set<<<1, 16, 0, a>>>(m, 16);
    cudaStreamSynchronize(c);
    seen = m[2];                                                                 // another stream is waited for
    cudaDeviceSynchronize(), cudaFree(m);
  }
  CASE("read in time") {
    cudaMemcpyAsync(p, h, N * 4, cudaMemcpyHostToDevice, a);
    seen = h[3];
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost, a);
    cudaEventRecord(event, a);
    cudaEventSynchronize(event);
    h[9] = h[8] + 1;
  }
  CASE("memory that is not pinned") {
    cudaMemcpyAsync(p, own, N * 4, cudaMemcpyHostToDevice, a);
    own[3] = 2;
    cudaMemcpyAsync(own, p, N * 4, cudaMemcpyDeviceToHost, a);
    seen = own[3];
  }
  CASE("a function that the stream calls") {
    cudaMemcpyAsync(p, h, N * 4, cudaMemcpyHostToDevice, a);
    cudaMemcpyAsync(h, p, N * 4, cudaMemcpyDeviceToHost, a);
    cudaLaunchHostFunc(a, look, h);
  }
  CASE("a managed array in time") {
    int* m;
    cudaMallocManaged(&m, 64);
    set<<<1, 16, 0, a>>>(m, 16);
    cudaStreamSynchronize(a);
    seen = m[2];
    set<<<1, 16>>>(m, 16);
    cudaMemcpy(own, m, 64, cudaMemcpyDefault);
    seen = m[2];
    cudaFree(m);
  }
  cudaDeviceSynchronize();
  cudaEventDestroy(event);
  cudaStreamDestroy(a), cudaStreamDestroy(b), cudaStreamDestroy(c);
  cudaFree(p), cudaFree(q), cudaFreeHost(h);
  return 0;
}
"""
READ = "read before anything is written there; it lies in the 1024 bytes that cudaMalloc at cases.cu:{allocated} gave"
NOBODY = "of these 1024 bytes were never written, of the 1024 bytes that cudaMalloc at cases.cu:"
FAULTS = {  # by case: what is said, with the lines of marks
    "read by a kernel": "{add}, kernel add, block (0, 0, 0), thread (0, 0, 0) reading: global memory is " + READ,
    "read in part by a kernel": "{add}, kernel add, block (0, 0, 0), thread (0, 0, 0) reading: global memory is "
    + READ,
    "counted by a kernel": "kernel count, block (0, 0, 0), thread (0, 0, 0) in an atomic operation: global memory is "
    + READ,
    "read by the host": "{read by the host}: cudaMemcpy: 1024 " + NOBODY + "{allocated} gave",
    "read by the host through another": "{read by the host through another}: cudaMemcpy: 1024 "
    + NOBODY
    + "{second} gave",
    "another stream writes": "{add}: kernel add reads what kernel set, asked for at cases.cu:{writer} on another "
    "stream, writes: nothing orders the two",
    "another stream has read": "{set}: kernel set writes what kernel add, asked for at cases.cu:{reader} on another "
    "stream, reads: nothing orders the two",
    "an event of the wrong moment": "{add}: kernel add reads what kernel set, asked for at cases.cu:{late} on",
    "a stream that does not wait for the default": "{add}: kernel add reads what cudaMemset, asked for at "
    "cases.cu:{default} on another stream, writes",
    "a copy beside": "{a copy beside}: cudaMemcpyAsync reads what kernel set, asked for at cases.cu:{copied} on",
    "read too early": "{read too early}: the host reads this memory before cudaMemcpyAsync, asked for at "
    "cases.cu:{to the host}, has ended: cudaStreamSynchronize",
    "compared too early": "{compared too early}: the host reads this memory before cudaMemcpyAsync, asked for at "
    "cases.cu:{to compare}, has ended",
    "written too early": "{written too early}: the host writes this memory before cudaMemcpyAsync, asked for at "
    "cases.cu:{from the host}, has ended",
    "freed too early": "{freed too early}: cudaFreeHost: it is freed before cudaMemcpyAsync, asked for at "
    "cases.cu:{from freed}, has ended",
    "another stream is waited for": "{another stream is waited for}: the host reads managed memory, of the 64 bytes "
    "that cudaMallocManaged at cases.cu:{managed} gave, before it has waited for the kernel that uses it",
}
RIGHT = (
    "set by cudaMemset", "half is copied on", "padding", "an event", "the host between", "the default stream between",
    "each its part", "all count", "both read", "a graph", "read in time", "memory that is not pinned",
    "a function that the stream calls", "a managed array in time",
)  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cases") / "cases.cu"
    path.write_text(CASES, encoding="utf-8")
    return path


def with_lines(words: str) -> str:
    """Put in lines for marks; a message that begins with one begins with the file."""
    marks = [text.partition("// ")[2] for text in CASES.splitlines()]
    parts = words.replace("}", "{").split("{")
    text = "".join(f"{marks.index(part) + 1}" if i % 2 else part for i, part in enumerate(parts))
    return f"fastae: cases.cu:{text}" if words.startswith("{") else text


@pytest.mark.feature("host programs", "global memory that nobody has written, and streams that nothing orders")
@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_told_by_its_lines(case: str, program: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["run", "--check", str(program), "--", case])
    said = capfd.readouterr().err
    assert with_lines(FAULTS[case]) in said
    assert said.count("\n") == 1
    assert status == 1


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_is_not_accused(case: str, program: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["run", "--check", str(program), "--", case])
    assert capfd.readouterr().err == ""
    assert status == 0
