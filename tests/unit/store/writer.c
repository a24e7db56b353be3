/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writer - a store at the end of a pipe, for readers.py: one command a line, one line of JSON back.
 *
 *   set [ADDRESS]...      commit this set; its resourceVersion is the number of the line
 *   repair ENTRY...       announce again to these minions; ENTRY is a file name of the roster
 *   reopen                as after a restart
 *   encode HEX            the file name of the id with these bytes
 *   roster                the ids of the roster
 * Usage: writer STATE_DIR CLUSTER
 */
#include "nodewall/json.h"
#include "nodewall/roster.h"
#include "nodewall/store.h"

#include <string.h>

#define WORDS_MAX 4096

static void give_up(const char *what, int error) {
    fprintf(stderr, "writer: %s: %s\n", what, strerror(-error));
    exit(1);
}

static void must(const char *what, int error) {
    if (error < 0)
        give_up(what, error);
}

static void say(const struct store *store, int outcome, const char *token) {
    const struct set *set = store_set(store);
    CLEANUP(json_putp) json_object *answer = json_object_new_object();

    json_object_object_add(answer, "outcome", json_object_new_int(outcome));
    json_object_object_add(answer, "token", json_object_new_string(token));
    json_object_object_add(answer, "epoch", json_object_new_string(store_epoch(store)));
    json_object_object_add(answer, "generation", json_object_new_uint64(set ? set->version.generation : 0));
    json_object_object_add(answer, "digest", json_object_new_string(set ? set->version.digest : ""));
    puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
}

static void commit_words(struct store *store, char **words, size_t n, unsigned line) {
    CLEANUP(set_freep) struct set *set = NULL;
    CLEANUP(commit_freep) struct commit *commit = NULL;
    int r;

    must("set", set_new(&set));
    for (size_t i = 0; i < n; i++) {
        struct address address;

        must(words[i], address_parse(&address, words[i], strlen(words[i])));
        must(words[i], set_append(set, &address, "node.example"));
    }
    snprintf(set->version.rv, sizeof(set->version.rv), "%u", line);
    set->version.as_of = clock_wall();
    must("seal", set_seal(set));
    must("prepare", store_prepare(&commit, store, set, NULL));
    r = store_write(commit);
    must("write", r);
    store_confirm(store, commit);
    say(store, r, commit_token(commit));
}

static void repair(struct store *store, char **words, size_t n) {
    char token[TOKEN_DIGITS + 1], *minions[WORDS_MAX] = {0};

    for (size_t i = 0; i < n; i++)
        must(words[i], roster_decode(&minions[i], words[i]));
    must("announce", store_announce(store, (const char *const *)minions, n, token));
    for (size_t i = 0; i < n; i++)
        free(minions[i]);
    say(store, 0, token);
}

static void encode(const char *hex) {
    CLEANUP(json_putp) json_object *answer = NULL;
    CLEANUP(cleanup_free) char *name = NULL;
    char id[1024] = "";
    unsigned byte;

    for (size_t i = 0; i < sizeof(id) - 1 && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
        id[i] = (char)byte;
    answer = roster_encode(&name, id) == 0 ? json_object_new_string(name) : NULL;
    puts(answer ? json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN) : "null");
}

static void tell_roster(const char *state_dir, const char *cluster) {
    CLEANUP(roster_freep) struct roster *roster = NULL;
    CLEANUP(json_putp) json_object *answer = json_object_new_array();

    must("roster", roster_read(&roster, state_dir, cluster));
    for (size_t i = 0; i < roster->n_minions; i++)
        json_object_array_add(answer, json_object_new_string(roster->minions[i]));
    puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
}

int main(int argc, char **argv) {
    CLEANUP(state_dir_freep) struct state_dir *dir = NULL;
    CLEANUP(store_freep) struct store *store = NULL;
    CLEANUP(cleanup_free) char *line = NULL;
    struct problem problem = {0};
    size_t size = 0;

    if (argc != 3)
        return 2;
    if (state_dir_open(&dir, argv[1], &problem) < 0)
        give_up(problem.what, -EPERM);
    must("open", store_open(&store, dir, argv[2]));
    for (unsigned number = 1; getline(&line, &size, stdin) > 0; number++) {
        static char *words[WORDS_MAX];
        char *rest = line, *word;
        size_t n = 0;

        while (n < WORDS_MAX && (word = strtok_r(rest, " \n", &rest)))
            words[n++] = word;
        if (n && !strcmp(words[0], "set")) {
            commit_words(store, words + 1, n - 1, number);
        } else if (n && !strcmp(words[0], "repair")) {
            repair(store, words + 1, n - 1);
        } else if (n && !strcmp(words[0], "reopen")) {
            int r;

            store = store_free(store);
            r = store_open(&store, dir, argv[2]);
            must("reopen", r);
            say(store, r, "");
        } else if (n && !strcmp(words[0], "roster")) {
            tell_roster(argv[1], argv[2]);
        } else if (n && !strcmp(words[0], "encode")) {
            encode(n > 1 ? words[1] : "");
        } else {
            return 2;
        }
        fflush(stdout);
    }
    return 0;
}
