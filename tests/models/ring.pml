/* The event ring (ext/tickpath/shm/ring.h): one writer that waits for nobody, and a reader that attaches at any time.

   The events lap the slots several times. The reader must never deliver a torn slot, must go up in sequence, must account for
   every sequence as either delivered or missed, may miss only what has been overwritten, and must find every slot up to a head
   that it was told. */

/* Each order as ring.h has it; a mutant is another definition on spin's command line. */
#ifndef W1
#define W1 RELAXED          /* see R4: store 0 to slot.seq */
#endif
#ifndef W2
#define W2 RELEASE          /* see R3: fence */
#endif
#ifndef W3
#define W3 RELAXED          /* see R2: store the payload */
#endif
#ifndef W4
#define W4 RELEASE          /* see R1: store the sequence to slot.seq */
#endif
#ifndef H1
#define H1 RELEASE          /* see H2: store head after the last slot of an input */
#endif
#ifndef R1
#define R1 ACQUIRE          /* see W4: load slot.seq */
#endif
#ifndef R2
#define R2 RELAXED          /* see W3: load the payload */
#endif
#ifndef R3
#define R3 ACQUIRE          /* see W2: fence */
#endif
#ifndef R4
#define R4 RELAXED          /* see W1: load slot.seq again */
#endif
#ifndef H2
#define H2 ACQUIRE          /* see H1: load head */
#endif
/* How far above the oldest slot a lapped reader begins again: 0 here, an eighth of the ring in the product. */
#ifndef MARGIN_SLOTS
#define MARGIN_SLOTS 0
#endif
/* A statement that must be reachable; it is asserted false. */
#ifndef NEVER
#define NEVER false
#endif
#define LAST_EVENT_DELIVERED   (last == EVENT_COUNT)
#define GAP_BETWEEN_DELIVERIES (next > last + 1 && last > 0)

#ifndef SLOT_COUNT
#define SLOT_COUNT 2
#endif
#ifndef EVENT_COUNT
#define EVENT_COUNT 8
#endif
#define MASK (SLOT_COUNT - 1)

#define THREAD_COUNT   2
#define LOCATION_COUNT (3 * SLOT_COUNT + 1)
#define MESSAGE_COUNT  (EVENT_COUNT + 2)        /* two a lap: an odd count gives slot 1 one more than half of them */
#include "c11.pml"

#define WRITER 0
#define READER 1
#define SEQ(s)   ((s) & MASK)
#define LEFT(s)  (SLOT_COUNT + ((s) & MASK))
#define RIGHT(s) (2 * SLOT_COUNT + ((s) & MASK))
#define HEAD     (3 * SLOT_COUNT)
/* The two payload words of a sequence; unwritten memory is 0. */
#define LEFT_WORD(s)  (s)
#define RIGHT_WORD(s) ((s) + 100)
/* Inputs are of one slot and of two, in turn. */
#define ENDS_INPUT(s) ((s) % 3 != 2)

byte published_at[EVENT_COUNT + 1];            /* index of W4's message in the list of its slot.seq; 0: not yet */
hidden byte untorn, rising, accounted, overwritten, found, unreached;       /* the properties, under the name that spin reports */

active proctype writer() {
    byte s = 1;
    do
    :: s <= EVENT_COUNT ->
        store(W1, WRITER, SEQ(s), 0);
        fence(W2, WRITER);
        store(W3, WRITER, LEFT(s), LEFT_WORD(s));
        store(W3, WRITER, RIGHT(s), RIGHT_WORD(s));
        atomic {
            store(W4, WRITER, SEQ(s), s);
            published_at[s] = newest[SEQ(s)]
        }
        if
        :: ENDS_INPUT(s) -> store(H1, WRITER, HEAD, s)
        :: else
        fi;
        s++
    :: else -> break
    od
}

/* From here on R1 on the slot of `head` gives that sequence or something of a later lap: never what was there before. */
inline check_told() {
    d_step {
        found = (head == 0 || VIEW(cur, READER, SEQ(head)) >= published_at[head]);
        assert(found)
    }
}

active proctype reader() {
    byte next = 1, seq, left, right, again, head, oldest;
    byte settled = 1;                          /* first + delivered + missed */
    byte last = 0;                             /* the last sequence delivered */

    load(H2, READER, HEAD, head);
    check_told();
    atomic {
        if
        :: head > MASK -> next = head - MASK   /* "oldest" */
        :: next = head + 1                     /* "latest" */
        :: next = 1                            /* a sequence that may be long gone */
        fi;
        settled = next;
        head = 0
    }
    do
    :: next <= EVENT_COUNT ->
        load(R1, READER, SEQ(next), seq);
        if
        :: seq == next ->
            load(R2, READER, LEFT(next), left);
            load(R2, READER, RIGHT(next), right);
            fence(R3, READER);
            again = seq;
            load(R4, READER, SEQ(next), again);
            d_step {
                if
                :: again == seq ->
                    untorn = (left == LEFT_WORD(next) && right == RIGHT_WORD(next));
                    assert(untorn);
                    rising = next > last;
                    assert(rising);
                    last = next;
                    settled++;
                    next++;
                    accounted = settled == next;
                    assert(accounted)
                :: else
                fi;
                seq = 0; left = 0; right = 0; again = 0
            }
        :: seq > next ->
            load(H2, READER, HEAD, head);
            check_told();
            d_step {
                oldest = (seq > head -> seq : head) - MASK + MARGIN_SLOTS;
                overwritten = (oldest > next && newest[SEQ(oldest - 1)] > published_at[oldest - 1]);
                assert(overwritten);
                settled = settled + (oldest - next);
                next = oldest;
                accounted = settled == next;
                assert(accounted);
                seq = 0; head = 0; oldest = 0
            }
        :: else -> seq = 0                     /* not there yet, or being overwritten: look again */
        fi
        unreached = !(NEVER);
        assert(unreached)
    :: else -> break
    od
}
