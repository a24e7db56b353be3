/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock - a calendar for what the state remembers, that nobody can turn.
 *
 * A wall clock is set: by NTP after a boot without a battery, by an operator, by a virtual machine that was paused. Believed, a jump
 * forward would end every grace and empty the guard's window at once. CLOCK_BOOTTIME can't be set, but begins anew with each boot.
 * So the state carries a pair of both clocks and the boot they belong to: within one boot the time that passed is what CLOCK_BOOTTIME
 * says, and over a reboot none has passed. What no clock can prove is not counted: a grace is longer for it, never shorter.
 *
 * The calendar begins with the wall clock, so that its times can be read by people, roughly.
 */
#include "nodewall/json.h"
#include "nodewall/policy.h"

#include <string.h>

#define KEY "clock"

static bool get_number(msec *ret, json_object *from, const char *key) {
    json_object *value = json_get(from, key);
    msec number = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;

    if (number < 0 || number > INT64_MAX / 4)
        return false;
    *ret = number;
    return true;
}

void policy_clock_open(struct policy_clock *ret, struct json_object *state, const char *boot, msec now, msec wall) {
    json_object *saved = json_get(state, KEY);
    const char *before = json_object_get_string(json_get(saved, "boot"));
    msec calendar, then;

    *ret = (struct policy_clock){.offset = wall - now};
    snprintf(ret->boot, sizeof(ret->boot), "%s", boot);
    if (!get_number(&calendar, saved, "calendar") || !get_number(&then, saved, "now"))
        return;
    ret->offset = calendar - (before && boot[0] && !strcmp(before, boot) && then <= now ? then : now);
}

msec policy_clock_at(const struct policy_clock *clock, msec now) {
    return now + clock->offset;
}

static int put(json_object *into, const char *key, json_object *value) {
    if (value && json_object_object_add(into, key, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

int policy_clock_save(const struct policy_clock *clock, struct json_object *state, msec now) {
    CLEANUP(json_putp) json_object *saved = json_object_new_object();

    if (!saved || put(saved, "boot", json_object_new_string(clock->boot)) < 0 ||
        put(saved, "now", json_object_new_int64(now)) < 0 ||
        put(saved, "calendar", json_object_new_int64(policy_clock_at(clock, now))) < 0)
        return -ENOMEM;
    return put(state, KEY, json_object_get(saved));
}
