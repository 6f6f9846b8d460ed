/* The client of bench_sim.py's ws_api_reply: sends one WebSocket frame at a time over a connection that is open and logged on, and
   spins on the socket until the whole answer is there, so that what is measured is the server and the loopback.

   Build: cc -O3 -march=<the build's> sim_client.c -o sim_client      Run: ./sim_client FD FRAMES
   FRAMES is frames one after the other, each behind its length (uint32, host order). Prints ns from send to the last byte of the
   answer, one a line, and "refused N": answers without "status":200 near their beginning. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 3) { fprintf(stderr, "usage: sim_client FD FRAMES\n"); return 2; }
  const int fd = atoi(argv[1]);
  FILE *f = fopen(argv[2], "rb");
  if (!f) { perror(argv[2]); return 1; }
  static char frame[65536], answer[1 << 18];
  uint32_t size;
  int64_t refused = 0;
  while (fread(&size, sizeof size, 1, f) == 1) {
    if (size > sizeof frame || fread(frame, 1, size, f) != size) { fprintf(stderr, "sim_client: %s: not whole\n", argv[2]); return 1; }
    const int64_t begin = now_ns();
    if (send(fd, frame, size, MSG_NOSIGNAL) != (ssize_t)size) { perror("sim_client: send"); return 1; }
    size_t have = 0, need = 0, head = 2;
    for (;;) {
      const unsigned char *a = (const unsigned char *)answer;
      if (have >= 4) {
        head = a[1] < 126 ? 2 : 4;
        need = head + (a[1] < 126 ? a[1] : (size_t)a[2] << 8 | a[3]);
        if (a[1] > 126 || need >= sizeof answer) { fprintf(stderr, "sim_client: an answer is too large\n"); return 1; }
        if (have >= need) {
          if ((a[0] & 15) == 1) break;
          /* A ping: the run is too short for the server to miss the pong. */
          memmove(answer, answer + need, have -= need);
          continue;
        }
      }
      const ssize_t n = recv(fd, answer + have, sizeof answer - have, MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN)) { fprintf(stderr, "sim_client: the connection is closed\n"); return 1; }
      if (n > 0) have += (size_t)n;
    }
    const int64_t end = now_ns();
    answer[head + 40 < need ? head + 40 : need] = 0;
    if (!strstr(answer + head, "\"status\":200")) refused++;
    printf("%lld\n", (long long)(end - begin));
  }
  printf("refused %lld\n", (long long)refused);
  return 0;
}
