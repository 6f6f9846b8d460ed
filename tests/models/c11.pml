/* C11 relaxed, release and acquire memory for spin, which by itself knows sequential consistency only.

   A location is the list of all messages ever stored to it; only one thread stores to a location, so that this list is also
   its modification order. A view says for every location how far along its list somebody has come. A thread has three:
   `cur`, below which it can no longer read; `acq`, what an acquire fence would add to `cur`; `rel`, what its relaxed stores
   hand on (`cur` at its last release fence). A load may take any message from `cur` on, a choice that spin tries in full.

   Left out: loads that take the value of a later store (load buffering). It needs a thread that stores after it loads; where
   a protocol has one, its model asserts that the store in question happens after the load (see lane.pml).
   Stricter reading of the standard: a relaxed store is not part of the release sequence of its own thread's earlier release
   store (C++20), so that it hands on less.

   A model defines THREAD_COUNT, LOCATION_COUNT and MESSAGE_COUNT (room for the longest list, its first zero included)
   before it includes this file, and names the order of every access with a macro of the access's label. An order of NONE
   takes the access out, which is how the mutants are made. */
#define NONE    0
#define RELAXED 1
#define ACQUIRE 2
#define RELEASE 3

byte value[LOCATION_COUNT * MESSAGE_COUNT];
byte newest[LOCATION_COUNT];                   /* index of the last message of a location */
byte carried[LOCATION_COUNT * MESSAGE_COUNT * LOCATION_COUNT];          /* the view that a message hands on */
byte cur[THREAD_COUNT * LOCATION_COUNT];
byte acq[THREAD_COUNT * LOCATION_COUNT];
byte rel[THREAD_COUNT * LOCATION_COUNT];
byte pick;                                     /* the message that the load under way takes; 0 between accesses */
hidden byte at;                                /* a location, inside one step */
hidden byte message;                           /* offset of a message, inside one step */

#define VIEW(view, thread, location) view[(thread) * LOCATION_COUNT + (location)]
#define MESSAGE(location, index)     ((location) * MESSAGE_COUNT + (index))
#define CARRIED(location)            carried[message * LOCATION_COUNT + (location)]
#define RAISE(target, floor)         target = ((floor) > target -> (floor) : target)

inline store(order, thread, location, what) {
    d_step {
        if
        :: (order) == NONE
        :: else ->
            newest[location]++;
            assert(newest[location] < MESSAGE_COUNT);
            message = MESSAGE(location, newest[location]);
            value[message] = what;
            VIEW(cur, thread, location) = newest[location];
            VIEW(acq, thread, location) = newest[location];
            for (at : 0 .. LOCATION_COUNT - 1) {
                CARRIED(at) = ((order) == RELEASE -> VIEW(cur, thread, at) : VIEW(rel, thread, at))
            }
            CARRIED(location) = newest[location];
            at = 0; message = 0
        fi
    }
}

/* `result` stays as it was if the load is taken out. */
inline load(order, thread, location, result) {
    atomic {
        if
        :: (order) == NONE
        :: else ->
            pick = VIEW(cur, thread, location);
            do
            :: pick < newest[location] -> pick++
            :: break
            od;
            skip;                              /* spin lets nothing jump straight into a d_step */
            d_step {
                message = MESSAGE(location, pick);
                result = value[message];
                VIEW(cur, thread, location) = pick;
                for (at : 0 .. LOCATION_COUNT - 1) {
                    RAISE(VIEW(acq, thread, at), CARRIED(at));
                    if
                    :: (order) == ACQUIRE -> RAISE(VIEW(cur, thread, at), CARRIED(at))
                    :: else
                    fi
                }
                pick = 0; at = 0; message = 0
            }
        fi
    }
}

inline fence(order, thread) {
    d_step {
        for (at : 0 .. LOCATION_COUNT - 1) {
            if
            :: (order) == ACQUIRE -> VIEW(cur, thread, at) = VIEW(acq, thread, at)
            :: (order) == RELEASE -> VIEW(rel, thread, at) = VIEW(cur, thread, at)
            :: else
            fi
        }
        at = 0
    }
}
