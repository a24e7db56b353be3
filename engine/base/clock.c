/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock - the two clocks, and times as text. Only the outermost modules ask it; the others are given `now`.
 */
#include "nodewall/base.h"

#include <string.h>
#include <time.h>

static msec read_clock(clockid_t id) {
    struct timespec time;

    clock_gettime(id, &time);
    return (msec)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

msec clock_now(void) {
    return read_clock(CLOCK_BOOTTIME);
}

msec clock_wall(void) {
    return read_clock(CLOCK_REALTIME);
}

const char *clock_boot(char buffer[40]) {
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!file || !fgets(buffer, 40, file))
        buffer[0] = '\0';
    if (file)
        fclose(file);
    buffer[strcspn(buffer, "\n")] = '\0';
    return buffer;
}

/* Years outside 0..9999 do not fit RFC 3339; a broken clock is written as the nearest edge. */
static void split(msec wall, struct tm *ret_tm, unsigned *ret_ms) {
    const msec last = 253402300799LL * 1000;
    msec clamped = MIN(MAX(wall, 0), last);
    time_t seconds = (time_t)(clamped / 1000);

    gmtime_r(&seconds, ret_tm);
    *ret_ms = (unsigned)(clamped % 1000);
}

static size_t write_seconds(const struct tm *tm, char buffer[TIME_TEXT_MAX]) {
    return strftime(buffer, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", tm);
}

const char *time_format(msec wall, char buffer[TIME_TEXT_MAX]) {
    struct tm tm;
    unsigned ms;
    size_t n;

    split(wall, &tm, &ms);
    n = write_seconds(&tm, buffer);
    snprintf(buffer + n, TIME_TEXT_MAX - n, ".%03uZ", ms);
    return buffer;
}

const char *time_format_stamp(msec wall, char buffer[TIME_TEXT_MAX]) {
    struct tm tm;
    unsigned ms;
    size_t n;

    split(wall, &tm, &ms);
    n = write_seconds(&tm, buffer);
    snprintf(buffer + n, TIME_TEXT_MAX - n, ".%03u000", ms);
    return buffer;
}

static int parse_offset(const char *text, int *ret_seconds) {
    int hours, minutes, n = 0;

    if ((text[0] == 'Z' || text[0] == 'z') && !text[1]) {
        *ret_seconds = 0;
        return 0;
    }
    if ((text[0] != '+' && text[0] != '-') || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || n != 5 ||
        text[6] || hours > 23 || minutes > 59)
        return -EINVAL;
    *ret_seconds = (hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
    return 0;
}

int time_parse(msec *ret_wall, const char *text) {
    struct tm tm = {0};
    int offset, ms = 0, scale = 100;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    time_t seconds;

    if (!rest)
        return -EINVAL;
    if (*rest == '.') {
        const char *digits = ++rest;

        for (; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
            ms += (*rest - '0') * scale;
        if (rest == digits)
            return -EINVAL;
    }
    if (parse_offset(rest, &offset) < 0)
        return -EINVAL;
    seconds = timegm(&tm);
    if (seconds < 0)
        return -EINVAL;
    *ret_wall = ((msec)seconds - offset) * 1000 + ms;
    return 0;
}
