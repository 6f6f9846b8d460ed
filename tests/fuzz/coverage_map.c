/* What the instrumented modules report to: a 64 KiB map of edges, as AFL keeps it. Preloaded into the fuzzed process,
   built without sanitizers. One thread.

   gcc's -fsanitize-coverage=trace-pc calls __sanitizer_cov_trace_pc at the start of every basic block. Python code counts
   its lines instead, through a trace function in C: one in Python would cost more than the code under test. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define MAP_BYTES 65536
#define CODE_SLOTS 4096

#define EXPORT __attribute__((visibility("default")))

static uint8_t hits[MAP_BYTES] __attribute__((aligned(64)));   /* of the running input */
static uint8_t known[MAP_BYTES] __attribute__((aligned(64)));  /* classes of hit counts seen so far, a bit each */
static uint32_t previous;
static int counting;

static inline void edge(uint32_t place) {
  uint8_t *hit = &hits[(place ^ previous) & (MAP_BYTES - 1)];
  if (*hit != 255) ++*hit;
  previous = place >> 1;
}

EXPORT void __sanitizer_cov_trace_pc(void) {
  if (!counting) return;
  uint64_t pc = (uint64_t)(uintptr_t)__builtin_return_address(0);
  edge((uint32_t)((pc * 0x9E3779B97F4A7C15ull) >> 40));
}

/* A code object's place in the map comes from its name, so that it is the same in every process. */
static uint32_t code_place(PyCodeObject *code) {
  static struct { PyCodeObject *code; uint32_t place; } cache[CODE_SLOTS];
  size_t slot = ((uintptr_t)code >> 4) & (CODE_SLOTS - 1);
  if (cache[slot].code != code) {
    const char *name = PyUnicode_AsUTF8(code->co_qualname);
    uint32_t place = 2166136261u ^ (uint32_t)code->co_firstlineno;
    if (name == NULL) PyErr_Clear();
    while (name != NULL && *name) place = (place ^ (uint8_t)*name++) * 16777619u;
    cache[slot].code = code;
    cache[slot].place = place;
  }
  return cache[slot].place;
}

static int on_python_line(PyObject *self, PyFrameObject *frame, int what, PyObject *argument) {
  (void)self;
  (void)argument;
  if (what == PyTrace_LINE && counting) {
    PyCodeObject *code = PyFrame_GetCode(frame);
    edge((code_place(code) + (uint32_t)PyFrame_GetLineNumber(frame)) * 2654435761u >> 8);
    Py_DECREF(code);
  }
  return 0;
}

EXPORT void coverage_begin(int trace_python) {
  memset(hits, 0, sizeof hits);
  previous = 0;
  if (trace_python) PyEval_SetTrace(on_python_line, NULL);
  counting = 1;
}

EXPORT void coverage_end(int trace_python) {
  counting = 0;
  if (trace_python) PyEval_SetTrace(NULL, NULL);
}

/* Hit counts of one class (1, 2, 3, 4-7, 8-15, 16-31, 32-127, more) are one finding: else each loop would be endless news. */
static uint8_t class_of(uint8_t count) {
  if (count == 0) return 0;
  if (count <= 2) return count;
  if (count == 3) return 4;
  if (count <= 7) return 8;
  if (count <= 15) return 16;
  if (count <= 31) return 32;
  return count <= 127 ? 64 : 128;
}

/* Adds the last input's edges to the known ones; returns 2 for a new edge, 1 for a new class of hit counts, else 0. */
EXPORT int coverage_merge(void) {
  int news = 0;
  for (size_t i = 0; i < MAP_BYTES; i += 8) {
    uint64_t word;
    memcpy(&word, hits + i, 8);
    if (word == 0) continue;
    for (size_t k = i; k < i + 8; k++) {
      uint8_t bits = class_of(hits[k]);
      if (bits & ~known[k]) {
        if (known[k] == 0) news = 2;
        else if (news == 0) news = 1;
        known[k] |= bits;
      }
    }
  }
  return news;
}

EXPORT int coverage_edge_count(void) {
  int count = 0;
  for (size_t i = 0; i < MAP_BYTES; i++) count += known[i] != 0;
  return count;
}
