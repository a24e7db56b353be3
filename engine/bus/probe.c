/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probe - bare first, then with length, then again, until an event came back.
 *
 *            probe_make                  echo: connected in this framing
 *   begun ───────────────▶ sent ───────┤
 *     ▲                                  no echo in time ─▶ probe_failed ─▶ a new connection ─▶ probe_reopened ─┐
 *     └──────────────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Bare goes first because it is silent when it is wrong: a master that expects lengths takes its first bytes for one
 * and waits. The other way round the master logs an error for each 4 KiB.
 * Keeps: one probe under way. Does not: send, read, connect.
 */
#include "probe.h"
#include "stream.h"

#include "nodewall/json.h"

#include <string.h>

/* The publisher may take the pushed event before it has let the subscriber in, on the other socket. */
#define SETTLE 50
#define PATIENCE 1000
#define PATIENCE_MAX 5000

void probe_begin(struct probe *probe, enum bus_framing wanted, msec now) {
    *probe = (struct probe){.framing = wanted == BUS_FRAMING_AUTO ? BUS_FRAMING_BARE : wanted,
                            .fixed = wanted != BUS_FRAMING_AUTO,
                            .due = now + SETTLE};
}

static int make_data(json_object **ret, const struct probe *probe, const char *id) {
    CLEANUP(json_putp) json_object *data = json_object_new_object();
    json_object *values[2] = {json_object_new_string(id), json_object_new_string(bus_framing_name(probe->framing))};

    if (!data || !values[0] || !values[1] || json_object_object_add(data, "event_id", values[0]) < 0) {
        json_object_put(values[0]);
        json_object_put(values[1]);
        return -ENOMEM;
    }
    if (json_object_object_add(data, "framing", values[1]) < 0) {
        json_object_put(values[1]);
        return -ENOMEM;
    }
    *ret = TAKE_PTR(data);
    return 0;
}

int probe_make(struct probe *probe, msec now, uint8_t **ret, size_t *ret_size) {
    CLEANUP(json_putp) json_object *data = NULL;
    CLEANUP(cleanup_free) uint8_t *body = NULL;
    char id[OUTBOX_ID_DIGITS + 1];
    size_t size;
    int r = random_hex(id, OUTBOX_ID_DIGITS);

    if (r < 0)
        return r;
    r = make_data(&data, probe, id);
    if (r < 0)
        return r;
    r = pack_event(&body, &size, PROBE_TAG, data, NULL);
    if (r < 0)
        return r;
    r = frame_make(ret, ret_size, probe->framing, body, size);
    if (r < 0)
        return r;
    memcpy(probe->ids[probe->framing], id, sizeof(id));
    probe->sent = true;
    /* Each framing has its turn with the same patience. */
    probe->due = now + MIN(PATIENCE_MAX, (msec)PATIENCE << MIN(probe->attempts / 2, 8));
    return 0;
}

void probe_failed(struct probe *probe) {
    probe->attempts++;
    probe->sent = false;
    probe->due = MSEC_NEVER;
    if (!probe->fixed)
        probe->framing = probe->framing == BUS_FRAMING_BARE ? BUS_FRAMING_LEN32 : BUS_FRAMING_BARE;
}

void probe_reopened(struct probe *probe, msec now) {
    probe->due = now;
}

enum bus_framing probe_echo(const struct probe *probe, const char *id) {
    for (int framing = BUS_FRAMING_BARE; framing < PROBE_KINDS; framing++)
        if (probe->ids[framing][0] && !strcmp(probe->ids[framing], id))
            return (enum bus_framing)framing;
    return BUS_FRAMING_AUTO;
}

void probe_prefer(struct probe *probe, enum bus_framing framing) {
    probe->framing = framing;
    probe->sent = false;
    probe->due = MSEC_NEVER;
}
