/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set protocol: how the addresses of one cluster travel from the API server to the kernels of the minions, and why
 * no order of events, and no crash, takes a living address out.
 *
 * Keeps (each is checked over every interleaving within the bounds of the variant, see `run`):
 *   living    an address that has lived in the cluster ever since it was applied is in that minion's kernel (assert)
 *   order     no minion goes back: within an epoch by generation, across epochs by rv, reboots included (assert)
 *   converge  when changes and faults end, each kernel holds the cluster's addresses under the marker of a set that has
 *             exactly those, and the engines fall silent (LTL; without any fairness: no run may go round for ever)
 * Abstracted, each towards more behaviour than the program has, unless README.md says otherwise:
 *   addresses are bits; a digest is the set itself (SHA-256 does not collide); a chain of deltas is one step from the
 *   base that it continues, since it is one transaction; time: whatever may happen later may happen never or at once, so
 *   debounce, splay and grace are free choices; watch, 410 and relist are one step, "see the cluster as it is at some rv".
 * Does not model: holds and max_removal, signatures, lying minions, an API server whose resourceVersion goes back.
 * A mutant (-D M_...) breaks one rule; `run` demands that SPIN finds the run on which this shows.
 */
#ifndef MASTERS
#define MASTERS 1
#endif
#ifndef MINIONS
#define MINIONS 1
#endif
#ifndef WORKERS
#define WORKERS 1       /* jobs that run side by side on a minion; 1 is the lock: it lets them run in any order, one at a time */
#endif
#ifndef SLOTS
#define SLOTS 2         /* jobs on their way to, or waiting on, one minion */
#endif
#ifndef MAXPUB
#define MAXPUB 12       /* an assert tells when this was too small: nothing is cut off silently */
#endif

/* Every set that any engine ever published. Files, events, jobs and kernels name it by its index, 0 is "none". */
typedef Set { byte epoch; byte gen; byte rv; byte members; byte prev }
Set set[MAXPUB];
byte published = 1, epochs;

byte alive = 1, rv = 1, birth[2];                  /* the cluster: who lives, its resourceVersion, when each life began */
byte seen[MASTERS], seen_rv[MASTERS];              /* an engine's view; rv 0: not listed yet */
byte store[MASTERS], file[MASTERS], announce[MASTERS];   /* on the master's disk: the truth, and what is derived from it */
bit fresh_epoch[MASTERS];                          /* next set starts an epoch */
byte wanted_rv[MASTERS];                           /* refresh: publish again when above this rv */
bit event[MASTERS];                                /* an announcement on the bus, not yet reacted to */
bit settled[MASTERS * MINIONS];                    /* the engine knows that it owes this minion nothing */

typedef Job { byte set; byte master; bit highstate }
Job job[MINIONS * SLOTS];
byte marker[MINIONS], kernel[MINIONS], cache[MINIONS];   /* kernel: version and members; disk: version for the boot */
byte busy[MINIONS];                                /* jobs between reading the marker and the return */
byte boots[MINIONS];                               /* a job of an earlier boot is dead */
/* ghosts, for the properties only */
byte held[MINIONS], top[MINIONS];                  /* living since applied; highest set ever held */

byte changes = CHANGES, loss = LOSS, repeat = REPEAT, engine_crash = ENGINE_CRASH, store_lost = STORE_LOST,
     rollback = ROLLBACK, minion_crash = MINION_CRASH, highstates = HIGHSTATES;

#define same_epoch(x, y) (set[x].epoch == set[y].epoch)
/* Where only crashes could tell two steps apart, variants without crashes take them as one. */
#if ENGINE_CRASH
#define ENGINE_CUT }; atomic {
#else
#define ENGINE_CUT ;
#endif
#if MINION_CRASH || WORKERS > 1
#define MINION_CUT }; atomic {
#else
#define MINION_CUT ;
#endif

#define newer(x, y) ((y) == 0 || (same_epoch(x, y) && set[x].gen > set[y].gen) || (!same_epoch(x, y) && set[x].rv > set[y].rv))
#ifdef M_ADDITIONS
#define ADD(x) additions(x)
#else
#define ADD(x) 0
#endif
#ifdef M_STALE_LIST
byte alive_before;
#endif
#define wanting(i) (wanted_rv[i] >= rv)
#if MASTERS == 1
#define anyone_wants wanting(0)
#define engines_quiet (event[0] == 0)
#else
#define anyone_wants (wanting(0) || wanting(1))
#define engines_quiet (event[0] == 0 && event[1] == 0)
#endif
#define slot(m, j) job[(m) * SLOTS + (j)]
#define idle(m) (busy[m] == 0 && slot(m, 0).set == 0 && slot(m, 1).set == 0)
#define free_slot(m) (slot(m, 0).set == 0 || slot(m, 1).set == 0)
#define underway(i, m) ((slot(m, 0).set && slot(m, 0).master == i) || (slot(m, 1).set && slot(m, 1).master == i))
#define owed(i, m) (!settled[(i) * MINIONS + (m)])
#define right(m) (kernel[m] == alive && marker[m] && set[marker[m]].members == kernel[m] && idle(m))

inline unsettle(i) { settled[(i) * MINIONS] = 0; settled[(i) * MINIONS + MINIONS - 1] = 0 }
inline send(i, m, x, hs) {
    if
    :: slot(m, 0).set == 0 -> slot(m, 0).set = x; slot(m, 0).master = i; slot(m, 0).highstate = hs
    :: else -> slot(m, 1).set = x; slot(m, 1).master = i; slot(m, 1).highstate = hs
    fi
}

/* Nodes come and go (the same address again: A-B-A); objects that are no nodes raise rv as well (Leases, all the time). */
inline flip(n) {
    changes--; rv++; printf("cluster: address %d flips, rv %d\n", n, rv);
#ifdef M_STALE_LIST
    alive_before = alive;
#endif
    alive = alive ^ (1 << n);
    if
    :: alive & (1 << n) -> birth[n] = rv
    :: else -> held[0] = held[0] & ~(1 << n); held[MINIONS - 1] = held[MINIONS - 1] & ~(1 << n)
    fi
}
proctype cluster() {
end: do
    :: atomic { changes > 0 -> if :: flip(0) :: flip(1) fi }
    :: anyone_wants -> rv++
    :: d_step { changes || loss || repeat || engine_crash || minion_crash || highstates ->   /* changes and faults may end early */
        changes = 0; loss = 0; repeat = 0; engine_crash = 0; store_lost = 0; rollback = 0; minion_crash = 0; highstates = 0 }
    od
}

#define cur(i) set[store[i]].members
#define must_publish(i) (seen_rv[i] && (store[i] == 0 || seen[i] != cur(i) || fresh_epoch[i] || (wanted_rv[i] && seen_rv[i] > wanted_rv[i])))

proctype engine() {
    byte s, members;
#define i (_pid - 2)
load:
    atomic {
        seen[i] = 0; seen_rv[i] = 0; unsettle(i); wanted_rv[i] = 0;
        if :: store[i] -> file[i] = store[i]; announce[i] = store[i] :: else fi
    };
end: do
    :: d_step { seen_rv[i] != rv -> seen[i] = alive; seen_rv[i] = rv }
#ifdef M_STALE_LIST
    :: d_step { seen_rv[i] == 0 && rv > 1 -> seen[i] = alive_before; seen_rv[i] = rv - 1 }
#endif
    :: atomic { must_publish(i) ->
        if
        :: members = seen[i]                                                      /* grace is over for whoever is gone */
        :: store[i] && (seen[i] & ~cur(i)) -> members = seen[i] | cur(i)          /* additions do not wait for it */
        fi;
        s = published; published++; assert(published < MAXPUB);
        set[s].members = members; set[s].rv = seen_rv[i]; members = 0;
        if
        :: store[i] && !fresh_epoch[i] -> set[s].epoch = set[store[i]].epoch; set[s].gen = set[store[i]].gen + 1; set[s].prev = store[i]
        :: else -> epochs++; set[s].epoch = epochs; set[s].gen = 1; fresh_epoch[i] = 0
        fi;
        wanted_rv[i] = 0;
        printf("engine %d publishes set %d: epoch %d generation %d rv %d members %d\n", i, s, set[s].epoch, set[s].gen, set[s].rv, set[s].members);
#ifndef M_EVENT_FIRST
        store[i] = s                                                              /* fsync, rename, fsync */
        ENGINE_CUT
#endif
        if :: file[i] = s :: atomic { engine_crash -> engine_crash--; goto crash } fi
        ENGINE_CUT
        if :: announce[i] = s :: atomic { engine_crash -> engine_crash--; goto crash } fi
        ENGINE_CUT
        if :: event[i] = 1; unsettle(i) :: atomic { engine_crash -> engine_crash--; goto crash } fi
#ifdef M_EVENT_FIRST
        ENGINE_CUT
        if :: store[i] = s :: atomic { engine_crash -> engine_crash--; goto crash } fi
#endif
        ; s = 0 }
#ifndef M_NO_REPAIR
    :: atomic { owed(i, 0) && store[i] && !event[i] && free_slot(0) && !underway(i, 0) -> send(i, 0, announce[i], 0) }
#if MINIONS > 1
    :: atomic { owed(i, 1) && store[i] && !event[i] && free_slot(1) && !underway(i, 1) -> send(i, 1, announce[i], 0) }
#endif
#endif
    :: atomic { engine_crash -> engine_crash--; goto crash }
    od;
crash:
    atomic { s = 0; printf("engine %d crashes\n", i);
    if
    :: skip
    :: store_lost -> store_lost--; store[i] = 0
    :: rollback && store[i] -> rollback--; store[i] = set[store[i]].prev     /* the last write was not durable, or an old copy came back */
    fi };
    goto load
}
#undef i

/* Bus and reactor: the reaction reads the announcement as it is by then, not the event. Order among jobs is the minions' whim. */
proctype salt() {
#define i (_pid - 2 - MASTERS)
end: do
    :: atomic { event[i] && free_slot(0) && free_slot(MINIONS - 1) ->
        send(i, 0, announce[i], 0);
#if MINIONS > 1
        send(i, 1, announce[i], 0);
#endif
        if :: event[i] = 0 :: repeat -> repeat-- fi }
    :: atomic { event[i] && loss -> loss--; event[i] = 0 }
    od
}
#undef i

#define m ((_pid - 2 - 2 * MASTERS) % MINIONS)
/* What an engine makes of a return: the minion's version, as it was when the job ended. */
inline answer() {
    d_step {
        k = marker[m]; s = store[i];
        if
        :: s == 0 || k == 0 -> skip
        :: s && k && same_epoch(k, s) && set[k].gen < set[s].gen -> skip                    /* behind: repair */
        :: s && k && same_epoch(k, s) && (set[k].gen > set[s].gen || (set[k].gen == set[s].gen && kernel[m] != set[s].members)) ->
#ifndef M_NO_REKEY
            fresh_epoch[i] = 1;       /* it has what our store forgot: our order is broken, begin another */
#endif
            settled[i * MINIONS + m] = 1
        :: s && k && same_epoch(k, s) && set[k].gen == set[s].gen && kernel[m] == set[s].members -> settled[i * MINIONS + m] = 1
        :: s && k && !same_epoch(k, s) && set[k].rv < set[s].rv -> skip                     /* behind: repair */
        :: s && k && !same_epoch(k, s) && set[k].rv >= set[s].rv ->
#ifndef M_REPAIR_FIGHT
            settled[i * MINIONS + m] = 1;       /* a peer's set, no older than ours: not ours to repair */
#endif
#ifndef M_NO_REFRESH
            if
            :: kernel[m] != set[s].members && set[k].rv >= wanted_rv[i] -> printf("conflict: minion %d, set %d, told to engine %d\n", m, k, i); wanted_rv[i] = set[k].rv
            :: else
            fi
#endif
        fi;
        k = 0; s = 0
    }
}

/* A kernel that just changed. Order is judged here by the highest set that it ever held, not by what the minion compared. */
#define lives_since(n) (((alive >> n) & 1) && set[marker[m]].rv >= birth[n])
inline judge() {
    printf("minion %d holds set %d: members %d\n", m, marker[m], kernel[m]);
    assert(top[m] == 0 || marker[m] == top[m] || newer(marker[m], top[m]));       /* order */
    top[m] = marker[m];
    assert((held[m] & ~kernel[m]) == 0);                                         /* living */
    held[m] = held[m] | (kernel[m] & (lives_since(0) | (lives_since(1) << 1)))
}

/* The rule of order at the minion, and the test whether the chain of deltas up to set x continues what the kernel holds. */
#if defined(M_ANY_SET)
#define takes(x) (x != marker[m])
#elif defined(M_DIGEST_ORDER)
#define takes(x) (marker[m] == 0 || set[x].members != kernel[m])
#elif defined(M_CROSS_REMOVE)
#define takes(x) (newer(x, marker[m]) || !same_epoch(x, marker[m]))
#elif defined(M_EQUAL_RV)
#define takes(x) (newer(x, marker[m]) || (!same_epoch(x, marker[m]) && set[x].rv >= set[marker[m]].rv))
#else
#define takes(x) newer(x, marker[m])
#endif
#define before(x) set[x].prev
#define based(b, x) (b && same_epoch(b, x) && kernel[m] == set[b].members)
#if defined(M_NO_BASE)
#define continues(x) (before(x) != 0)
#elif defined(M_BASE_BY_GEN)
#define continues(x) (before(x) && set[before(x)].gen == set[marker[m]].gen)
#else
#define continues(x) (marker[m] && (based(before(x), x) || based(before(before(x)), x)))
#endif
#if !defined(M_NO_BASE) && !defined(M_BASE_BY_GEN)
#define patched(x) set[x].members       /* content-addressed: a chain that continues a digest ends in the set's */
#else
#define patched(x) ((kernel[m] | (set[x].members & ~set[before(x)].members)) & ~(set[before(x)].members & ~set[x].members))
#endif
#define additions(x) (!same_epoch(x, marker[m]) && (set[x].members & ~kernel[m]))

#ifdef M_NO_CAS
#define UNFENCED true
#else
#define UNFENCED (marker[m] == was)
#endif
inline pick(j) {
    s = slot(m, j).set; i = slot(m, j).master; highstate = slot(m, j).highstate;
    slot(m, j).set = 0; slot(m, j).master = 0; slot(m, j).highstate = 0
}

proctype minion() {
    byte s, k, i, was, born;
    bit highstate, delta;
end: do
    :: atomic {                                                                  /* takes the lock, reads marker, then the set */
        if :: slot(m, 0).set -> pick(0) :: slot(m, 1).set -> pick(1) fi;
        was = marker[m]; born = boots[m];
        if
#ifdef M_OLD_PILLAR
        :: highstate -> skip                                                     /* the set that it was started with */
#endif
        :: !highstate && !takes(s) && !ADD(s) -> goto reply                      /* have, or conflict */
        :: !highstate && takes(s) && continues(s) -> delta = 1
        :: else ->                                                               /* the whole set, as the file is by now */
            s = file[i];
            if :: !takes(s) && !ADD(s) -> goto reply :: else fi
        fi;
        busy[m]++
        MINION_CUT
#ifndef M_CACHE_AFTER
        if :: boots[m] == born -> cache[m] = s :: else -> goto done fi
        MINION_CUT
#endif
        if
        :: boots[m] != born -> goto done
        :: boots[m] == born ->                                                   /* one transaction */
            if
#ifndef M_NO_CAS
            :: marker[m] != was -> skip                                          /* refused: the old marker is gone */
#endif
#ifdef M_ADDITIONS
            :: marker[m] == was && was && !takes(s) -> kernel[m] = kernel[m] | set[s].members; judge()
            :: (marker[m] != was || !was || takes(s)) && UNFENCED -> kernel[m] = (delta -> patched(s) : set[s].members); marker[m] = s; judge()
#else
            :: UNFENCED -> kernel[m] = (delta -> patched(s) : set[s].members); marker[m] = s; judge()
#endif
            fi
        :: boots[m] == born && minion_crash -> minion_crash--; goto crash
        fi;
#ifdef M_CACHE_AFTER
        MINION_CUT
        if
        :: boots[m] == born -> cache[m] = marker[m]
        :: boots[m] == born && minion_crash -> minion_crash--; goto crash
        fi;
#endif
        if :: boots[m] == born -> busy[m]-- :: else -> goto done fi;
reply:  if :: answer() :: loss -> loss-- fi;
done:   s = 0; i = 0; was = 0; born = 0; highstate = 0; delta = 0 }
    :: d_step { loss && slot(m, 0).set -> loss--; slot(m, 0).set = 0; slot(m, 0).master = 0; slot(m, 0).highstate = 0 }
    :: d_step { loss && slot(m, 1).set -> loss--; slot(m, 1).set = 0; slot(m, 1).master = 0; slot(m, 1).highstate = 0 }
    :: atomic { highstates && free_slot(m) ->                                    /* it started; its turn comes some time later */
        highstates--;
        if :: i = 0 :: i = MASTERS - 1 fi;
        if :: file[i] -> send(i, m, file[i], 1) :: else fi;
        i = 0 }
    :: atomic { minion_crash -> minion_crash--;
crash:  printf("minion %d reboots\n", m); boots[m]++; busy[m] = 0;
        d_step { pick(0); pick(1); s = 0; i = 0; was = 0; born = 0; highstate = 0; delta = 0 };
        marker[m] = cache[m]; kernel[m] = set[cache[m]].members; judge();
        settled[m] = 0; settled[(MASTERS - 1) * MINIONS + m] = 0 }               /* salt/minion/<id>/start */
    od
#undef m
}

init { atomic {
#ifdef SYNCED           /* starts where all are in step, to spend the states on what follows */
    do
    :: published <= MASTERS ->
        epochs++; set[published].epoch = epochs; set[published].gen = 1; set[published].rv = 1; set[published].members = alive;
        store[published - 1] = published; published++
    :: else -> break
    od;
    marker[0] = 1; kernel[0] = alive; cache[0] = 1; top[0] = 1; held[0] = alive;
    marker[MINIONS - 1] = 1; kernel[MINIONS - 1] = alive; cache[MINIONS - 1] = 1; top[MINIONS - 1] = 1; held[MINIONS - 1] = alive;
#endif
    birth[0] = 1;
    run cluster();
    run engine();
#if MASTERS > 1
    run engine();
#endif
    run salt();
#if MASTERS > 1
    run salt();
#endif
    run minion();
#if MINIONS * WORKERS > 1
    run minion();
#endif
} }

#if MINIONS == 1
ltl converge { <>[] (right(0) && engines_quiet && !owed(0, 0) && !owed(MASTERS - 1, 0)) }
#else
ltl converge { <>[] (right(0) && right(1) && engines_quiet && !owed(0, 0) && !owed(0, 1) && !owed(MASTERS - 1, 0) && !owed(MASTERS - 1, 1)) }
#endif
