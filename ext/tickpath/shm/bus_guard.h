/* Memory that another process may take away. A client that owns a lane may truncate its file, and the next access of the
   engine would be SIGBUS (mmap(2), "Use of a mapped region"). A guarded range is then replaced by private zeros, on which the
   engine finds nothing any more; every other SIGBUS ends the process as always. Cold but for the handler; one thread adds. */
#ifndef TICKPATH_BUS_GUARD_H
#define TICKPATH_BUS_GUARD_H
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#define BUS_GUARD_RANGES 64

static struct { uintptr_t start, end; volatile sig_atomic_t broken; } bus_guard_ranges[BUS_GUARD_RANGES];
static volatile sig_atomic_t bus_guard_count;

static void bus_guard_handler(int number, siginfo_t *info, void *context) {
  const uintptr_t address = (uintptr_t)info->si_addr;
  const int saved = errno;
  (void)context;
  for (int i = 0; i < bus_guard_count; i++) {
    if (address < bus_guard_ranges[i].start || address >= bus_guard_ranges[i].end) continue;
    if (mmap((void *)bus_guard_ranges[i].start, bus_guard_ranges[i].end - bus_guard_ranges[i].start, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) break;
    bus_guard_ranges[i].broken = 1;
    errno = saved;
    return;
  }
  signal(number, SIG_DFL);             /* not ours: the access is repeated and ends the process */
}

/* start: of a page. Returns the range's number, or -1 when there is no room or no handler. */
static int bus_guard_add(const void *start, size_t size_bytes) {
  const int i = bus_guard_count;
  struct sigaction action;
  if (i >= BUS_GUARD_RANGES) return -1;
  bus_guard_ranges[i].start = (uintptr_t)start;
  bus_guard_ranges[i].end = (uintptr_t)start + size_bytes;
  bus_guard_ranges[i].broken = 0;
  bus_guard_count = i + 1;
  action.sa_sigaction = bus_guard_handler;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  return sigaction(SIGBUS, &action, 0) ? -1 : i;
}

static int bus_guard_is_broken(int range) { return range >= 0 && bus_guard_ranges[range].broken; }
#endif
