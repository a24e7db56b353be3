/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec - runs an exec plugin once, beside the loop, and hands over what it answered.
 *
 *   start ──▶ running ──exit──▶ exited ──stdout ends──▶ told
 *                │ time limit, output limit      └── half a second: somebody else holds it open ──▶ told
 *                └─▶ its process group is killed, told ──exit──▶ gone
 *
 * A plugin is an arbitrary program that is given secrets and gives one back. It is started without a shell, in a session
 * and process group of its own, with no descriptor of ours but its three, and with an environment of few names: what the
 * operator gave to this process for one cluster is not the business of another's plugin, and `env` in the kubeconfig is
 * there to say what is. (kubectl hands over everything; it belongs to one person, we serve many clusters.)
 *
 * Keeps: one end is told, within `limit` and a second; whatever it has started in its group is gone by then; its output is
 * bounded, and overwritten; its exit is always waited for, so that none is left as a zombie.
 * Does not: judge a certificate, decide when to run (login.c), log. Owns: its handles until the loop has closed them.
 */
#include "exec.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define LEFTOVER 500            /* ms for what still comes out of it when it has ended */
#define SAID_LIMIT 2048         /* bytes kept of the end of its stderr */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define INFO "KUBERNETES_EXEC_INFO="

struct exec {
    uv_process_t process;
    uv_timer_t timer;
    uv_pipe_t out, err;
    unsigned n_open;            /* of these four, for the last close */
    exec_done done;             /* NULL: nobody is interested any more */
    void *userdata;
    struct exec_plugin plugin;  /* command, api_version and environment, ours */
    msec limit;
    bool exited, out_ended, err_ended, timed_out, too_large, finished;
    int64_t status;
    int signal;
    char *output;
    size_t n_output, capacity;
    char said[SAID_LIMIT], scratch[1024];
    size_t n_said;
};

/* ---- which program, with what ---- */

static int judge(const char *path) {
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0 || (st.st_mode & S_IWOTH))
        return -EACCES;
    return 0;
}

/* Like execvp, but never from a relative directory: where we stand must not decide what is run. */
int exec_find(char **ret, const struct exec_plugin *plugin) {
    const char *path = getenv("PATH");
    CLEANUP(cleanup_free) char *copy = NULL;
    char *rest;
    int r = -ENOENT;

    if (plugin->command[0] == '/') {
        r = judge(plugin->command);
        if (r < 0)
            return r;
        *ret = strdup(plugin->command);
        return *ret ? 0 : -ENOMEM;
    }
    rest = copy = strdup(path && path[0] ? path : DEFAULT_PATH);
    if (!copy)
        return -ENOMEM;
    for (char *directory; (directory = strsep(&rest, ":"));) {
        CLEANUP(cleanup_free) char *file = NULL;
        int found;

        if (directory[0] != '/')
            continue;
        if (asprintf(&file, "%s/%s", directory, plugin->command) < 0) {
            file = NULL;
            return -ENOMEM;
        }
        found = judge(file);
        if (found == 0) {
            *ret = TAKE_PTR(file);
            return 0;
        }
        if (found == -EACCES)
            r = found;
    }
    return r;
}

static bool passes(const char *variable) {
    static const char *const names[] = {
        "PATH=",       "USER=",       "LOGNAME=",   "SHELL=",      "LANG=",        "LANGUAGE=",     "TZ=",           "TMPDIR=",
        "http_proxy=", "HTTP_PROXY=", "no_proxy=",  "NO_PROXY=",   "https_proxy=", "HTTPS_PROXY=", "all_proxy=", "ALL_PROXY=",
        "LC_",         "XDG_",        "SSL_CERT_FILE=", "SSL_CERT_DIR=",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool has_name(char *const *list, size_t n, const char *variable) {
    size_t length = strcspn(variable, "=") + 1;

    for (size_t i = 0; i < n; i++)
        if (strncmp(list[i], variable, length) == 0)
            return true;
    return false;
}

/* Pointers into `info`, the plugin, `home` and our own environment, the strongest first; of a name given twice in the
 * kubeconfig the last counts, as with kubectl. */
static int make_environment(char ***ret, const struct exec_plugin *plugin, char *info, char *home) {
    size_t n = 0, n_given = 0, n_own = 0;
    char **list;

    while (plugin->environment && plugin->environment[n_given])
        n_given++;
    while (environ && environ[n_own])
        n_own++;
    list = calloc(n_given + n_own + 3, sizeof(*list));
    if (!list)
        return -ENOMEM;
    list[n++] = info;
    while (n_given--)
        if (!has_name(list, n, plugin->environment[n_given]))
            list[n++] = plugin->environment[n_given];
    if (!has_name(list, n, "HOME="))
        list[n++] = home;
    for (size_t i = 0; i < n_own; i++)
        if (passes(environ[i]) && !has_name(list, n, environ[i]))
            list[n++] = environ[i];
    *ret = list;
    return 0;
}

/* ---- its end ---- */

static void closed(uv_handle_t *handle) {
    struct exec *exec = handle->data;

    if (--exec->n_open)
        return;
    if (exec->output)
        OPENSSL_cleanse(exec->output, exec->capacity);
    OPENSSL_cleanse(exec->said, sizeof(exec->said));
    OPENSSL_cleanse(exec->scratch, sizeof(exec->scratch));
    for (char **variable = exec->plugin.environment; variable && *variable; variable++) {
        OPENSSL_cleanse(*variable, strlen(*variable));
        free(*variable);
    }
    free(exec->plugin.environment);
    free(exec->plugin.command);
    free(exec->plugin.api_version);
    free(exec->output);
    free(exec);
}

static void close_all(struct exec *exec) {
    if (exec->process.type == UV_PROCESS)
        uv_close((uv_handle_t *)&exec->process, closed);
    else
        exec->n_open--; /* it never came so far */
    uv_close((uv_handle_t *)&exec->timer, closed);
    uv_close((uv_handle_t *)&exec->out, closed);
    uv_close((uv_handle_t *)&exec->err, closed);
}

static void kill_group(const struct exec *exec) {
    kill(-exec->process.pid, SIGKILL);
}

static void tell_failure(struct exec *exec) {
    const char *where = exec->plugin.command;
    struct problem problem;
    char words[200];

    last_words(words, sizeof(words), exec->said, exec->n_said, exec->plugin.environment);
    if (exec->timed_out)
        problem_set(&problem, where, "it must not wait for a person", "the exec plugin had not ended after %.1f s, and was killed%s%s",
                    (double)exec->limit / 1000, words[0] ? "; its last words: " : "", words);
    else if (exec->too_large)
        problem_set(&problem, where, "", "the exec plugin printed more than %d KiB, and was killed", CREDENTIAL_LIMIT / 1024);
    else if (exec->signal)
        problem_set(&problem, where, "", "the exec plugin was ended by signal %d%s%s", exec->signal,
                    words[0] ? "; its last words: " : "", words);
    else
        problem_set(&problem, where, "", "the exec plugin ended with exit code %d%s%s", (int)exec->status,
                    words[0] ? ": " : " and without a word", words);
    exec->done(exec->userdata, NULL, &problem);
}

static void tell(struct exec *exec) {
    CLEANUP(exec_reply_done) struct exec_reply reply = {0};
    struct problem problem = {0};
    int r;

    if (exec->signal || exec->status) {
        tell_failure(exec);
        return;
    }
    r = exec_reply_parse(&reply, &exec->plugin, exec->output ? exec->output : "", exec->n_output, &problem);
    if (r == -ENOMEM)
        problem_set(&problem, exec->plugin.command, "", "%s", strerror(ENOMEM));
    exec->done(exec->userdata, r < 0 ? NULL : &reply, &problem);
}

/* Told, and from then on only waited for. */
static void abandon(struct exec *exec) {
    kill_group(exec);
    tell_failure(exec);
    exec->done = NULL;
}

static void finish(struct exec *exec) {
    if (exec->finished)
        return;
    exec->finished = true;
    close_all(exec);
    if (exec->done)
        tell(exec);
}

static void on_leftover(uv_timer_t *timer) {
    struct exec *exec = timer->data;

    kill_group(exec); /* whoever of its group holds the pipe; what has left the group is left alone */
    finish(exec);
}

static void on_ended(uv_process_t *process, int64_t status, int signal) {
    struct exec *exec = process->data;

    exec->exited = true;
    exec->status = status;
    exec->signal = signal;
    if ((exec->out_ended && exec->err_ended) || !exec->done)
        finish(exec);
    else
        uv_timer_start(&exec->timer, on_leftover, LEFTOVER, 0);
}

static void on_limit(uv_timer_t *timer) {
    struct exec *exec = timer->data;

    exec->timed_out = true;
    if (exec->done)
        abandon(exec);
}

/* ---- what it prints ---- */

/* Room for one more byte than allowed, so that too much is seen. Old memory is overwritten: realloc would leave it. */
static bool make_room(struct exec *exec) {
    size_t wanted = MIN(MAX(2 * exec->capacity, (size_t)8192), (size_t)CREDENTIAL_LIMIT + 1);
    char *grown;

    if (exec->n_output < exec->capacity || exec->capacity == wanted)
        return exec->n_output < exec->capacity;
    grown = malloc(wanted);
    if (!grown)
        return false;
    if (exec->output) {
        memcpy(grown, exec->output, exec->n_output);
        OPENSSL_cleanse(exec->output, exec->capacity);
        free(exec->output);
    }
    exec->output = grown;
    exec->capacity = wanted;
    return true;
}

static void on_out_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret) {
    struct exec *exec = handle->data;

    *ret = make_room(exec) ? uv_buf_init(exec->output + exec->n_output, (unsigned)(exec->capacity - exec->n_output))
                           : uv_buf_init(NULL, 0);
}

static void on_out(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
    struct exec *exec = stream->data;

    if (n > 0)
        exec->n_output += (size_t)n;
    if (n >= 0 && exec->n_output <= CREDENTIAL_LIMIT)
        return;
    uv_read_stop(stream);
    exec->out_ended = true;
    if (exec->done && (n >= 0 || n == UV_ENOBUFS)) {
        exec->too_large = true;
        abandon(exec);
    }
    if (exec->exited && (exec->err_ended || !exec->done))
        finish(exec);
}

static void on_err_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret) {
    struct exec *exec = handle->data;

    *ret = uv_buf_init(exec->scratch, sizeof(exec->scratch));
}

/* The end of it counts. */
static void on_err(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
    struct exec *exec = stream->data;
    size_t add = n > 0 ? (size_t)n : 0, keep = MIN(exec->n_said, sizeof(exec->said) - add);

    memmove(exec->said, exec->said + exec->n_said - keep, keep);
    if (add)
        memcpy(exec->said + keep, buffer->base, add);
    exec->n_said = keep + add;
    if (n >= 0)
        return;
    uv_read_stop(stream);
    exec->err_ended = true;
    if (exec->exited && exec->out_ended)
        finish(exec);
}

/* ---- its beginning ---- */

static int copy_strings(char ***ret, char *const *strings) {
    size_t n = 0;

    while (strings && strings[n])
        n++;
    *ret = calloc(n + 1, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        (*ret)[i] = strdup(strings[i]);
        if (!(*ret)[i])
            return -ENOMEM;
    }
    return 0;
}

static int make(struct exec **ret, uv_loop_t *loop, const struct exec_plugin *plugin) {
    struct exec *exec = calloc(1, sizeof(*exec));
    int r;

    if (!exec)
        return -ENOMEM;
    exec->n_open = 4;
    exec->process.data = exec->timer.data = exec->out.data = exec->err.data = exec;
    uv_timer_init(loop, &exec->timer);
    uv_pipe_init(loop, &exec->out, 0);
    uv_pipe_init(loop, &exec->err, 0);
    *ret = exec; /* from here on it goes by close_all, once the process handle is one */
    r = copy_strings(&exec->plugin.environment, plugin->environment);
    exec->plugin.command = strdup(plugin->command);
    exec->plugin.api_version = strdup(plugin->api_version);
    return r < 0 || !exec->plugin.command || !exec->plugin.api_version ? -ENOMEM : 0;
}

/* Whatever was opened without O_CLOEXEC, by a library or by who started us, is not the plugin's. */
static void keep_descriptors(void) {
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < 4096; fd++) /* a kernel before 5.11, or a sandbox that does not know the call */
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int spawn(struct exec *exec, uv_loop_t *loop, const char *file, char **arguments, char **environment) {
    CLEANUP(cleanup_close) int out = -1, err = -1;
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};
    uv_process_options_t options = {.exit_cb = on_ended, .file = file, .args = arguments, .env = environment,
                                    .flags = UV_PROCESS_DETACHED, .stdio = stdio, .stdio_count = 3};
    uv_file pair[2];
    int r;

    /* Pipes, not libuv's socket pairs: /dev/stdout of a script can be opened again then. */
    for (int i = 1; i <= 2; i++) {
        r = uv_pipe(pair, UV_NONBLOCK_PIPE, 0);
        if (r < 0)
            return r;
        *(i == 1 ? &out : &err) = pair[1];
        r = uv_pipe_open(i == 1 ? &exec->out : &exec->err, pair[0]);
        if (r < 0) {
            close(pair[0]);
            return r;
        }
        stdio[i] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = pair[1]};
    }
    keep_descriptors();
    return uv_spawn(loop, &exec->process, &options);
}

int exec_cannot(const struct exec_plugin *plugin, int r, struct problem *problem) {
    const char *hint = plugin->install_hint ? plugin->install_hint : "install it, or name another command in the kubeconfig";

    if (r == -ENOENT)
        return problem_set(problem, plugin->command, hint, "there is no such exec plugin%s", plugin->command[0] == '/' ? "" : " in PATH");
    if (r == -EACCES)
        return problem_set(problem, plugin->command, "chmod 0755 it",
                           "the exec plugin cannot be run: it is no executable file, or one that anybody may write to");
    return problem_set(problem, plugin->command, "", "the exec plugin cannot be run: %s", strerror(-r));
}

int exec_start(struct exec **ret, uv_loop_t *loop, const struct exec_plugin *plugin, const char *info, msec limit,
               exec_done done, void *userdata, struct problem *problem) {
    CLEANUP(cleanup_free) char *file = NULL, *info_variable = NULL;
    CLEANUP(cleanup_free) char **environment = NULL, **arguments = NULL;
    char home[512] = "HOME=";
    size_t room = sizeof(home) - 5, n = 0;
    struct exec *exec = NULL;
    int r = exec_find(&file, plugin);

    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return exec_cannot(plugin, r, problem);
    if (uv_os_homedir(home + 5, &room) < 0)
        snprintf(home, sizeof(home), "HOME=/");
    while (plugin->arguments && plugin->arguments[n])
        n++;
    arguments = calloc(n + 2, sizeof(*arguments));
    if (!arguments || asprintf(&info_variable, INFO "%s", info) < 0) {
        info_variable = NULL;
        return -ENOMEM;
    }
    arguments[0] = plugin->command;
    for (size_t i = 0; i < n; i++)
        arguments[i + 1] = plugin->arguments[i];
    r = make_environment(&environment, plugin, info_variable, home);
    if (r < 0)
        return r;
    r = make(&exec, loop, plugin);
    if (r >= 0)
        r = spawn(exec, loop, file, arguments, environment);
    if (r < 0) {
        if (exec)
            close_all(exec);
        return r == -ENOMEM ? r : exec_cannot(plugin, r, problem);
    }
    exec->done = done;
    exec->userdata = userdata;
    exec->limit = limit;
    uv_timer_start(&exec->timer, on_limit, (uint64_t)limit, 0);
    uv_read_start((uv_stream_t *)&exec->out, on_out_room, on_out);
    uv_read_start((uv_stream_t *)&exec->err, on_err_room, on_err);
    *ret = exec;
    return 0;
}

struct exec *exec_free(struct exec *exec) {
    if (!exec)
        return NULL;
    exec->done = NULL;
    kill_group(exec);
    if (exec->exited)
        finish(exec); /* it was only waited for its output */
    return NULL;
}
