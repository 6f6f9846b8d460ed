/* The command lane (ext/tickpath/shm/lane.h): one client that writes, one engine that takes, nothing overwritten.

   Every accepted command must be delivered exactly once, whole and in order, whenever the client stops or dies; a command that
   its client did not finish is never seen; the lane never holds more than its slots.

   Here both sides store after they load, so that load buffering could let the engine read a payload that the client stores
   later. The model does not execute that, it forbids it: before a client stores a payload word, every load of that slot so far
   must have happened before (its mark stands in the client's view). Then no such execution exists in full C11 either. */

/* Each order as lane.h has it; a mutant is another definition on spin's command line. */
#ifndef K1
#define K1 RELEASE          /* see K2: store the sequence to slot.seq */
#endif
#ifndef K2
#define K2 ACQUIRE          /* see K1: load slot.seq */
#endif
#ifndef K3
#define K3 RELEASE          /* see K4: store taken */
#endif
#ifndef K4
#define K4 ACQUIRE          /* see K3: load taken */
#endif
/* How many commands too many the client believes to have room for. */
#ifndef OVERFILL
#define OVERFILL 0
#endif
/* A statement that must be reachable; it is asserted false. */
#ifndef NEVER
#define NEVER false
#endif
#define ALL_TAKEN_AFTER_A_REFUSAL (was_full && next == COMMAND_COUNT + 1)
#define DIED_INSIDE_A_COMMAND     (unfinished && next > SLOT_COUNT + 1)

#ifndef SLOT_COUNT
#define SLOT_COUNT 2
#endif
#ifndef COMMAND_COUNT
#define COMMAND_COUNT 6
#endif
#define MASK (SLOT_COUNT - 1)

#define THREAD_COUNT   2
#define LOCATION_COUNT (4 * SLOT_COUNT + 1)
#define MESSAGE_COUNT  (COMMAND_COUNT + 1)
#include "c11.pml"

#define CLIENT 0
#define ENGINE 1
#define SEQ(s)   ((s) & MASK)
#define LEFT(s)  (SLOT_COUNT + ((s) & MASK))
#define RIGHT(s) (2 * SLOT_COUNT + ((s) & MASK))
/* No memory: counts the loads of a slot's payload, and travels in views like a location. */
#define LOADS(s) (3 * SLOT_COUNT + ((s) & MASK))
#define TAKEN    (4 * SLOT_COUNT)
/* The two payload words of a sequence; unwritten memory is 0. */
#define LEFT_WORD(s)  (s)
#define RIGHT_WORD(s) ((s) + 100)

byte accepted = 0;
byte delivered = 0;
bool stopped = false;                          /* the client has ended, one way or the other */
bool unfinished = false;                       /* and did so inside a command */
bool was_full = false;                         /* the lane has refused while it was truly full */
hidden byte vacant, fits, untorn, known, complete, unreached;        /* the properties, under the name that spin reports */

inline store_payload(location, s, what) {
    atomic {
        vacant = VIEW(cur, CLIENT, LOADS(s)) == newest[LOADS(s)];
        assert(vacant);
        store(RELAXED, CLIENT, location, what)
    }
}

inline load_payload(location, s, result) {
    atomic {
        load(RELAXED, ENGINE, location, result);
        newest[LOADS(s)]++;
        VIEW(cur, ENGINE, LOADS(s)) = newest[LOADS(s)];
        VIEW(acq, ENGINE, LOADS(s)) = newest[LOADS(s)]
    }
}

active proctype client() {
    byte next = 1, taken;
    do
    :: next <= COMMAND_COUNT ->
        load(K4, CLIENT, TAKEN, taken);
        if
        :: next - 1 - taken > MASK + OVERFILL ->
            was_full = was_full || next - 1 - delivered == SLOT_COUNT;
            taken = 0
        :: else ->
            taken = 0;
            store_payload(LEFT(next), next, LEFT_WORD(next));
            if
            :: true
            :: unfinished = true; break
            fi;
            store_payload(RIGHT(next), next, RIGHT_WORD(next));
            if
            :: true
            :: unfinished = true; break
            fi;
            atomic {
                store(K1, CLIENT, SEQ(next), next);
                accepted = next;
                fits = accepted - delivered <= SLOT_COUNT;
                assert(fits)
            }
            next++
        fi
    :: break
    od;
    stopped = true
}

active proctype engine() {
    byte next = 1, seq, left, right;
    do
    :: load(K2, ENGINE, SEQ(next), seq);
        if
        :: seq == next ->
            load_payload(LEFT(next), next, left);
            load_payload(RIGHT(next), next, right);
            d_step {
                untorn = (left == LEFT_WORD(next) && right == RIGHT_WORD(next));
                assert(untorn);
                delivered = next;
                seq = 0; left = 0; right = 0
            }
            store(K3, ENGINE, TAKEN, next);
            next++
        :: else ->
            d_step {
                known = seq < next;
                assert(known);
                seq = 0
            }
            /* What has been stored is seen in the end: whoever has read the newest message reads nothing else for ever. */
            if
            :: stopped && VIEW(cur, ENGINE, SEQ(next)) == newest[SEQ(next)] -> break
            :: else
            fi
        fi
    od;
    complete = delivered == accepted;
    assert(complete);
    unreached = !(NEVER);
    assert(unreached)
}
