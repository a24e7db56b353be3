/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-in for the engine in the shim's tests: says on one line of JSON per start what it found itself with, then waits
 * for SIGTERM. Usage: standin run --salt-fd N; the report is appended to the file named by "config" in the payload, with
 * ".report" behind it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void report_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        if ((unsigned char)*text >= ' ')
            fputc(*text, out);
    }
    fputc('"', out);
}

/* -1 if it is no number of a descriptor. */
static int parse_fd(const char *text) {
    char *end;
    unsigned long fd = strtoul(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && fd < 1 << 20 ? (int)fd : -1;
}

static void report_fds(FILE *out) {
    DIR *dir = opendir("/proc/self/fd");
    const char *comma = "";
    if (!dir)
        abort();
    fputs(",\"fds\":{", out);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char link[256] = "", path[300];
        int fd = parse_fd(entry->d_name);
        if (fd < 0 || fd == dirfd(dir) || fd == fileno(out))
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, link, sizeof link - 1) < 0)
            abort();
        fprintf(out, "%s\"%d\":", comma, fd);
        report_string(out, link);
        comma = ",";
    }
    fputs("}", out);
    closedir(dir);
}

static void report_status(FILE *out) {
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    if (!status)
        abort();
    while (fgets(line, sizeof line, status)) {
        char key[32], value[64];
        if (sscanf(line, "%31[^:]: %63s", key, value) == 2 && (!strcmp(key, "SigBlk") || !strcmp(key, "SigIgn")))
            fprintf(out, ",\"%s\":\"%s\"", key, value);
    }
    fclose(status);
}

int main(int argc, char **argv) {
    static char payload[65537], path[4096], config_path[4001];
    int fd = argc == 4 ? parse_fd(argv[3]) : -1, death = 0, got;
    ssize_t size = fd > 2 ? read(fd, payload, sizeof payload - 1) : -1;
    if (size <= 0 || strcmp(argv[1], "run") || strcmp(argv[2], "--salt-fd"))
        return 2;
    const char *config = strstr(payload, "\"config\": \"");
    if (!config || sscanf(config, "\"config\": \"%4000[^\"]", config_path) != 1)
        return 2;
    snprintf(path, sizeof path, "%s.report", config_path);
    sigset_t set;
    prctl(PR_GET_PDEATHSIG, &death);
    FILE *out = fopen(path, "ae");
    if (!out)
        return 1;
    fprintf(out, "{\"pid\":%d,\"ppid\":%d,\"seals\":%d,\"pdeathsig\":%d,\"payload\":%s,\"env\":[", getpid(), getppid(),
            fcntl(fd, F_GET_SEALS), death, payload);
    for (char **entry = environ; *entry; entry++) {
        if (entry != environ)
            fputc(',', out);
        report_string(out, *entry);
    }
    fputs("]", out);
    report_status(out);
    report_fds(out);
    fputs("}\n", out);
    fflush(out);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (sigwait(&set, &got))
        return 1;
    fprintf(out, "{\"pid\":%d,\"stopped\":%d}\n", getpid(), got);
    fclose(out);
    return 0;
}
