/* SPDX-License-Identifier: Apache-2.0 */
/* What disks, people and crashes do to a store, and what must be left of it. */
#include "bed.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void path_of(char ret[256], const struct bed *bed, const char *name) {
    snprintf(ret, 256, "%s/%s", bed->path, name);
}

static void write_file(const struct bed *bed, const char *name, const char *data, size_t size) {
    char path[256];

    path_of(path, bed, name);
    assert_int_equal(file_write_atomic(path, data, size, 0640, false), 0);
}

static bool exists(const struct bed *bed, const char *name) {
    char path[256];

    path_of(path, bed, name);
    return access(path, F_OK) == 0;
}

static struct store *three_generations(struct bed *bed) {
    struct store *store = NULL;

    bed_open(bed);
    assert_int_equal(store_open(&store, bed->dir, "prod"), STORE_NEW);
    commit_free(bed_commit(store, "203.0.113.1", "1", NULL));
    commit_free(bed_commit(store, "203.0.113.1 203.0.113.2", "2", NULL));
    commit_free(bed_commit(store, "203.0.113.1 203.0.113.2 203.0.113.3", "3", NULL));
    return store;
}

static void previous_copy_skips_a_generation(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = three_generations(&bed);
    CLEANUP(commit_freep) struct commit *commit = NULL;
    char epoch[EPOCH_DIGITS + 1];

    snprintf(epoch, sizeof(epoch), "%s", store_epoch(store));
    store = store_free(store);
    write_file(&bed, "store/prod.json", "{\"v\":1,\"checks", 14);
    for (int round = 0; round < 2; round++) { /* the second time the newest is missing altogether */
        assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_PREVIOUS);
        assert_true(exists(&bed, "store/prod.json.bad"));
        assert_string_equal(store_epoch(store), epoch);
        assert_int_equal(store_set(store)->version.generation, 2);
        assert_true(store_must_commit(store));
        if (round == 0)
            store = store_free(store);
    }
    /* Generation 3 was announced once: the next is 4, and says so even if the set is the same. */
    commit = bed_commit(store, "203.0.113.1 203.0.113.2", "4", NULL);
    assert_int_equal(store_set(store)->version.generation, 4);
    assert_false(store_must_commit(store));
    store = store_free(store);
    assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    assert_int_equal(store_set(store)->version.generation, 4);
    bed_done(&bed);
}

/* The policy is saved often, a set seldom: saving the one must not forget that the other is owed. */
static void a_skipped_generation_is_remembered(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = three_generations(&bed);
    struct commit *commit = NULL;

    store = store_free(store);
    write_file(&bed, "store/prod.json", "", 0);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_PREVIOUS);
    assert_int_equal(store_prepare(&commit, store, NULL, NULL), 0);
    assert_int_equal(store_write(commit), 0);
    store_confirm(store, commit);
    commit = commit_free(commit);
    store = store_free(store);
    assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    assert_true(store_must_commit(store));
    commit_free(bed_commit(store, "203.0.113.4", "4", NULL));
    assert_int_equal(store_set(store)->version.generation, 4);
    assert_false(store_must_commit(store));
    store = store_free(store);
    assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    assert_false(store_must_commit(store));
    bed_done(&bed);
}

/* The copy before the first set knows of no generation, but one may have been announced. */
static void a_lost_first_set_counts(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    struct commit *commit = NULL;

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    assert_int_equal(store_prepare(&commit, store, NULL, NULL), 0);
    assert_int_equal(store_write(commit), 0);
    store_confirm(store, commit);
    commit = commit_free(commit);
    commit_free(bed_commit(store, "203.0.113.1", "1", NULL));
    store = store_free(store);
    write_file(&bed, "store/prod.json", "", 0);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_PREVIOUS);
    assert_null(store_set(store));
    assert_true(store_must_commit(store));
    commit_free(bed_commit(store, "203.0.113.2", "2", NULL));
    assert_int_equal(store_set(store)->version.generation, 2);
    bed_done(&bed);
}

static void both_lost_is_a_new_epoch(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = three_generations(&bed);
    char epoch[EPOCH_DIGITS + 1];

    snprintf(epoch, sizeof(epoch), "%s", store_epoch(store));
    store = store_free(store);
    write_file(&bed, "store/prod.json", "", 0);
    write_file(&bed, "store/prod.json.1", "garbage", 7);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_LOST);
    assert_string_not_equal(store_epoch(store), epoch);
    assert_null(store_set(store));
    assert_true(exists(&bed, "store/prod.json.bad"));
    assert_true(exists(&bed, "store/prod.json.1.bad"));
    /* What minions were given last stays where they find it. */
    assert_true(exists(&bed, "files/nodewall/prod.json"));
    commit_free(bed_commit(store, "203.0.113.9", "9", NULL));
    assert_int_equal(store_set(store)->version.generation, 1);
    bed_done(&bed);
}

/* Each single byte of the file, changed, is noticed. */
static void every_byte_counts(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = three_generations(&bed);
    CLEANUP(cleanup_free) char *data = NULL;
    char path[256];
    size_t size;

    store = store_free(store);
    path_of(path, &bed, "store/prod.json");
    assert_int_equal(file_read(&data, &size, path, 1 << 20), 0);
    for (size_t i = 0; i < size; i += 7) {
        data[i] ^= 1;
        write_file(&bed, "store/prod.json", data, size);
        data[i] ^= 1;
        assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_PREVIOUS);
        store = store_free(store);
    }
    for (size_t cut = 0; cut < size; cut += 31) {
        write_file(&bed, "store/prod.json", data, cut);
        assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_PREVIOUS);
        store = store_free(store);
    }
    write_file(&bed, "store/prod.json", data, size);
    assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    /* Whole, but of another cluster. */
    write_file(&bed, "store/test.json", data, size);
    store = store_free(store);
    assert_int_equal(store_open(&store, bed.dir, "test"), STORE_LOST);
    bed_done(&bed);
}

/* Files larger than a limit fail to be written like on a full disk; the signal of it is ignored as the engine does. */
static void a_full_disk_keeps_the_old(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = three_generations(&bed);
    CLEANUP(set_freep) struct set *set = bed_set("203.0.113.1 203.0.113.2 203.0.113.3 203.0.113.4", "5");
    struct rlimit before, tight;
    struct commit *commit = NULL;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 512;
    assert_int_equal(store_prepare(&commit, store, set, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    assert_true(store_write(commit) < 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    commit = commit_free(commit);
    assert_int_equal(store_set(store)->version.generation, 3);
    assert_true(store_is_derived(store));

    store = store_free(store);
    assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    assert_int_equal(store_set(store)->version.generation, 3);
    commit_free(bed_commit(store, "203.0.113.5", "6", NULL));
    assert_int_equal(store_set(store)->version.generation, 4);
    bed_done(&bed);
}

static void derived_files_are_caught_up(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = three_generations(&bed);
    CLEANUP(set_freep) struct set *set = bed_set("203.0.113.4", "5");
    struct commit *commit = NULL;
    struct json_object *announce;
    char path[256], aside[256], token[TOKEN_DIGITS + 1];

    path_of(path, &bed, "announce");
    path_of(aside, &bed, "away");
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(store_prepare(&commit, store, set, NULL), 0);
    assert_int_equal(store_write(commit), STORE_UNDERIVED);
    store_confirm(store, commit);
    assert_false(store_is_derived(store));
    assert_int_equal(store_announce(store, NULL, 0, token), -ENOENT);
    assert_int_equal(rename(aside, path), 0);
    assert_int_equal(store_derive(store), 0);
    assert_true(store_is_derived(store));
    announce = bed_json(&bed, "announce/prod.json");
    assert_string_equal(bed_at(announce, "generation"), "4");
    assert_string_equal(bed_at(announce, "tokens/3/token"), commit_token(commit));
    json_object_put(announce);
    commit_free(commit);
    bed_done(&bed);
}

/* A child commits without end and is killed at a moment of the machine's choice; what it leaves is whole, never older
 * than what it confirmed, and swept. */
static void killed_at_any_moment(void **state) {
    struct bed bed;
    uint64_t generation = 0;

    bed_open(&bed);
    bed.dir = state_dir_free(bed.dir);
    for (int round = 0; round < 12; round++) {
        CLEANUP(store_freep) struct store *store = NULL;
        uint64_t confirmed = 0, seen;
        char text[64];
        int pipes[2];
        pid_t pid;

        assert_int_equal(pipe(pipes), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            if (state_dir_open(&bed.dir, bed.path, NULL) < 0 || store_open(&store, bed.dir, "prod") < 0)
                _exit(1);
            for (int i = 0;; i++) {
                snprintf(text, sizeof(text), "10.%d.%d.1 10.9.9.%d", round, i % 256, i % 7);
                commit_free(bed_commit(store, text, "1", NULL));
                seen = store_set(store)->version.generation;
                if (write(pipes[1], &seen, sizeof(seen)) != sizeof(seen))
                    _exit(1);
            }
        }
        close(pipes[1]);
        assert_int_equal(read(pipes[0], &seen, sizeof(seen)), sizeof(seen)); /* it is at work */
        confirmed = seen;
        for (int i = 0; i < round; i++)
            if (read(pipes[0], &seen, sizeof(seen)) == sizeof(seen))
                confirmed = seen;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(pipes[0], &seen, sizeof(seen)) == sizeof(seen))
            confirmed = seen;
        close(pipes[0]);

        assert_int_equal(state_dir_open(&bed.dir, bed.path, NULL), 0);
        assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
        assert_true(store_set(store)->version.generation >= confirmed);
        assert_true(store_set(store)->version.generation <= confirmed + 1);
        assert_true(store_set(store)->version.generation > generation);
        generation = store_set(store)->version.generation;
        bed.dir = state_dir_free(bed.dir);
    }
    assert_int_equal(state_dir_open(&bed.dir, bed.path, NULL), 0);
    bed_done(&bed);
}

static void leftovers_are_swept(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = three_generations(&bed);

    store = store_free(store);
    write_file(&bed, "store/prod.json.a1B2c3", "half", 4);
    write_file(&bed, "store/prod.json.1.a1B2c3", "half", 4);
    write_file(&bed, "announce/prod.json.a1B2c3", "half", 4);
    write_file(&bed, "store/prod.json.1.bad", "kept", 4);
    write_file(&bed, "store/prod2.json.a1B2c3", "another's", 9);
    write_file(&bed, "store/prod.json.a.json", "of the cluster prod.json.a", 26);
    assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    assert_false(exists(&bed, "store/prod.json.a1B2c3"));
    assert_false(exists(&bed, "store/prod.json.1.a1B2c3"));
    assert_false(exists(&bed, "announce/prod.json.a1B2c3"));
    assert_true(exists(&bed, "store/prod.json.1"));
    assert_true(exists(&bed, "store/prod.json.1.bad"));
    assert_true(exists(&bed, "store/prod2.json.a1B2c3"));
    assert_true(exists(&bed, "store/prod.json.a.json"));
    bed_done(&bed);
}

static void directory_is_ours_alone(void **state) {
    struct bed bed;
    struct state_dir *second = NULL;
    struct problem problem;
    char path[256];
    struct stat st;

    bed_open(&bed);
    assert_int_equal(state_dir_open(&second, bed.path, &problem), -EBUSY);
    assert_non_null(strstr(problem.what, "another engine (process "));
    bed.dir = state_dir_free(bed.dir);

    assert_int_equal(chmod(bed.path, 0770), 0);
    assert_int_equal(state_dir_open(&second, bed.path, &problem), -EPERM);
    assert_int_equal(chmod(bed.path, 0757), 0);
    assert_int_equal(state_dir_open(&second, bed.path, &problem), -EPERM);
    assert_int_equal(chmod(bed.path, 0750), 0);
    path_of(path, &bed, "files");
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(state_dir_open(&second, bed.path, &problem), -EPERM);
    assert_string_equal(problem.where, path);
    assert_int_equal(chmod(path, 0750), 0);
    path_of(path, &bed, "announce");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_equal(state_dir_open(&second, bed.path, &problem), -ENOTDIR);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(state_dir_open(&second, "/nonexistent/nodewall", &problem), -ENOENT);
    assert_null(second);

    umask(077);
    assert_int_equal(state_dir_open(&bed.dir, bed.path, &problem), 0);
    umask(022);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    bed_done(&bed);
}

RUN(cmocka_unit_test(previous_copy_skips_a_generation), cmocka_unit_test(a_skipped_generation_is_remembered),
    cmocka_unit_test(a_lost_first_set_counts), cmocka_unit_test(both_lost_is_a_new_epoch),
    cmocka_unit_test(every_byte_counts), cmocka_unit_test(a_full_disk_keeps_the_old),
    cmocka_unit_test(derived_files_are_caught_up), cmocka_unit_test(killed_at_any_moment),
    cmocka_unit_test(leftovers_are_swept), cmocka_unit_test(directory_is_ours_alone))
