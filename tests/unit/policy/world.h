/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world as bit masks, ADDRESSES addresses and NODES nodes, and what may be decided in it: the oracle of test_random.c.
 *
 * It follows the contract by its own books (since when an address is gone, what was lost, the sizes of the sets, what an operator let
 * go), and asks the policy only what it holds. Does not: know when the policy wakes, or what a crash leaves; that is the driver's.
 */
#pragma once

#include "bed.h"

#define NODES 10
#define ADDRESSES 48            /* 10.0.0.0 and up */
#define GRACE 30000
#define NEVER (-1)
#define LOSSES 4096

typedef uint64_t mask;

struct size {
    msec until;
    unsigned addresses, nodes;
};

/* What a crash takes back to what was saved. */
struct memory {
    msec gone[ADDRESSES];       /* NEVER: lives, or its node is bare */
    int label[ADDRESSES];       /* node; NEVER: none */
    mask released;
    size_t first_size;          /* of `sizes`: those before it count no more */
    msec held;                  /* since when the guard holds; NEVER */
    struct size hold;           /* what is measured against then; 0: nothing yet */
};

struct world {
    msec time;                  /* the world's; the policy's clock is this plus `offset`, which a restart changes */
    msec offset;
    bool alive[NODES];
    mask has[NODES];

    /* What was last observed, and what follows from it. */
    mask living;
    bool bare[NODES], listed;
    bool empty;                 /* a server that has lost its memory: every list has nothing */
    msec wanted[ADDRESSES];
    bool was_bare[ADDRESSES];
    struct memory memory, kept; /* as of now, and as of `saved` */
    msec noted[ADDRESSES], ordered;     /* when memory changed: of an address, by the operator */

    mask except, extra, was_extra;
    bool narrow;                /* within 10.0.0.0/27 */
    unsigned max_removal;

    struct policy *policy;
    mask confirmed;
    bool has_confirmed;
    json_object *saved;
    msec trouble;               /* of the disk, last */
    struct { msec when; unsigned address; } losses[LOSSES];
    size_t n_losses;
    struct size sizes[LOSSES];
    size_t n_sizes;
    unsigned n_sets, n_held;
};

static uint64_t seed;

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

static void note_found(struct world *world, unsigned i, int owner) {
    world->memory.gone[i] = NEVER;
    world->memory.label[i] = owner;
    world->memory.released &= ~bit(i);
    for (size_t j = 0; j < world->n_losses; j++)
        if (world->losses[j].address == i)
            world->losses[j].when = -100 * POLICY_GUARD_WINDOW;
    if (!(world->living & bit(i)))
        world->wanted[i] = world->time;
}

static void note_address(struct world *world, unsigned i) {
    struct memory *memory = &world->memory;
    int owner = least_owner(world, i), label = memory->label[i];
    bool bare = owner == NEVER && label != NEVER && world->bare[label], released = memory->released & bit(i);
    msec gone = memory->gone[i];

    if (owner != NEVER) {
        note_found(world, i, owner);
    } else {
        memory->gone[i] = bare ? NEVER : gone == NEVER ? world->time : gone;
        if (bare != world->was_bare[i]) /* what was let go was something else */
            memory->released &= ~bit(i);
    }
    world->was_bare[i] = bare;
    if (gone != memory->gone[i] || label != memory->label[i] || released != !!(memory->released & bit(i)))
        world->noted[i] = world->time;
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

/* Not fewer addresses, and not more nodes, than the policy may count: of a former extra one it depends on its label. */
static struct size size_of(const struct world *world) {
    mask counted = world->confirmed & allowed(world) & ~world->extra & ~(world->memory.released & ~world->living);
    mask sure = counted & ~(world->was_extra & ~world->living);
    unsigned labels = 0;

    for (unsigned i = 0; i < ADDRESSES; i++)
        if (sure & bit(i) && world->memory.label[i] != NEVER)
            labels |= 1u << world->memory.label[i];
    return (struct size){.addresses = count(counted), .nodes = count(labels)};
}

static void remember_size(struct world *world, struct size was) {
    assert_true(world->n_sizes < LOSSES);
    was.until = world->time;
    world->sizes[world->n_sizes++] = was;
}

static struct size largest(const struct world *world, msec begin) {
    struct size most = size_of(world);

    for (size_t i = world->memory.first_size; i < world->n_sizes; i++)
        if (world->sizes[i].until >= begin - POLICY_GUARD_WINDOW) {
            most.addresses = MAX(most.addresses, world->sizes[i].addresses);
            most.nodes = MAX(most.nodes, world->sizes[i].nodes);
        }
    return most;
}

/* A hold's measure stands still, and so does the window of the losses: time is no reason to let go. */
static void check_guard(struct world *world, mask lost) {
    const struct memory *memory = &world->memory;
    msec begin = memory->held == NEVER ? world->time : memory->held;
    struct size before = memory->hold.addresses ? memory->hold : largest(world, begin);
    unsigned n_lost = 0;
    mask counted = 0;

    for (unsigned i = 0; i < ADDRESSES; i++)
        if (lost & bit(i)) {
            assert_true(world->n_losses < LOSSES);
            world->losses[world->n_losses].when = world->time;
            world->losses[world->n_losses++].address = i;
        }
    for (size_t i = 0; i < world->n_losses; i++) {
        mask one = bit(world->losses[i].address);

        if (world->losses[i].when >= begin - POLICY_GUARD_WINDOW && !(counted & one) && !(world->living & one)) {
            counted |= one;
            n_lost++;
        }
    }
    if (lost && world->max_removal < 100 && before.nodes >= POLICY_GUARD_NODES)
        assert_true(n_lost * 100 <= world->max_removal * before.addresses);
}

/* Of a hold the world believes the policy only that there is one. */
static void note_hold(struct world *world) {
    struct memory *memory = &world->memory;
    struct policy_hold hold;

    policy_hold(world->policy, &hold);
    if (hold.addresses == hold.bare) {
        memory->held = NEVER;
        memory->hold = (struct size){0};
        return;
    }
    if (memory->held == NEVER)
        memory->held = world->time;
    if (!memory->hold.addresses)
        memory->hold = largest(world, memory->held);
}

static void forget_sizes(struct world *world) {
    world->memory.first_size = world->n_sizes;
    world->memory.hold = (struct size){0};
    world->ordered = world->time;
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
        if (!(removed & bit(i) & allowed(world)) || (world->was_extra | world->memory.released) & bit(i))
            continue;
        assert_int_not_equal(world->memory.gone[i], NEVER);                 /* neither living nor of a bare node */
        assert_true(world->time - world->memory.gone[i] >= GRACE);
        lost |= bit(i);
    }
    check_guard(world, lost);
}

static void release_one(void *userdata, const struct member *member, msec since, bool bare) {
    struct world *world = userdata;
    unsigned i = member->address.bytes[3];

    assert_false(world->living & bit(i));
    world->memory.released |= bit(i);
}

/* What is held goes; and makes no room for as large a loss again. */
static void release(struct world *world) {
    policy_each_held(world->policy, now_of(world), release_one, world);
    policy_release(world->policy, now_of(world));
    forget_sizes(world);
    world->memory.held = NEVER;
}
