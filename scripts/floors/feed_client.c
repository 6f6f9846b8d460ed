// The floor of bench_feed: a WebSocket client in plain C that takes frames apart and stamps each, and nothing else.
//
// Usage: feed_client CORE TAKEN          TAKEN: a file of one int64 (CLOCK_MONOTONIC ns) for each message of a run
// stdin:  round PORT COUNT busy|sleep    busy: recv is asked again and again; sleep: recv waits in the kernel
// stdout: ready, and once COUNT messages have come: done CPU_NS MESSAGES BYTES
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20 };

static int64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int open_socket(int port) {
  static const char request[] = "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  char answer[1024];
  int size = 0;
  if (connect(fd, (void *)&address, sizeof address) || send(fd, request, sizeof request - 1, 0) < 0) return -1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  do {
    ssize_t n = recv(fd, answer + size, sizeof answer - 1 - size, 0);
    if (n <= 0) return -1;
    answer[size += n] = 0;
  } while (!strstr(answer, "\r\n\r\n"));
  return strncmp(answer, "HTTP/1.1 101", 12) ? -1 : fd;
}

int main(int argc, char **argv) {
  static unsigned char buffer[BUFFER_BYTES];
  if (argc != 3) return fprintf(stderr, "feed_client: expected 2 arguments, found %d\n", argc - 1), 2;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(atoi(argv[1]), &set);
  if (sched_setaffinity(0, sizeof set, &set)) return perror("feed_client: core"), 1;
  struct stat status;
  int taken_fd = open(argv[2], O_RDWR);
  if (taken_fd < 0 || fstat(taken_fd, &status)) return perror("feed_client: stamps"), 1;
  int64_t *taken = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, taken_fd, 0);
  char line[256], how[16];
  long count;
  int port;
  while (fgets(line, sizeof line, stdin) && sscanf(line, "round %d %ld %15s", &port, &count, how) == 3) {
    int fd = open_socket(port), flags = strcmp(how, "busy") ? 0 : MSG_DONTWAIT;
    if (fd < 0) return perror("feed_client: connect"), 1;
    puts("ready");
    fflush(stdout);
    int64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID), bytes = 0;
    long messages = 0, have = 0;
    while (messages < count) {
      ssize_t n = recv(fd, buffer + have, BUFFER_BYTES - have, flags);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n <= 0) return perror("feed_client: recv"), 1;
      have += n;
      long at = 0;
      while (have - at >= 2) {
        long size = buffer[at + 1] & 127, head = 2;
        if (size == 126 && have - at >= 4) size = buffer[at + 2] << 8 | buffer[at + 3], head = 4;
        else if (size == 126) break;
        else if (size == 127 && have - at >= 10) {
          size = 0, head = 10;
          for (int k = 0; k < 8; k++) size = size << 8 | buffer[at + 2 + k];
        } else if (size == 127) break;
        if (have - at < head + size) break;
        taken[messages++] = clock_ns(CLOCK_MONOTONIC);
        bytes += size, at += head + size;
      }
      memmove(buffer, buffer + at, have - at);
      have -= at;
    }
    printf("done %ld %ld %ld\n", (long)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns), messages, (long)bytes);
    fflush(stdout);
    close(fd);
  }
  return 0;
}
