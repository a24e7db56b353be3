/* SPDX-License-Identifier: Apache-2.0 */
/* Probe - finds out how the master wants frames, by an event that comes back. Pure. Private to engine/bus. */
#pragma once

#include "nodewall/bus.h"

#define PROBE_TAG "nodewall/probe"
#define PROBE_KINDS 3               /* enum bus_framing is the index */

struct probe {
    enum bus_framing framing;       /* tried now; never AUTO */
    bool fixed;                     /* the only one that is tried */
    bool sent;
    unsigned attempts;              /* that nothing came of */
    msec due;                       /* sent: until when its echo is waited for; otherwise when to send */
    char ids[PROBE_KINDS][OUTBOX_ID_DIGITS + 1];    /* of the last one in each framing */
};

/* Both connections are open. `wanted` may be AUTO. */
void probe_begin(struct probe *probe, enum bus_framing wanted, msec now);
/* The event to send now, as a whole frame; it counts as sent. The caller frees *ret. */
int probe_make(struct probe *probe, msec now, uint8_t **ret, size_t *ret_size);
/* No echo in time: the other framing is next. The pushing connection has to be a new one, for the master's side of the
 * old may be waiting for gigabytes. */
void probe_failed(struct probe *probe);
/* That connection is open. */
void probe_reopened(struct probe *probe, msec now);
/* The framing of the probe with this id; AUTO: it is none of ours. It may have come late, after the next was begun. */
enum bus_framing probe_echo(const struct probe *probe, const char *id);
/* It is known by now, but has not been tried on this connection. As probe_failed about the connection. */
void probe_prefer(struct probe *probe, enum bus_framing framing);
