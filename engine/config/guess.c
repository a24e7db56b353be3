/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guess - where the state directory is by a nodewall.yaml that cannot be read whole.
 *
 * The engine goes on with the old configuration while the file is broken, and just then people ask it how it is. So whoever
 * only wants to find its socket looks for the one line, and for the usual place without it.
 * Does not: judge. config_load has said what is wrong.
 */
#include "nodewall/config.h"

#include <string.h>

#define GUESS_LIMIT (1024 * 1024)

static const char key[] = "state_dir:";

static char *take_value(const char *line) {
    size_t n;

    line += strlen(key);
    line += strspn(line, " \t\"'");
    n = strcspn(line, "\"'#\r\n");
    while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    return line[0] == '/' && n < 4096 ? strndup(line, n) : NULL;
}

int config_guess_state_dir(char **ret, const char *path) {
    CLEANUP(cleanup_free) char *text = NULL;
    char *found = NULL;
    size_t size;

    if (file_read(&text, &size, path, GUESS_LIMIT) == 0)
        for (const char *line = text; line && !found; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
            if (!strncmp(line, key, strlen(key)))
                found = take_value(line);
    if (!found)
        found = strdup(CONFIG_STATE_DIR);
    if (!found)
        return -ENOMEM;
    *ret = found;
    return 0;
}
