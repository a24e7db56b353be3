/* SPDX-License-Identifier: Apache-2.0 */
/* Real programs that do what plugins do, well or badly. */
#include "exec.h"

#include "../unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define V1 "client.authentication.k8s.io/v1"
#define REPLY "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":{\"token\":\"abc\"}}"

static char directory[40];

struct case_ {
    uv_loop_t loop;
    struct exec_plugin plugin;
    struct exec *exec;
    unsigned n_ends;
    bool ended, good;
    char token[100];
    struct problem problem;
};

static const char *path_of(const char *name) {
    static char path[100];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_script(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "we");

    assert_non_null(file);
    fprintf(file, "#!/bin/sh\ncd %s || exit 99\n%s\n", directory, text);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path_of(name), 0700), 0);
}

static void assert_file(const char *name, const char *expected) {
    CLEANUP(cleanup_free) char *text = NULL;

    assert_int_equal(file_read(&text, NULL, path_of(name), 1 << 20), 0);
    assert_string_equal(text, expected);
}

static void begin(struct case_ *c, const char *script) {
    *c = (struct case_){.plugin = {.command = (char *)path_of("plugin"), .api_version = (char *)V1}};
    assert_int_equal(uv_loop_init(&c->loop), 0);
    write_script("plugin", script);
    c->plugin.command = strdup(path_of("plugin"));
}

static void on_done(void *userdata, struct exec_reply *reply, const struct problem *problem) {
    struct case_ *c = userdata;

    c->n_ends++;
    c->ended = true;
    c->exec = NULL;
    c->good = reply != NULL;
    c->problem = *problem;
    if (reply && reply->token)
        snprintf(c->token, sizeof(c->token), "%s", reply->token);
}

static int start(struct case_ *c, msec limit) {
    return exec_start(&c->exec, &c->loop, &c->plugin, "{\"the\": \"info\"}", limit, on_done, c, &c->problem);
}

/* Until every handle is closed: so nothing of a run stays behind. */
static void finish(struct case_ *c) {
    assert_int_equal(uv_run(&c->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&c->loop), 0);
    assert_true(waitpid(-1, NULL, WNOHANG) < 0); /* no child is left, no zombie either */
    free(c->plugin.command);
}

static void run(struct case_ *c, msec limit) {
    assert_int_equal(start(c, limit), 0);
    assert_false(c->ended);
    finish(c);
    assert_int_equal(c->n_ends, 1);
}

static void assert_failed(const struct case_ *c, const char *words) {
    assert_false(c->good);
    if (!strstr(c->problem.what, words))
        fail_msg("\"%s\" instead of \"%s\"", c->problem.what, words);
    assert_string_equal(c->problem.where, path_of("plugin"));
}

static void arguments_and_environment(void **state) {
    CLEANUP(cleanup_free) char *output = NULL;
    struct case_ c;
    char *arguments[] = {"", "a b", "$(touch broken)", "`touch broken`", "; touch broken", "*", NULL};
    char *environment[] = {"GIVEN=first", "LANG=xx", "EMPTY=", "GIVEN=a=b", "KUBERNETES_EXEC_INFO=forged", NULL};

    begin(&c, "for a; do echo \"[$a]\"; done >arguments; env | grep -vE '^(PWD|OLDPWD|SHLVL|_)=' | sort >environment\n"
              "ps -o pid=,pgid=,sid= -p $$ | tr -s ' ' '\\n' | grep . | sort -u | wc -l | tr -d ' ' >session\n"
              "ls /proc/self/fd | wc -w | tr -d ' ' >descriptors; readlink /proc/$$/fd/0 >stdin; test -t 0 || echo none >>stdin\n"
              "echo noise >/dev/stderr; echo '" REPLY "' >/dev/stdout");
    c.plugin.arguments = arguments;
    c.plugin.environment = environment;
    output = getenv("CMOCKA_MESSAGE_OUTPUT");
    output = output ? strdup(output) : NULL;
    clearenv();
    if (output)
        setenv("CMOCKA_MESSAGE_OUTPUT", output, 1); /* cmocka looks at it again and again */
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
    setenv("HOME", "/h", 1); /* ours, but found in another way, see make_environment */
    setenv("LANG", "C", 1);
    setenv("LC_ALL", "C", 1);
    setenv("https_proxy", "http://p", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "of another cluster", 1);
    setenv("NOTIFY_SOCKET", "@x", 1);
    setenv("PATHOLOGICAL", "x", 1);
    assert_true(dup2(STDERR_FILENO, 57) == 57); /* inheritable, as a careless library leaves it */
    run(&c, 10000);
    close(57);
    if (!c.good)
        fail_msg("%s", c.problem.what);
    assert_string_equal(c.token, "abc");
    assert_file("arguments", "[]\n[a b]\n[$(touch broken)]\n[`touch broken`]\n[; touch broken]\n[*]\n");
    assert_file("environment", "EMPTY=\nGIVEN=a=b\nHOME=/h\nKUBERNETES_EXEC_INFO={\"the\": \"info\"}\nLANG=xx\nLC_ALL=C\n"
                               "PATH=/usr/local/bin:/usr/bin:/bin\nhttps_proxy=http://p\n");
    assert_file("session", "1\n");      /* pid, group and session are one number: it leads its own */
    assert_file("descriptors", "4\n");  /* the three, and the directory itself */
    assert_file("stdin", "/dev/null\nnone\n");
    assert_int_equal(access(path_of("broken"), F_OK), -1);
}

static void failures(void **state) {
    static const struct {
        const char *script, *words;
    } cases[] = {
        {"exit 3", "ended with exit code 3 and without a word"},
        {"echo first >&2; echo 'Unable to locate credentials' >&2; echo >&2; exit 255", "exit code 255: Unable to locate credentials"},
        {"printf 'a\\033[1mb' >&2; exit 1", "exit code 1: a [1mb"},
        {"kill -TERM $$", "ended by signal 15"},
        {"echo '" REPLY "'; exit 1", "ended with exit code 1"},
        {"", "no ExecCredential"},
        {"echo '" REPLY "' | head -c 60", "neither JSON nor YAML"},
        {"echo '" REPLY "' | sed s/v1/v1beta1/", "does not answer in " V1},
        {"head -c 1000000 /dev/zero | tr '\\0' 'a'", "more than 256 KiB, and was killed"},
        {"yes", "more than 256 KiB, and was killed"},
        {"yes >&2 & p=$!; sleep 0.2; kill $p; wait $p; echo end >&2; exit 1", "exit code 1: end"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct case_ c;

        begin(&c, cases[i].script);
        run(&c, 10000);
        assert_failed(&c, cases[i].words);
    }
}

static bool is_gone(const char *pid_file) {
    CLEANUP(cleanup_free) char *text = NULL;
    char state[100];
    FILE *stat;

    assert_int_equal(file_read(&text, NULL, path_of(pid_file), 100), 0);
    snprintf(state, sizeof(state), "/proc/%ld/stat", strtol(text, NULL, 10));
    stat = fopen(state, "re");
    if (!stat)
        return true;
    if (fscanf(stat, "%*d (%*[^)]) %99s", state) != 1)
        state[0] = 'Z';
    fclose(stat);
    return state[0] == 'Z'; /* killed; its reaper is not us */
}

static void assert_gone(const char *pid_file) {
    const struct timespec moment = {.tv_nsec = 5000000};

    for (unsigned i = 0; i < 400; i++, nanosleep(&moment, NULL))
        if (is_gone(pid_file))
            return;
    fail_msg("it lives on");
}

static void a_plugin_that_hangs(void **state) {
    msec before = clock_now();
    struct case_ c;

    begin(&c, "sleep 100 & echo $! >child; trap '' TERM INT HUP; echo 'Open https://login' >&2; while :; do sleep 100; done");
    run(&c, 400);
    assert_failed(&c, "had not ended after 0.4 s, and was killed; its last words: Open https://login");
    assert_true(clock_now() - before < 5000);
    assert_gone("child"); /* with its group */
}

/* A helper that stays and keeps stdout open, as ssh-agent and its like do. */
static void a_plugin_that_leaves_somebody(void **state) {
    msec before = clock_now();
    struct case_ c;

    begin(&c, "sleep 100 & echo $! >child; echo '" REPLY "'");
    run(&c, 20000);
    assert_true(c.good);
    assert_string_equal(c.token, "abc");
    assert_true(clock_now() - before < 5000);
    assert_gone("child");
}

static void a_large_answer(void **state) {
    struct case_ c;

    begin(&c, "printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":{\"token\":\"'; head -c 200000 /dev/zero | tr '\\0' a;"
              "sleep 0.05; echo '\"}}'");
    run(&c, 10000);
    assert_true(c.good);
    assert_int_equal(strlen(c.token), 99);
}

static void nobody_waits_any_more(void **state) {
    struct case_ c;

    begin(&c, "echo $$ >child; sleep 100");
    assert_int_equal(start(&c, 60000), 0);
    while (access(path_of("child"), F_OK) < 0)
        uv_run(&c.loop, UV_RUN_NOWAIT);
    c.exec = exec_free(c.exec);
    finish(&c);
    assert_int_equal(c.n_ends, 0);
    assert_gone("child");
}

static void assert_cannot(struct case_ *c, const char *words) {
    assert_int_equal(start(c, 1000), -EINVAL);
    if (!strstr(c->problem.what, words))
        fail_msg("\"%s\" instead of \"%s\"", c->problem.what, words);
    assert_null(c->exec);
    finish(c);
    assert_int_equal(c->n_ends, 0);
}

static void programs_that_cannot_be_run(void **state) {
    struct case_ c;
    FILE *file;

    begin(&c, "");
    unlink(path_of("plugin"));
    c.plugin.install_hint = "apt install it";
    assert_cannot(&c, "there is no such exec plugin");
    assert_string_equal(c.problem.hint, "apt install it");
    begin(&c, "");
    chmod(path_of("plugin"), 0600);
    assert_cannot(&c, "is no executable file");
    begin(&c, "");
    chmod(path_of("plugin"), 0702);
    assert_cannot(&c, "anybody may write to");
    chmod(path_of("plugin"), 0700);
    begin(&c, "");
    free(c.plugin.command);
    c.plugin.command = strdup(directory);
    assert_cannot(&c, "is no executable file");
    begin(&c, "");
    file = fopen(path_of("plugin"), "we");
    fputs("#!/no/such/interpreter\n", file);
    fclose(file);
    assert_cannot(&c, "there is no such exec plugin"); /* what the kernel says of it */
}

/* Nothing is ever run from where we happen to stand. */
static void the_path(void **state) {
    struct exec_plugin plugin = {.command = (char *)"plugin"};
    CLEANUP(cleanup_free) char *found = NULL;
    char path[200];

    write_script("plugin", "");
    assert_int_equal(chdir(directory), 0);
    setenv("PATH", ":.:/bin", 1);
    assert_int_equal(exec_find(&found, &plugin), -ENOENT);
    snprintf(path, sizeof(path), ":/absent:%s:/bin", directory);
    setenv("PATH", path, 1);
    assert_int_equal(exec_find(&found, &plugin), 0);
    assert_string_equal(found, path_of("plugin"));
    chmod(path_of("plugin"), 0600);
    assert_int_equal(exec_find(&found, &plugin), -EACCES);
    assert_int_equal(chdir("/"), 0);
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
}

static void words_for_a_log(void **state) {
    static const struct {
        const char *said, *words;
    } cases[] = {
        {"", ""},
        {"\n\n", ""},
        {"a\nERROR: profile prod-2 not found in /root/.aws/config\r\n\n", "ERROR: profile prod-2 not found in /root/.aws/config"},
        {"dial tcp: lookup sts.eu-central-1.amazonaws.com on 10.0.0.2:53", "dial tcp: lookup sts.eu-central-1.amazonaws.com on 10.0.0.2:53"},
        {"token is eyJhbGciOiJSUzI1NiIs.eyJpc3MiOiJrdWJlcm5ldGVz.c2ln", "token is [...].[...].c2ln"},
        {"Authorization: Bearer k8s-aws-v1.aHR0cHM6Ly9zdHMuZXUtY2Vu", "Authorization: Bearer k8s-aws-v1.[...]"},
        {"key=AKIAIOSFODNN7EXAMPLE", "[...]"},
        {"wrong password: correcthorse!", "wrong password: [...]!"},
        {"xcorrecthorsey", "x[...]y"},
        {"region eu", "region eu"},
        {"\xff\x1b[1m\xc3\xa4", "? [1m??"},
    };
    char *environment[] = {"PASSWORD=correcthorse", "REGION=eu", "EMPTY=", NULL};
    char words[200], *long_line;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        last_words(words, sizeof(words), cases[i].said, strlen(cases[i].said), environment);
        assert_string_equal(words, cases[i].words);
    }
    long_line = malloc(5000);
    memset(long_line, 'a', 5000);
    last_words(words, sizeof(words), long_line, 5000, NULL);
    assert_true(strlen(words) < sizeof(words) && strlen(words) > 100);
    free(long_line);
}

static int make_directory(void **state) {
    snprintf(directory, sizeof(directory), "/tmp/nodewall-exec.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static int remove_directory(void **state) {
    return nftw(directory, drop, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(arguments_and_environment), cmocka_unit_test(failures), cmocka_unit_test(a_plugin_that_hangs),
        cmocka_unit_test(a_plugin_that_leaves_somebody), cmocka_unit_test(a_large_answer), cmocka_unit_test(nobody_waits_any_more),
        cmocka_unit_test(programs_that_cannot_be_run), cmocka_unit_test(the_path), cmocka_unit_test(words_for_a_log),
    };

    return cmocka_run_group_tests(cases, make_directory, remove_directory);
}
