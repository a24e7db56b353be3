/* SPDX-License-Identifier: Apache-2.0 */
/* Grace - of each address in the confirmed set: does it live, and if not, since when. Internal to policy. */
#pragma once

#include "nodewall/policy.h"

#define LIVES INT64_MIN         /* of mark.gone */

struct mark {
    msec gone;                  /* `now` when no living node reported it any more; LIVES: one does, or none was asked */
    bool bare;                  /* its node lives and reports no address at all */
    bool extra;                 /* it is in the set by the operator's word */
    bool relabelled;            /* our label is newer than the one that was published */
    bool released;              /* an operator let it go; it goes with the next set */
};

/* The confirmed set with its marks, one for each member. */
struct marked {
    struct set *set;            /* labels as of the last living node that reported the address */
    struct mark *marks;
};
void marked_done(struct marked *marked);
int marked_new(struct marked *ret, const struct set *set);  /* copies; every mark LIVES */
struct mark *marked_find(const struct marked *marked, const struct address *address);   /* or NULL */
/* Compares with what lives. `bare`: sorted labels. True if something changed that must survive a restart. */
bool marked_look(
        struct marked *marked, const struct set *living, const char (*bare)[LABEL_MAX + 1], size_t n_bare, msec now);
/* In the set only because an operator said `extra`. */
bool marked_is_extra(const struct marked *marked, size_t i);

const struct member *set_find(const struct set *set, const struct address *address);
