/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor file - events to a file and from one.
 *
 * A recording holds what jobs and minions said, so it is made new and for its owner alone. In a replay nobody waits on
 * the other side: here the output is waited for, and nothing is dropped.
 */
#include "cmd/monitor.h"

#include <fcntl.h>
#include <string.h>

#define CHUNK (1024 * 1024)

int monitor_record_open(struct monitor *monitor, struct problem *problem) {
    int fd = open(monitor->record_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return problem_set(problem, monitor->record_path, errno == EEXIST ? "remove it or take another name" : NULL,
                           "cannot make the recording: %s", strerror(errno));
    monitor->record = fdopen(fd, "w");
    if (!monitor->record) {
        close(fd);
        return -ENOMEM;
    }
    return fputs(RECORD_HEAD, monitor->record) < 0 ? -EIO : 0;
}

void monitor_record(struct monitor *monitor, const struct recorded *event) {
    if (!monitor->record)
        return;
    monitor->line.size = 0;
    if (record_add(&monitor->line, event) == 0 && fwrite(monitor->line.data, monitor->line.size, 1, monitor->record) == 1)
        return;
    monitor->error = errno ? errno : ENOMEM;
    monitor_finish(monitor, CANNOT_RECORD);
}

/* All events that are whole in the buffer; what is left moves to its beginning. */
static int replay_buffer(struct monitor *monitor, struct line *buffer) {
    struct recorded event;
    size_t at = 0, used;
    int r = 0;

    while (monitor->end == RUNNING &&
           (r = record_read(&event, (uint8_t *)buffer->data + at, buffer->size - at, &used)) == 1) {
        monitor_tell(monitor, event.wall, false);
        if (event.tag_size || event.data_size)
            monitor_event(monitor, &event);
        else
            monitor_gap(monitor, event.wall, "the bus was away");
        at += used;
    }
    memmove(buffer->data, buffer->data + at, buffer->size - at);
    buffer->size -= at;
    return r;
}

static int replay_file(struct monitor *monitor, FILE *file, struct problem *problem) {
    CLEANUP(line_done) struct line buffer = {0};
    char head[sizeof(RECORD_HEAD)] = "";
    size_t n;
    int r = 0;

    if (fread(head, sizeof(RECORD_HEAD) - 1, 1, file) != 1 || strcmp(head, RECORD_HEAD))
        return problem_set(problem, monitor->replay_path, "make one with -w", "this is no recording of events");
    while (monitor->end == RUNNING) {
        if (line_reserve(&buffer, CHUNK) < 0)
            return -ENOMEM;
        n = fread(buffer.data + buffer.size, 1, CHUNK, file);
        buffer.size += n;
        r = replay_buffer(monitor, &buffer);
        (void)output_drain(monitor->out, MSEC_NEVER);
        if (r < 0 || n == 0)
            break;
    }
    if (ferror(file))
        return problem_set(problem, monitor->replay_path, NULL, "cannot read it on");
    if (monitor->end == RUNNING && (r < 0 || buffer.size))
        return problem_set(problem, monitor->replay_path, "what came before it was shown",
                           r < 0 ? "a record in it is none" : "it ends in the middle of an event");
    return 0;
}

int monitor_replay(struct monitor *monitor, struct problem *problem) {
    CLEANUP(cleanup_file) FILE *file = fopen(monitor->replay_path, "re");

    if (!file)
        return problem_set(problem, monitor->replay_path, NULL, "cannot open the recording: %s", strerror(errno));
    return replay_file(monitor, file, problem);
}
