/* CORE_ASSERT: what can only be false through a bug of ours. A debug build (TICKPATH_DEBUG=1) stops on the spot with the
   place and the text; a release build leaves the matter to core_check in engine.pyx, which trips the kill switch. */
#ifndef TICKPATH_CORE_ASSERT_H
#define TICKPATH_CORE_ASSERT_H
#ifdef TICKPATH_DEBUG
#include <stdio.h>
#include <stdlib.h>
#define CORE_ASSERT(x) \
  do { if (!(x)) { fprintf(stderr, "tickpath: core assertion failed: %s (%s:%d)\n", #x, __FILE__, __LINE__); abort(); } } while (0)
#else
#define CORE_ASSERT(x) ((void)0)
#endif
#endif
