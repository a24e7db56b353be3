/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A long random life of a cluster, its API server, the disk and the operator, against promises written down as bit
 * masks.
 *
 * The driver sleeps until policy_due and never longer or shorter, so an alarm that is missing shows as a set that stays wrong.
 * Every set is held against what the world knows, see check_set.
 *
 * What a crash leaves of what was known is what was saved last; but all that is older than SAVED_WITHIN must have been saved,
 * if the disk had no trouble.
 *
 * `test_policy_random [FIRST [LAST]]` lives with these seeds; each is a case.
 */
#include "world.h"

#include <inttypes.h>

#define SEEDS 8
#define LIVES_PER_SEED 25
#define SAVED_WITHIN 2500
#define TROUBLE 45000           /* a disk that failed is tried again within this */

static void confirm(struct world *world, const struct set *set, json_object *state, struct size was,
                    const struct memory *kept) {
    assert_int_equal(policy_confirmed(world->policy, set, now_of(world)), 0);
    json_object_put(world->saved);
    world->saved = state;
    world->kept = *kept;
    if (set) {
        remember_size(world, was);
        world->confirmed = mask_of(set);
        world->has_confirmed = true;
        world->was_extra = world->extra;
        world->n_sets++;
    }
}

static void step(struct world *world) {
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};
    json_object *state = NULL;
    struct memory kept;
    struct size was;

    assert_int_equal(policy_decide(world->policy, now_of(world), false, &decision), 0);
    was = size_of(world);
    if (decision.set)
        check_set(world, mask_of(decision.set));
    note_hold(world);
    kept = world->memory;
    if (!decision.set && !decision.save)
        return;
    assert_int_equal(policy_state(world->policy, now_of(world), WALL + world->time, &state), 0);
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
    if (roll(100) == 0) {
        remember_size(world, was);
        release(world);
        was = size_of(world);
    }
    confirm(world, decision.set, state, was, &kept);
}

/* What a step has found to be in doubt is asked for at once. */
static void answer(struct world *world) {
    if (policy_wants_list(world->policy, now_of(world))) {
        observe(world, true, world->empty);
        step(world);
    }
}

/* Sleeps and wakes as policy_due says. */
static void pass(struct world *world, msec duration) {
    msec until = world->time + duration;

    answer(world);
    for (unsigned i = 0;; i++) {
        msec due = policy_due(world->policy, now_of(world));

        assert_true(i < 2000);
        if (due == MSEC_NEVER || due - world->offset > until)
            break;
        world->time = MAX(world->time, due - world->offset);
        if (policy_wants_list(world->policy, now_of(world)))
            observe(world, true, world->empty);
        step(world);
        answer(world);
        /* What lives and may be in it waits for a window at most, and for no hold. */
        for (unsigned j = 0; j < ADDRESSES; j++)
            if (world->has_confirmed && expected(world) & ~world->confirmed & bit(j) & ~world->extra)
                assert_true(world->time - world->wanted[j] <= POLICY_DEBOUNCE_MOST + 100 ||
                            world->time - world->trouble <= TROUBLE);
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
        int node = world->memory.label[has[i].bytes[3]];

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

static void take_back(struct world *world) {
    struct memory *memory = &world->memory;
    bool trouble = world->time - world->trouble <= TROUBLE;

    for (unsigned i = 0; i < ADDRESSES; i++)
        if (trouble || world->time - world->noted[i] <= SAVED_WITHIN) {
            memory->gone[i] = world->kept.gone[i];
            memory->label[i] = world->kept.label[i];
            memory->released = (memory->released & ~bit(i)) | (world->kept.released & bit(i));
        }
    if (trouble || world->time - world->ordered <= SAVED_WITHIN) {
        memory->first_size = world->kept.first_size;
        memory->released = world->kept.released;
    }
    memory->held = world->kept.held;
    memory->hold = world->kept.hold;
}

/* The engine dies, some time passes, and the store is read again. */
static void crash(struct world *world) {
    policy_free(world->policy);
    take_back(world);
    world->time += roll(3) ? roll(5000) : roll(2000000);
    world->offset = roll(1000000) - (msec)world->time;
    world->listed = false;
    memset(world->was_bare, 0, sizeof(world->was_bare));
    with_options(world, make);
}

static void change_words(struct world *world) {
    mask except = world->except;
    bool narrow = world->narrow;

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
    if (except != world->except || narrow != world->narrow)
        forget_sizes(world); /* they count what may now be forbidden */
    with_options(world, reload);
    step(world);
    if (world->has_confirmed && world->listed && world->time - world->trouble > TROUBLE)
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
        release(world);
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
    static struct world world;
    unsigned n_sets = 0, n_held = 0;

    seed = *(const uint64_t *)*state * 2654435761u + 1;
    for (unsigned life = 0; life < LIVES_PER_SEED; life++) {
        world = (struct world){.max_removal = 50, .trouble = -1000000, .ordered = -1000000, .offset = roll(100000)};
        world.memory.held = NEVER;
        for (unsigned i = 0; i < ADDRESSES; i++)
            world.memory.gone[i] = world.memory.label[i] = NEVER;
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
    assert_true(n_sets > 50 * LIVES_PER_SEED);  /* it was a life, not a sleep, and */
    assert_true(n_held > LIVES_PER_SEED);       /* the guard had its say */
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? first : SEEDS, n = last - first + 1;
    struct CMUnitTest *cases = calloc(n, sizeof(*cases));
    struct { uint64_t seed; char name[32]; } *seeds = calloc(n, sizeof(*seeds));
    int failed;

    for (uint64_t i = 0; i < n; i++) {
        seeds[i].seed = first + i;
        snprintf(seeds[i].name, sizeof(seeds[i].name), "a_long_life, seed %" PRIu64, first + i);
        cases[i] = (struct CMUnitTest){.name = seeds[i].name, .test_func = a_long_life, .initial_state = &seeds[i].seed};
    }
    failed = _cmocka_run_group_tests("policy random", cases, n, NULL, NULL);
    free(cases);
    free(seeds);
    return failed;
}
