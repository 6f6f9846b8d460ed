/* The state page's lock (ext/tickpath/shm/seqlock.h): one writer that waits for nobody, and a reader of a block of two words.

   A block that the reader accepts must be whole and of exactly the version that the sequence tells, and never older than the
   one before. */

/* Each order as seqlock.h has it; a mutant is another definition on spin's command line. */
#ifndef L1
#define L1 RELAXED          /* see L8: store seq + 1 */
#endif
#ifndef L2
#define L2 RELEASE          /* see L7: fence */
#endif
#ifndef L3
#define L3 RELAXED          /* see L6: store the block */
#endif
#ifndef L4
#define L4 RELEASE          /* see L5: store seq + 2 */
#endif
#ifndef L5
#define L5 ACQUIRE          /* see L4: load seq */
#endif
#ifndef L6
#define L6 RELAXED          /* see L3: load the block */
#endif
#ifndef L7
#define L7 ACQUIRE          /* see L2: fence */
#endif
#ifndef L8
#define L8 RELAXED          /* see L1: load seq again */
#endif
/* A statement that must be reachable; it is asserted false. */
#ifndef NEVER
#define NEVER false
#endif
#define TWO_VERSIONS_READ (last > 2 && last == 2 * VERSION_COUNT && reads > 1)

#ifndef VERSION_COUNT
#define VERSION_COUNT 6
#endif

#define THREAD_COUNT   2
#define LOCATION_COUNT 3
#define MESSAGE_COUNT  (2 * VERSION_COUNT + 1)
#include "c11.pml"

#define WRITER 0
#define READER 1
#define SEQ    0
#define LEFT   1
#define RIGHT  2
/* The block's words at the sequence s, which is even; version 0 is untouched memory. */
#define LEFT_WORD(s)  ((s) / 2)
#define RIGHT_WORD(s) ((s) / 2)

hidden byte whole, rising, unreached;          /* the properties, under the name that spin reports */

active proctype writer() {
    byte seq = 0;
    do
    :: seq < 2 * VERSION_COUNT ->
        store(L1, WRITER, SEQ, seq + 1);
        fence(L2, WRITER);
        store(L3, WRITER, LEFT, LEFT_WORD(seq + 2));
        store(L3, WRITER, RIGHT, RIGHT_WORD(seq + 2));
        store(L4, WRITER, SEQ, seq + 2);
        seq = seq + 2
    :: else -> break
    od
}

active proctype reader() {
    byte before, left, right, again;
    byte last = 0;                             /* sequence of the last block accepted */
    byte reads = 0;                            /* different versions accepted, counted up to 2 */
    do
    :: last < 2 * VERSION_COUNT ->
        load(L5, READER, SEQ, before);
        if
        :: before % 2 == 0 ->
            load(L6, READER, LEFT, left);
            load(L6, READER, RIGHT, right);
            fence(L7, READER);
            again = before;
            load(L8, READER, SEQ, again);
            d_step {
                if
                :: again == before ->
                    whole = (left == LEFT_WORD(before) && right == RIGHT_WORD(before));
                    assert(whole);
                    rising = before >= last;
                    assert(rising);
                    reads = (before > last && reads < 2 -> reads + 1 : reads);
                    last = before
                :: else
                fi;
                before = 0; left = 0; right = 0; again = 0;
                unreached = !(NEVER);
                assert(unreached)
            }
        :: else -> before = 0
        fi
    :: else -> break
    od
}
