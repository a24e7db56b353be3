/* SPDX-License-Identifier: Apache-2.0 */
/* A long random life against a model too simple to be wrong: an array of nodes, compared after every step. */
#include "bed.h"

#define NAMES 12
#define ADDRESSES 20

struct model {
    unsigned uid[NAMES];        /* 0: there is none */
    uint32_t has[NAMES];        /* bits: addresses */
};

static uint64_t seed = 20261125;

static unsigned roll(unsigned n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

static void apply(struct inventory *inventory, struct model *model, unsigned name, unsigned uid, bool listed) {
    uint32_t has = roll(6) ? 1u << roll(ADDRESSES) | (roll(2) ? 1u << roll(ADDRESSES) : 0) : 0;
    char texts[2][32], status[1024];
    size_t used = 0;

    status[0] = 0;
    for (unsigned i = 0; i < ADDRESSES; i++)
        if (has & 1u << i)
            used += (size_t)snprintf(status + used, sizeof(status) - used, "%s=10.0.0.%u ",
                    roll(2) ? "InternalIP" : "ExternalIP", i + 1);
    snprintf(texts[0], sizeof(texts[0]), "n%02u", name);
    snprintf(texts[1], sizeof(texts[1]), "u%u", uid);
    bed_apply_as(inventory, texts[0], texts[1], status, listed);
    model->uid[name] = uid;
    model->has[name] = has;
}

static void compare(struct inventory *inventory, const struct model *model) {
    char want[4096] = "", bare[4096] = "";
    size_t used = 0, used_bare = 0;

    for (unsigned i = 0; i < ADDRESSES; i++)
        for (unsigned name = 0; name < NAMES; name++)
            if (model->uid[name] && model->has[name] & 1u << i) {
                used += (size_t)snprintf(
                        want + used, sizeof(want) - used, "%s10.0.0.%u(n%02u)", used ? " " : "", i + 1, name);
                break;
            }
    for (unsigned name = 0; name < NAMES; name++)
        if (model->uid[name] && !model->has[name])
            used_bare +=
                    (size_t)snprintf(bare + used_bare, sizeof(bare) - used_bare, "%sn%02u", used_bare ? " " : "", name);
    assert_living(inventory, want);
    assert_bare(inventory, bare);
}

/* Replays what was told of the nodes; it must come to the same picture. */
static void follow(struct inventory *inventory, struct model *heard) {
    struct inventory_change change;

    while (inventory_pop(inventory, &change)) {
        unsigned name = (unsigned)strtoul(change.name + 1, NULL, 10), uid = (unsigned)strtoul(change.uid + 1, NULL, 10);
        uint32_t now = 0, before = 0;

        for (size_t i = 0; i < change.n_addresses; i++)
            now |= 1u << (change.addresses[i].bytes[3] - 1);
        for (size_t i = 0; i < change.n_previous; i++)
            before |= 1u << (change.previous[i].bytes[3] - 1);
        assert_int_equal(heard->uid[name], change.kind == INVENTORY_ADDED ? 0 : uid);
        assert_int_equal(heard->has[name], before);
        heard->uid[name] = change.kind == INVENTORY_REMOVED ? 0 : uid;
        heard->has[name] = now;
        inventory_change_done(&change);
    }
}

static void a_long_life(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();
    struct model model = {0}, staged, heard = {0};
    unsigned uids = 1;

    for (unsigned i = 0; i < 20000; i++) {
        unsigned name = roll(NAMES), what = roll(20);

        if (what < 11) {
            apply(inventory, &model, name, model.uid[name] && roll(8) ? model.uid[name] : uids++, false);
        } else if (what < 17) {
            char texts[2][32];
            bool known = model.uid[name] && roll(4);

            snprintf(texts[0], sizeof(texts[0]), "n%02u", name);
            snprintf(texts[1], sizeof(texts[1]), "u%u", known ? model.uid[name] : uids++);
            bed_gone(inventory, texts[0], texts[1]);
            if (known) {
                model.uid[name] = 0;
                model.has[name] = 0;
            }
        } else {
            memset(&staged, 0, sizeof(staged));
            assert_int_equal(inventory_list_start(inventory), 0);
            for (unsigned one = 0; one < NAMES; one++)
                if (roll(5))
                    apply(inventory, &staged, one, model.uid[one] && roll(8) ? model.uid[one] : uids++, true);
            compare(inventory, &model);
            if (what == 17) {
                inventory_list_abandoned(inventory);
            } else {
                assert_int_equal(inventory_list_done(inventory), 0);
                model = staged;
            }
        }
        compare(inventory, &model);
        follow(inventory, &heard);
        for (unsigned one = 0; one < NAMES; one++) {
            assert_int_equal(heard.uid[one], model.uid[one]);
            assert_int_equal(heard.has[one], model.uid[one] ? model.has[one] : 0);
        }
    }
}

RUN(cmocka_unit_test(a_long_life))
