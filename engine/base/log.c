/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log - where lines go, in whose format, and how many.
 *
 * Keeps: one write(2) per line, so lines of several processes in one file never mix; no control character from outside
 * reaches the file; a flood is counted instead of written. Salt's file is opened again when another has its name: its
 * package rotates by renaming, and Python's handlers in the master look at each line, too.
 * Does not: block on a reader. stderr of a service is a journal or a file.
 */
#include "nodewall/log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { FLOOD_LINES = 50, FLOOD_WINDOW_MS = 10000, LINE_MAX_BYTES = 2048 };

static enum log_level threshold = LOG_LEVEL_INFO;
static struct {
    int fd;
    char *path;
    dev_t device;
    ino_t inode;
} salt = {.fd = -1};
static struct {
    msec since;
    unsigned lines, dropped;
} flood[LOG_LEVEL_DEBUG + 1];

void log_set_level(enum log_level level) {
    threshold = level;
}

enum log_level log_level_parse(const char *name) {
    static const struct {
        const char *name;
        enum log_level level;
    } names[] = {
        {"all", LOG_LEVEL_DEBUG},       {"garbage", LOG_LEVEL_DEBUG},   {"trace", LOG_LEVEL_DEBUG},
        {"debug", LOG_LEVEL_DEBUG},     {"profile", LOG_LEVEL_DEBUG},   {"info", LOG_LEVEL_INFO},
        {"warning", LOG_LEVEL_WARNING}, {"error", LOG_LEVEL_ERROR},     {"critical", LOG_LEVEL_ERROR},
        {"quiet", LOG_LEVEL_ERROR},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (!strcasecmp(name, names[i].name))
            return names[i].level;
    return LOG_LEVEL_WARNING;
}

static int open_salt(const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0640);
    struct stat st;

    if (fd < 0)
        return -errno;
    if (salt.fd >= 0)
        close(salt.fd);
    salt.fd = fd;
    if (fstat(fd, &st) == 0) {
        salt.device = st.st_dev;
        salt.inode = st.st_ino;
    }
    return 0;
}

int log_to_salt(const char *path) {
    CLEANUP(cleanup_free) char *copy = strdup(path);
    int r = copy ? open_salt(path) : -ENOMEM;

    if (r < 0)
        return r;
    free(salt.path);
    salt.path = TAKE_PTR(copy);
    return 0;
}

/* If it can't be opened again, the old file goes on. */
static void follow_rotation(void) {
    struct stat st;

    if (lstat(salt.path, &st) < 0 ? errno == ENOENT : st.st_dev != salt.device || st.st_ino != salt.inode)
        (void)open_salt(salt.path);
}

static bool stderr_is_journal(void) {
    static int known = -1;
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    if (known < 0)
        known = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
                st.st_dev == device && st.st_ino == inode;
    return known;
}

static void emit(enum log_level level, const char *text) {
    static const char *const salt_names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};
    static const int priorities[] = {3, 4, 6, 7};
    char line[LINE_MAX_BYTES + 128];
    int n;

    if (salt.fd >= 0) {
        follow_rotation();
        /* Salt's default log_fmt_logfile, in local time as Python's logging writes it. */
        msec wall = clock_wall();
        time_t seconds = (time_t)(wall / 1000);
        char when[32];
        struct tm tm;

        localtime_r(&seconds, &tm);
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
        n = snprintf(line, sizeof(line), "%s,%03d [%-25s:%-4d][%-8s][%d] %s\n", when, (int)(wall % 1000), "nodewall", 0,
                     salt_names[level], (int)getpid(), text);
    } else if (stderr_is_journal()) {
        n = snprintf(line, sizeof(line), "<%d>%s\n", priorities[level], text);
    } else {
        char when[TIME_TEXT_MAX];

        n = snprintf(line, sizeof(line), "%s %-7s %s\n", time_format(clock_wall(), when), salt_names[level], text);
    }
    if (n > 0 && write(salt.fd >= 0 ? salt.fd : STDERR_FILENO, line, MIN((size_t)n, sizeof(line) - 1)) < 0)
        return; /* a log that cannot be written has nobody to tell */
}

static bool admit(enum log_level level) {
    msec now = clock_now();

    if (now - flood[level].since > FLOOD_WINDOW_MS) {
        unsigned dropped = flood[level].dropped;

        flood[level].since = now;
        flood[level].lines = flood[level].dropped = 0;
        if (dropped) {
            char text[96];

            snprintf(text, sizeof(text), "%u more lines of this level were left out in the last seconds", dropped);
            emit(level, text);
        }
    }
    if (flood[level].lines >= FLOOD_LINES && level != LOG_LEVEL_DEBUG) {
        flood[level].dropped++;
        return false;
    }
    flood[level].lines++;
    return true;
}

void log_line(enum log_level level, const char *format, ...) {
    char text[LINE_MAX_BYTES];
    va_list arguments;

    if (level > threshold || !admit(level))
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    emit(level, text_clean(text));
}
