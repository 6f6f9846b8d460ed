// A venue on loopback for bench_feed and bench_connections: WebSocket handshake, then recorded messages on schedule, spinning
// on its own core, the same for every client. Payloads stay as they were recorded: when each was due and when it was given to
// the kernel stands in shared memory, by its number.
//
// Usage: feed_server CORE MESSAGES TIMES EXCHANGE_INFO DEPTH
//   MESSAGES       u32 count, then u32 size and the bytes of each
//   TIMES          a file of two int64 (due, sent; CLOCK_MONOTONIC ns) for each message of a run
//   EXCHANGE_INFO, DEPTH   bodies that GET requests are answered with, by what their path holds
// stdin:  send COUNT RATE               the first COUNT messages to the newest connection, RATE a second (0: as fast as it goes)
//         mix COUNT RATE BACKGROUND     the same, and meanwhile BACKGROUND messages a second in turn to all other connections
//         count                         how many connections there are
// stdout: port N;  sent COUNT OTHERS NS;  count N;  failed REASON
// Messages that are due together leave in one send, as they would from a venue's own buffer.
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
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FDS = 1 << 20, MAX_REQUEST = 16384, MAX_SEND = 64 << 10, SERVICE_NS = 5000000 };

struct client { unsigned char *held; int held_bytes; int upgraded; int place; };

static struct client *clients;          // by descriptor
static int *websockets, websocket_count; // in the order in which they came; the last is the measured one
static int epoll_fd, listen_fd;
static unsigned char *frames;
static int64_t *frame_at, message_count;
static int64_t *times;
static char *bodies[2];

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "feed_server: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint32_t rotl(uint32_t x, int n) { return x << n | x >> (32 - n); }

// SHA-1 of at most 119 bytes (FIPS 180-4): the handshake's key and its constant are 60.
static void sha1(const unsigned char *data, size_t size, unsigned char out[20]) {
  unsigned char block[128] = {0};
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  size_t total = size + 9 > 64 ? 128 : 64;
  memcpy(block, data, size);
  block[size] = 0x80;
  for (int i = 0; i < 8; i++) block[total - 1 - i] = (uint64_t)size * 8 >> (8 * i);
  for (size_t at = 0; at < total; at += 64) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++) {
      const unsigned char *p = block + at + 4 * i;
      w[i] = (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
    }
    for (int i = 16; i < 80; i++) w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
      uint32_t t = rotl(a, 5) + f + e + k + w[i];
      e = d, d = c, c = rotl(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 20; i++) out[i] = h[i / 4] >> (24 - 8 * (i % 4));
}

static void accept_key(const char *key, int size, char out[29]) {
  static const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned char text[128], digest[21] = {0};
  memcpy(text, key, size);
  memcpy(text + size, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
  sha1(text, size + 36, digest);
  for (int i = 0; i < 7; i++) {
    uint32_t v = digest[3 * i] << 16 | digest[3 * i + 1] << 8 | digest[3 * i + 2];
    for (int k = 0; k < 4; k++) out[4 * i + k] = letters[v >> (18 - 6 * k) & 63];
  }
  out[27] = '=', out[28] = 0;
}

static char *read_all(const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  if (!f) die(path);
  fseek(f, 0, SEEK_END);
  *size = ftell(f);
  rewind(f);
  char *data = malloc(*size + 1);
  if (!data || fread(data, 1, *size, f) != *size) die(path);
  data[*size] = 0;
  fclose(f);
  return data;
}

// All messages as unmasked text frames, one behind the other, so that any run of them is one send.
static void build_frames(const char *path) {
  size_t size;
  unsigned char *data = (unsigned char *)read_all(path, &size), *p = data + 4;
  message_count = *(uint32_t *)data;
  frames = malloc(size + 10 * (size_t)message_count);
  frame_at = malloc((message_count + 1) * sizeof(int64_t));
  int64_t at = 0;
  for (int64_t i = 0; i < message_count; i++) {
    uint32_t n;
    memcpy(&n, p, 4);
    frame_at[i] = at;
    frames[at++] = 0x81;
    if (n < 126) frames[at++] = n;
    else if (n < 65536) frames[at++] = 126, frames[at++] = n >> 8, frames[at++] = n;
    else {
      frames[at++] = 127;
      for (int k = 7; k >= 0; k--) frames[at++] = (uint64_t)n >> (8 * k);
    }
    memcpy(frames + at, p + 4, n);
    at += n, p += 4 + n;
  }
  frame_at[message_count] = at;
  free(data);
}

static int put(int fd, const void *data, int64_t size) {
  for (int64_t done = 0; done < size;) {
    ssize_t n = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    done += n;
  }
  return 0;
}

static void drop(int fd) {
  if (clients[fd].upgraded) {
    int place = clients[fd].place;
    memmove(websockets + place, websockets + place + 1, (websocket_count - place - 1) * sizeof(int));
    websocket_count--;
    for (int i = place; i < websocket_count; i++) clients[websockets[i]].place = i;
  }
  free(clients[fd].held);
  memset(&clients[fd], 0, sizeof(struct client));
  close(fd);
}

// One request of `size` bytes; 0, or -1 when the connection is to end.
static int on_request(int fd, char *request) {
  char answer[512], key[29];
  char *at = strcasestr(request, "\r\nsec-websocket-key:");
  if (at) {
    at += 20;
    while (*at == ' ') at++;
    int size = strcspn(at, " \r\n");
    if (size > 64) return -1;
    accept_key(at, size, key);
    int n = snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n\r\n", key);
    clients[fd].upgraded = 1, clients[fd].place = websocket_count;
    websockets[websocket_count++] = fd;
    return put(fd, answer, n);
  }
  char *line_end = strstr(request, "\r\n");
  *line_end = 0;
  const char *body = strstr(request, "exchangeInfo") ? bodies[0] : strstr(request, "depth") ? bodies[1] : "{}";
  int n = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                   strlen(body));
  return put(fd, answer, n) || put(fd, body, strlen(body)) ? -1 : 0;
}

// One masked frame of a client, if it is whole: its size, 0 when more must come, -1 when the connection is to end.
static int on_frame(int fd, unsigned char *p, int size) {
  if (size < 6) return 0;
  int length = p[1] & 127, head = 6;
  if (!(p[1] & 128) || length == 127) return -1;
  if (length == 126) {
    if (size < 8) return 0;
    length = p[2] << 8 | p[3], head = 8;
  }
  if (size < head + length) return 0;
  int kind = p[0] & 15;
  if (kind == 8) return -1;
  if (kind == 9) {
    unsigned char pong[2 + 125] = {0x8A, (unsigned char)length};
    if (length > 125) return -1;
    for (int i = 0; i < length; i++) pong[2 + i] = p[head + i] ^ p[head - 4 + (i & 3)];
    if (put(fd, pong, 2 + length)) return -1;
  }
  if (kind == 1) {
    // A request with an id (a subscription) is accepted, whatever it asks for: every connection gets every message.
    char text[65536], answer[64];
    for (int i = 0; i < length; i++) text[i] = p[head + i] ^ p[head - 4 + (i & 3)];
    text[length] = 0;
    char *id = strstr(text, "\"id\":");
    if (id) {
      int n = snprintf(answer + 2, sizeof answer - 2, "{\"result\":null,\"id\":%ld}", strtol(id + 5, NULL, 10));
      answer[0] = (char)0x81, answer[1] = n;
      if (put(fd, answer, 2 + n)) return -1;
    }
  }
  return head + length;
}

static void on_readable(int fd) {
  static unsigned char buffer[2 * MAX_REQUEST + 1];
  struct client *c = &clients[fd];
  int have = c->held_bytes;
  memcpy(buffer, c->held, have);
  ssize_t n = recv(fd, buffer + have, MAX_REQUEST, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return drop(fd);
  have += n;
  buffer[have] = 0;
  unsigned char *p = buffer;
  while (have > 0) {
    int taken;
    if (c->upgraded) taken = on_frame(fd, p, have);
    else {
      char *end = strstr((char *)p, "\r\n\r\n");
      taken = !end ? 0 : on_request(fd, (char *)p) ? -1 : end + 4 - (char *)p;
    }
    if (taken < 0) return drop(fd);
    if (taken == 0) break;
    p += taken, have -= taken;
  }
  if (have > MAX_REQUEST) return drop(fd);
  if (have > 0) c->held = realloc(c->held, have), memcpy(c->held, p, have);
  else free(c->held), c->held = NULL;
  c->held_bytes = have;
}

// What clients ask for, and new clients; returns whether stdin has a line.
static int service(int timeout_ms) {
  struct epoll_event events[256];
  int n = epoll_wait(epoll_fd, events, 256, timeout_ms), asked = 0;
  for (int i = 0; i < n; i++) {
    int fd = events[i].data.fd;
    if (fd == 0) asked = 1;
    else if (fd != listen_fd) on_readable(fd);
    else for (int k; (k = accept4(listen_fd, NULL, NULL, 0)) >= 0;) {
      int one = 1;
      struct timeval limit = {10, 0};
      setsockopt(k, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      setsockopt(k, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      epoll_ctl(epoll_fd, EPOLL_CTL_ADD, k, &(struct epoll_event){.events = EPOLLIN, .data.fd = k});
    }
  }
  return asked;
}

// How many messages from `first` on fit into one send, at most `count`.
static int64_t chunk(int64_t first, int64_t count) {
  int64_t n = 1;
  while (n < count && frame_at[first + n + 1] - frame_at[first] <= MAX_SEND) n++;
  return n;
}

static const char *run(int64_t count, double rate, double background_rate) {
  if (websocket_count == 0) return "no connection";
  if (count < 1 || count > message_count) return "not so many messages";
  int fd = websockets[websocket_count - 1], others = websocket_count - 1, turn = 0;
  int64_t start = now_ns() + 1000000, sent = 0, background = 0, serviced = start;
  double gap = rate > 0 ? 1e9 / rate : 0, background_gap = background_rate > 0 && others ? 1e9 / background_rate : 0;
  while (sent < count) {
    int64_t now = now_ns();
    int64_t due = now < start ? 0 : gap > 0 ? (int64_t)((now - start) / gap) + 1 : count;
    if (due > count) due = count;
    if (due > sent) {
      int64_t n = chunk(sent, due - sent);
      for (int64_t i = sent; i < sent + n; i++) times[2 * i] = gap > 0 ? start + (int64_t)(i * gap) : now, times[2 * i + 1] = now;
      if (put(fd, frames + frame_at[sent], frame_at[sent + n] - frame_at[sent])) return "the connection ended";
      sent += n;
      continue;
    }
    if (background_gap > 0 && now >= start + (int64_t)(background * background_gap)) {
      int64_t i = background % message_count;
      if (put(websockets[turn], frames + frame_at[i], frame_at[i + 1] - frame_at[i])) return "another connection ended";
      background++, turn = turn + 1 == others ? 0 : turn + 1;
    } else if (background_gap > 0 && now - serviced > SERVICE_NS) {
      int before = websocket_count;
      service(0);
      if (websocket_count != before) return "another connection came or went";
      serviced = now;
    }
  }
  printf("sent %ld %ld %ld\n", (long)sent, (long)background, (long)(now_ns() - start));
  fflush(stdout);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "feed_server: expected 5 arguments, found %d\n", argc - 1), 2;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(atoi(argv[1]), &set);
  if (sched_setaffinity(0, sizeof set, &set)) die("core");
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max < MAX_FDS ? files.rlim_max : MAX_FDS;
  setrlimit(RLIMIT_NOFILE, &files);
  clients = calloc(files.rlim_cur, sizeof(struct client));
  websockets = calloc(files.rlim_cur, sizeof(int));
  build_frames(argv[2]);
  size_t size;
  bodies[0] = read_all(argv[4], &size), bodies[1] = read_all(argv[5], &size);
  int times_fd = open(argv[3], O_RDWR);
  times = mmap(NULL, 16 * message_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, times_fd, 0);
  if (times_fd < 0 || times == MAP_FAILED) die(argv[3]);
  listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t address_size = sizeof address;
  if (bind(listen_fd, (void *)&address, sizeof address) || listen(listen_fd, 4096)) die("listen");
  getsockname(listen_fd, (void *)&address, &address_size);
  epoll_fd = epoll_create1(0);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = listen_fd});
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN, .data.fd = 0});
  printf("port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  char line[256];
  for (;;) {
    if (!service(-1)) continue;
    // One line at a time is asked, and the next only when this one is answered.
    ssize_t n = read(0, line, sizeof line - 1);
    if (n <= 0) return 0;
    line[n] = 0;
    long count;
    double rate = 0, background_rate = 0;
    const char *failed = NULL;
    if (sscanf(line, "send %ld %lf", &count, &rate) == 2) failed = run(count, rate, 0);
    else if (sscanf(line, "mix %ld %lf %lf", &count, &rate, &background_rate) == 3) failed = run(count, rate, background_rate);
    else if (!strncmp(line, "count", 5)) printf("count %d\n", websocket_count);
    else failed = "unknown command";
    if (failed) printf("failed %s\n", failed);
    fflush(stdout);
  }
}
