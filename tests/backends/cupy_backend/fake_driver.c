// An NVIDIA driver without a device, for the real CuPy to find: FAKE_VERSION is what it supports, FAKE_INIT the status
// with which it answers whatever it is asked for.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

static int setting(const char* name, int otherwise) {
  const char* text = getenv(name);
  return text ? atoi(text) : otherwise;
}

static int answer(void) { return setting("FAKE_INIT", 100); }  // 100: no device

int cuInit(unsigned flags) { return answer(); }
int cuDeviceGetCount(int* count) { return *count = 0, answer(); }
int cuDriverGetVersion(int* version) { return *version = setting("FAKE_VERSION", 13000), 0; }
int cuGetExportTable(const void** table, const void* id) { return *table = 0, 3; }

// The runtime asks for everything by name.
int cuGetProcAddress_v2(const char* name, void** function, int version, unsigned long long flags, int* status) {
  void* library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  void* ours = library ? dlsym(library, name) : 0;
  *function = ours ? ours : (void*)answer;
  if (status) *status = 0;
  return 0;
}
int cuGetProcAddress(const char* name, void** function, int version, unsigned long long flags) {
  return cuGetProcAddress_v2(name, function, version, flags, 0);
}
