/* A planted bug, to prove that the fuzzer finds one: a ladder of magic bytes, and behind it a read past the input's end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) int planted_read(const uint8_t *data, size_t size) {
  uint8_t *exact = malloc(size ? size : 1);
  int result = 0;
  if (exact == NULL) return 0;
  memcpy(exact, data, size);
  if (size >= 6 && exact[0] == 'T') {
    result = 1;
    if (exact[1] == 'P') {
      result = 2;
      if (exact[2] == 0xB7) {
        result = 3;
        if (exact[3] > 0xF0) {
          result = 4;
          if (exact[4] == '!') {
            result = 5;
            if (exact[5] == 'k') result = exact[size];
          }
        }
      }
    }
  }
  free(exact);
  return result;
}
