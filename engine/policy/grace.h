/* SPDX-License-Identifier: Apache-2.0 */
/* Grace - of each address in the confirmed set: does it live, and if not, since when. Internal to policy. */
#pragma once

#include "nodewall/policy.h"

#define LIVES INT64_MIN         /* of mark.gone */
#define AGREED INT64_MIN        /* of mark.doubt */
#define LONG_AGO (INT64_MIN / 2)

struct mark {
    msec gone;                  /* `now` when no living node reported it any more; LIVES: one does, or none was asked */
    msec doubt;                 /* while gone: `now` of the list that lacked it first; AGREED: a DELETED event or a second list said so */
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
/* How the picture came about that is compared. */
enum look {
    LOOK_EVENT,                 /* of watch events: what is missing now was deleted */
    LOOK_LIST,                  /* of a complete list: what is missing is in doubt until a second one agrees */
    LOOK_AGAIN,                 /* one that was seen before; nobody remembers how */
};
/* Compares with what lives. `bare`: sorted labels. True if something changed that must survive a restart. */
bool marked_look(
        struct marked *marked, const struct set *living, const char (*bare)[LABEL_MAX + 1], size_t n_bare, enum look how,
        msec now);
/* In the set only because an operator said `extra`. */
bool marked_is_extra(const struct marked *marked, size_t i);

const struct member *set_find(const struct set *set, const struct address *address);
