/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A long random life of a cluster, its API server, the disk and the operator, against promises written down as bit
 * masks.
 *
 * The world is ADDRESSES addresses and NODES nodes. The driver sleeps until policy_due and never longer or shorter,
 * so an alarm that is missing shows as a set that stays wrong. Every set is held against what the world knows, see
 * check_set.
 */
#include "bed.h"

#define NODES 10
#define ADDRESSES 48            /* 10.0.0.0 and up */
#define GRACE 30000
#define NEVER (-1)
#define LOSSES 4096

typedef uint64_t mask;

struct world {
    msec time;                  /* the world's; the policy's clock is this plus `offset`, which a restart changes */
    msec offset;
    bool alive[NODES];
    mask has[NODES];

    /* What was last observed, and what follows from it. */
    mask living;
    bool bare[NODES], listed;
    bool empty;                 /* a server that has lost its memory: every list has nothing */
    msec gone[ADDRESSES];       /* NEVER: lives, or its node is bare */
    int label[ADDRESSES];       /* node; NEVER: none, or not known for sure */
    msec labelled[ADDRESSES], wanted[ADDRESSES];

    mask except, extra, was_extra, released;
    bool narrow;                /* within 10.0.0.0/27 */
    unsigned max_removal;

    struct policy *policy;
    mask confirmed;
    bool has_confirmed;
    json_object *saved;
    msec trouble;               /* of the disk, last */
    struct { msec when; unsigned address; } losses[LOSSES];
    size_t n_losses;
    struct { msec until; unsigned addresses, nodes; } sizes[LOSSES];
    size_t n_sizes;
    unsigned n_sets, n_held;
};

static uint64_t seed = 20261125;

static unsigned roll(unsigned n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 11) % n;
}

static mask bit(unsigned i) {
    return (mask)1 << i;
}

static unsigned count(mask set) {
    return (unsigned)__builtin_popcountll(set);
}

static mask allowed(const struct world *world) {
    mask within = world->narrow ? 0xffffffff : bit(ADDRESSES) - 1;

    return within & ~world->except;
}

static mask expected(const struct world *world) {
    return (world->living & allowed(world)) | (world->extra & ~world->except);
}

static size_t addresses_of(mask set, struct address *ret) {
    size_t n = 0;

    for (unsigned i = 0; i < ADDRESSES; i++)
        if (set & bit(i))
            ret[n++] = (struct address){4, 32, {10, 0, 0, (uint8_t)i}};
    return n;
}

static mask mask_of(const struct set *set) {
    mask result = 0;

    for (size_t i = 0; i < set->n_members; i++) {
        assert_int_equal(set->members[i].address.length, 32);
        result |= bit(set->members[i].address.bytes[3]);
    }
    assert_int_equal(count(result), set->n_members);
    return result;
}

static msec now_of(const struct world *world) {
    return world->time + world->offset;
}

/* ---- what the policy is told ---- */

static void with_options(struct world *world, void (*use)(struct world *world, const struct policy_options *options)) {
    struct address extra[ADDRESSES], except[ADDRESSES], within = {4, 27, {10}};

    use(world, &(struct policy_options){
        .grace = GRACE, .max_removal = world->max_removal, .within = &within, .n_within = world->narrow,
        .extra = extra, .n_extra = addresses_of(world->extra, extra),
        .except = except, .n_except = addresses_of(world->except, except),
    });
}

static int least_owner(const struct world *world, unsigned address) {
    for (int node = 0; node < NODES; node++)
        if (world->alive[node] && world->has[node] & bit(address))
            return node;
    return NEVER;
}

static void note_address(struct world *world, unsigned i) {
    int owner = least_owner(world, i);

    if (owner != NEVER) {
        world->gone[i] = NEVER;
        world->released &= ~bit(i);
        for (size_t j = 0; j < world->n_losses; j++) /* found again */
            if (world->losses[j].address == i)
                world->losses[j].when = -2 * POLICY_GUARD_WINDOW;
        if (world->label[i] != owner)
            world->labelled[i] = world->time;
        world->label[i] = owner;
        if (!(world->living & bit(i)))
            world->wanted[i] = world->time;
    } else if (world->label[i] != NEVER && world->bare[world->label[i]]) {
        world->gone[i] = NEVER;
    } else if (world->gone[i] == NEVER) {
        world->gone[i] = world->time;
    }
}

/* `empty`: a list of a server that has lost its memory. */
static void observe(struct world *world, bool complete, bool empty) {
    bool alive[NODES];
    struct set *living = NULL;
    const char *bare[NODES + 1];
    char names[NODES][8];
    mask now = 0;
    size_t n = 0;

    memcpy(alive, world->alive, sizeof(alive));
    if (empty)
        memset(world->alive, 0, sizeof(world->alive));
    assert_int_equal(set_new(&living), 0);
    for (unsigned node = 0; node < NODES; node++) {
        struct address has[ADDRESSES];
        size_t n_has = world->alive[node] ? addresses_of(world->has[node], has) : 0;

        snprintf(names[node], sizeof(names[node]), "n%u", node);
        world->bare[node] = world->alive[node] && !world->has[node];
        if (world->bare[node])
            bare[n++] = names[node];
        for (size_t i = 0; i < n_has; i++)
            assert_int_equal(set_append(living, &has[i], names[node]), 0);
        now |= world->alive[node] ? world->has[node] : 0;
    }
    bare[n] = NULL;
    assert_int_equal(set_seal(living), 0);
    assert_int_equal(policy_observe(world->policy, living, bare, complete, now_of(world)), 0);
    if (world->listed || complete) {
        for (unsigned i = 0; i < ADDRESSES; i++)
            note_address(world, i);
        world->living = now;
        world->listed = true;
    }
    memcpy(world->alive, alive, sizeof(alive));
}

/* ---- what the policy decides ---- */

static void check_guard(struct world *world, mask lost) {
    unsigned addresses = 0, nodes = 0, n_lost = 0;
    mask counted = 0;

    for (unsigned i = 0; i < ADDRESSES; i++)
        if (lost & bit(i)) {
            assert_true(world->n_losses < LOSSES);
            world->losses[world->n_losses].when = world->time;
            world->losses[world->n_losses++].address = i;
        }
    for (size_t i = 0; i < world->n_losses; i++) {
        mask one = bit(world->losses[i].address);

        if (world->time - world->losses[i].when <= POLICY_GUARD_WINDOW && !(counted & one) && !(world->living & one)) {
            counted |= one;
            n_lost++;
        }
    }
    for (size_t i = 0; i < world->n_sizes; i++)
        if (world->time - world->sizes[i].until <= POLICY_GUARD_WINDOW) {
            addresses = MAX(addresses, world->sizes[i].addresses);
            nodes = MAX(nodes, world->sizes[i].nodes);
        }
    /* After a crash labels may be older than ours; so not just three nodes. */
    if (lost && world->max_removal < 100 && nodes >= POLICY_GUARD_NODES + 2)
        assert_true(n_lost * 100 <= world->max_removal * addresses);
}

static void remember_size(struct world *world) {
    mask counted = world->confirmed & allowed(world) & ~world->extra;
    unsigned labels = 0;

    for (unsigned i = 0; i < ADDRESSES; i++)
        if (counted & bit(i) && world->label[i] != NEVER)
            labels |= 1u << world->label[i];
    assert_true(world->n_sizes < LOSSES);
    world->sizes[world->n_sizes].until = world->time;
    world->sizes[world->n_sizes].addresses = count(counted);
    world->sizes[world->n_sizes++].nodes = count(labels);
}

static void check_set(struct world *world, mask set) {
    mask removed = world->confirmed & ~set, lost = 0;

    assert_true(world->listed);
    assert_true((expected(world) & ~set) == 0); /* what lives, and what is wished, is in it */
    assert_true((set & ~allowed(world) & ~(world->extra & ~world->except)) == 0);   /* what is forbidden is not */
    if (!world->has_confirmed)
        return;
    assert_true((set & ~world->confirmed & ~expected(world)) == 0);         /* nobody comes from nowhere */
    for (unsigned i = 0; i < ADDRESSES; i++) {
        if (!(removed & bit(i) & allowed(world)) || (world->was_extra | world->released) & bit(i))
            continue;
        assert_int_not_equal(world->gone[i], NEVER);                        /* neither living nor of a bare node */
        assert_true(world->time - world->gone[i] >= GRACE);
        lost |= bit(i);
    }
    remember_size(world);
    check_guard(world, lost);
}

static void confirm(struct world *world, const struct set *set, json_object *state) {
    assert_int_equal(policy_confirmed(world->policy, set, now_of(world)), 0);
    json_object_put(world->saved);
    world->saved = state;
    if (set) {
        world->confirmed = mask_of(set);
        world->has_confirmed = true;
        world->was_extra = world->extra;
        world->n_sets++;
    }
}

static void step(struct world *world) {
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};
    json_object *state = NULL;

    assert_int_equal(policy_decide(world->policy, now_of(world), false, &decision), 0);
    if (!decision.set && !decision.save)
        return;
    assert_int_equal(policy_state(world->policy, now_of(world), WALL + world->time, &state), 0);
    if (decision.set)
        check_set(world, mask_of(decision.set));
    if (roll(12) == 0) {
        policy_failed(world->policy, now_of(world));
        json_object_put(state);
        world->trouble = world->time;
        /* Nothing of it happened. */
        while (world->n_losses && world->losses[world->n_losses - 1].when == world->time)
            world->n_losses--;
        return;
    }
    world->time += roll(40); /* the write; something may come meanwhile */
    if (roll(4) == 0)
        observe(world, false, false);
    confirm(world, decision.set, state);
}

/* Sleeps and wakes as policy_due says. */
static void pass(struct world *world, msec duration) {
    msec until = world->time + duration;

    for (unsigned i = 0;; i++) {
        msec due = policy_due(world->policy, now_of(world));

        assert_true(i < 2000);
        if (due == MSEC_NEVER || due - world->offset > until)
            break;
        world->time = MAX(world->time, due - world->offset);
        if (policy_wants_list(world->policy, now_of(world)))
            observe(world, true, world->empty);
        step(world);
        if (policy_wants_list(world->policy, now_of(world))) { /* what the step has found to be in doubt */
            observe(world, true, world->empty);
            step(world);
        }
        /* What lives and may be in it waits for a window at most, and for no hold. */
        for (unsigned j = 0; j < ADDRESSES; j++)
            if (world->has_confirmed && expected(world) & ~world->confirmed & bit(j) & ~world->extra)
                assert_true(world->time - world->wanted[j] <= POLICY_DEBOUNCE_MOST + 100 ||
                            world->time - world->trouble <= 45000);
    }
    world->time = MAX(world->time, until);
}

/* Long after the last event the set is what lives, what is wished and what is held; and it stays so. */
static void check_calm(struct world *world) {
    struct policy_hold hold;
    mask before;

    pass(world, GRACE + 120000);
    if (!world->has_confirmed || !world->listed)
        return;
    policy_hold(world->policy, &hold);
    assert_true((expected(world) & ~world->confirmed) == 0);
    assert_int_equal(count(world->confirmed), count(expected(world)) + hold.addresses);
    assert_int_equal(policy_stats(world->policy).in_grace, 0);
    if (hold.addresses > hold.bare) {
        world->n_held++;
        assert_true(hold.lost * 100 > world->max_removal * hold.before);
    }
    if (roll(4))
        return;
    before = world->confirmed;
    pass(world, 2 * POLICY_GUARD_WINDOW);
    assert_true(before == world->confirmed);
}

/* ---- what happens ---- */

static void make(struct world *world, const struct policy_options *options) {
    CLEANUP(set_freep) struct set *set = NULL;
    struct address has[ADDRESSES];
    size_t n = addresses_of(world->confirmed, has);

    assert_int_equal(set_new(&set), 0);
    for (size_t i = 0; i < n; i++) {
        char label[8] = "extra";
        int node = world->label[has[i].bytes[3]];

        if (node != NEVER && !(world->was_extra & bit(has[i].bytes[3])))
            snprintf(label, sizeof(label), "n%d", node);
        assert_int_equal(set_append(set, &has[i], label), 0);
    }
    assert_int_equal(set_seal(set), 0);
    assert_int_equal(policy_new(&world->policy, options, world->has_confirmed ? set : NULL, world->saved, now_of(world),
                                WALL + world->time), 0);
}

static void reload(struct world *world, const struct policy_options *options) {
    assert_int_equal(policy_reload(world->policy, options, now_of(world)), 0);
}

/* The engine dies, some time passes, and the store is read again. What was not saved is not known. */
static void crash(struct world *world) {
    policy_free(world->policy);
    world->time += roll(3) ? roll(5000) : roll(2000000);
    world->offset = roll(1000000) - (msec)world->time;
    world->listed = false;
    for (unsigned i = 0; i < ADDRESSES; i++)
        if (world->time - world->labelled[i] < 60000)
            world->label[i] = NEVER;
    with_options(world, make);
}

static void change_words(struct world *world) {
    mask before = allowed(world);

    switch (roll(4)) {
    case 0:
        world->except = roll(3) ? bit(roll(ADDRESSES)) | bit(roll(ADDRESSES)) : 0;
        break;
    case 1:
        world->was_extra |= world->extra;
        world->extra = roll(3) ? bit(roll(ADDRESSES)) : 0;
        break;
    case 2:
        world->narrow = roll(4) == 0;
        break;
    default:
        world->max_removal = (unsigned[]){0, 30, 50, 50, 50, 100}[roll(6)];
    }
    if (before != allowed(world))
        world->n_sizes = 0; /* they count what may now be forbidden */
    with_options(world, reload);
    step(world);
    if (world->has_confirmed && world->listed && world->time - world->trouble > 45000)
        assert_true((world->confirmed & ~allowed(world) & ~world->extra) == 0); /* at once */
}

static void change_node(struct world *world) {
    unsigned node = roll(NODES);

    if (!world->alive[node] || roll(5)) {
        world->alive[node] = true;
        world->has[node] = roll(8) ? bit(roll(ADDRESSES)) | (roll(2) ? bit(roll(ADDRESSES)) : 0) : 0;
    } else {
        world->alive[node] = false;
    }
}

static void happen(struct world *world) {
    unsigned what = roll(100);

    if (what < 55) {
        change_node(world);
        observe(world, false, false);
    } else if (what < 70) {
        for (unsigned i = roll(4); i; i--)
            change_node(world);
        observe(world, true, false);
    } else if (what < 73) {
        world->empty = true;
        observe(world, true, true);
        pass(world, roll(2) ? roll(20000) : roll(900000));
        world->empty = false;
        observe(world, true, false);
    } else if (what < 78) {
        change_words(world);
    } else if (what < 80) {
        world->released |= world->confirmed & ~world->living;
        policy_release(world->policy, now_of(world));
        world->n_sizes = 0; /* nor does what was let go make room for as large a loss again */
    } else if (what < 83 && world->saved) {
        crash(world);
        observe(world, false, false);
        pass(world, roll(2) ? 0 : roll(60000));
        observe(world, true, false);
    }
    pass(world, roll(3) ? roll(300) : roll(50000));
    if (roll(40) == 0)
        check_calm(world);
}

static void a_long_life(void **state) {
    struct world world = {.max_removal = 50, .trouble = -1000000};
    unsigned n_sets = 0, n_held = 0;

    for (unsigned life = 0; life < 40; life++) {
        world = (struct world){.max_removal = 50, .trouble = -1000000, .offset = roll(100000)};
        for (unsigned i = 0; i < ADDRESSES; i++)
            world.gone[i] = world.label[i] = NEVER;
        with_options(&world, make);
        for (unsigned i = 0; i < NODES; i++)
            change_node(&world);
        observe(&world, true, false);
        for (unsigned i = 0; i < 600; i++)
            happen(&world);
        check_calm(&world);
        assert_true(world.has_confirmed);
        n_sets += world.n_sets;
        n_held += world.n_held;
        policy_free(world.policy);
        json_object_put(world.saved);
    }
    assert_true(n_sets > 2000); /* it was a life, not a sleep, and */
    assert_true(n_held > 50);   /* the guard had its say */
}

RUN(cmocka_unit_test(a_long_life))
