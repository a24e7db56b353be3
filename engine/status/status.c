/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status - the listener on which the engine tells how it is.
 *
 * When all places are taken, the next connection waits at its listener (libuv stops accepting until it is taken), and
 * is served when one ends. TCP gets fewer places than there are: any local user could hold them all, and `nodewall
 * status` must not wait for that.
 *
 * Keeps: nothing but GET and HEAD has an effect, and they have none but an answer. /status and all other pages are
 * told on the unix socket alone, whose mode says who may know. The engine never waits for a client.
 * Does not: log, or know what it tells; that comes from the handler.
 * Owns: two listeners, their connections, the socket's name in the file system.
 */
#include "connection.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define TCP_CONNECTIONS (STATUS_CONNECTIONS - 4)
#define BACKLOG 16

struct listener {
    struct status *status;
    union status_stream io;
    bool open;                      /* its handle lives */
    bool waiting;                   /* a connection is accepted by libuv and not yet taken */
    unsigned n_connections, most;
};

struct status {
    uv_loop_t *loop;
    struct status_handler handler;
    void *userdata;
    struct listener local, tcp;
    struct connection *connections;
    unsigned n_handles;             /* listeners and connections whose memory the loop still uses */
    bool freed;
    char *path;                     /* of the socket; NULL: none of ours is there */
    dev_t device;
    ino_t inode;
};

static const struct connection_owner owner;

static void put(struct status *status) {
    if (--status->n_handles > 0 || !status->freed)
        return;
    free(status);
}

static void take_waiting(struct listener *listener) {
    struct status *status = listener->status;
    struct connection *connection;
    int r;

    while (listener->waiting && listener->n_connections < listener->most &&
           status->local.n_connections + status->tcp.n_connections < STATUS_CONNECTIONS) {
        listener->waiting = false; /* before, for taking one may bring the next */
        r = connection_accept(&connection, &listener->io, &owner, listener);
        if (r < 0) {
            listener->waiting = r == -ENOMEM; /* then it was not taken */
            return;
        }
        connection->next = status->connections;
        status->connections = connection;
        listener->n_connections++;
        status->n_handles++;
    }
}

static void on_connection(uv_stream_t *server, int error) {
    struct listener *listener = server->data;

    if (error < 0)
        return; /* gone before we looked, or out of descriptors: libuv goes on */
    listener->waiting = true;
    take_waiting(listener);
}

static void on_closed(void *userdata, const struct connection *connection) {
    struct listener *listener = userdata;
    struct status *status = listener->status;
    struct connection **link = &status->connections;

    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    listener->n_connections--;
    if (!status->freed) {
        take_waiting(&status->local);
        take_waiting(&status->tcp);
    }
    put(status);
}

static void ask(struct status *status, int (*handler)(void *, char **, size_t *), struct answer *ret) {
    int r = handler(status->userdata, &ret->body, &ret->size);

    if (r < 0)
        *ret = (struct answer){.code = 500};
    else
        ret->code = 200;
}

static void on_request(void *userdata, const struct request *request, struct answer *ret) {
    struct listener *listener = userdata;
    struct status *status = listener->status;

    if (!request->is_get && !request->is_head) {
        ret->code = 405;
    } else if (!strcmp(request->path, "/metrics")) {
        ret->type = "text/plain; version=0.0.4; charset=utf-8";
        ask(status, status->handler.metrics_text, ret);
    } else if (!strcmp(request->path, "/status") && listener == &status->local) {
        ret->type = "application/json";
        ask(status, status->handler.status_json, ret);
    } else if (status->handler.page_json && listener == &status->local) {
        int r = status->handler.page_json(status->userdata, request->path, &ret->body, &ret->size);

        ret->type = "application/json";
        ret->code = r == -ENOENT ? 404 : r < 0 ? 500 : 200;
    } else {
        ret->code = 404;
    }
}

static const struct connection_owner owner = {.answer = on_request, .closed = on_closed};

int status_new(struct status **ret, uv_loop_t *loop, const struct status_handler *handler, void *userdata) {
    struct status *status = calloc(1, sizeof(*status));

    if (!status)
        return -ENOMEM;
    status->loop = loop;
    status->handler = *handler;
    status->userdata = userdata;
    status->local = (struct listener){.status = status, .most = STATUS_CONNECTIONS};
    status->tcp = (struct listener){.status = status, .most = TCP_CONNECTIONS};
    *ret = status;
    return 0;
}

static void listener_closed(uv_handle_t *handle) {
    struct listener *listener = handle->data;

    listener->open = listener->waiting = false;
    put(listener->status);
}

static void listener_close(struct listener *listener) {
    if (listener->open && !uv_is_closing(&listener->io.handle))
        uv_close(&listener->io.handle, listener_closed);
}

static void remove_name(struct status *status) {
    struct stat st;

    /* Another engine's socket may stand there by now. */
    if (status->path && lstat(status->path, &st) == 0 && st.st_dev == status->device && st.st_ino == status->inode)
        (void)unlink(status->path);
    free(TAKE_PTR(status->path));
}

struct status *status_free(struct status *status) {
    if (!status)
        return NULL;
    status->n_handles++; /* our own hold, so that this function sees a whole struct to its end */
    status->freed = true;
    remove_name(status);
    listener_close(&status->local);
    listener_close(&status->tcp);
    for (struct connection *connection = status->connections; connection; connection = connection->next)
        connection_close(connection);
    put(status);
    return NULL;
}

static int refuse(int error, struct problem *problem, const char *where, const char *hint) {
    (void)problem_set(problem, where, hint, "cannot listen here: %s", strerror(-error));
    return error;
}

static void listener_opened(struct listener *listener) {
    listener->open = true;
    listener->io.handle.data = listener;
    listener->status->n_handles++;
}

/* A name that nobody listens behind is removed. 0: `address` is free. */
static int make_room(const struct sockaddr_un *address) {
    CLEANUP(cleanup_close) int fd = -1;
    struct stat st;

    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return -EADDRINUSE; /* EAGAIN: its backlog is full */
    if (errno != ECONNREFUSED)
        return -errno;
    return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* A bound socket of mode 0660. Nobody can connect between bind and chmod, for it listens later. */
static int bind_name(int *ret, struct status *status, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP(cleanup_close) int fd = -1;
    CLEANUP(cleanup_free) char *copy = strdup(path);
    size_t n = strlen(path);
    struct stat st;
    int r;

    if (!copy)
        return -ENOMEM;
    if (n < 1 || n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, n);
    r = make_room(&address);
    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    if (chmod(path, 0660) < 0 || lstat(path, &st) < 0) {
        r = -errno;
        (void)unlink(path);
        return r;
    }
    status->path = TAKE_PTR(copy);
    status->device = st.st_dev;
    status->inode = st.st_ino;
    *ret = TAKE_FD(fd);
    return 0;
}

static int listen_local(struct status *status, const char *path) {
    struct listener *listener = &status->local;
    CLEANUP(cleanup_close) int fd = -1;
    int r;

    if (listener->open)
        return -EALREADY;
    r = bind_name(&fd, status, path);
    if (r < 0)
        return r;
    r = uv_pipe_init(status->loop, &listener->io.pipe, 0);
    if (r < 0) {
        remove_name(status);
        return r;
    }
    listener_opened(listener);
    r = uv_pipe_open(&listener->io.pipe, fd);
    if (r == 0) {
        (void)TAKE_FD(fd); /* libuv's */
        r = uv_listen(&listener->io.stream, BACKLOG, on_connection);
    }
    if (r < 0) {
        remove_name(status);
        listener_close(listener);
    }
    return r;
}

int status_listen_unix(struct status *status, const char *path, struct problem *problem) {
    int r = listen_local(status, path);

    if (r == -ENAMETOOLONG)
        return refuse(r, problem, path, "a socket's name has at most 107 bytes; use a shorter state_dir");
    if (r == -EADDRINUSE)
        return refuse(r, problem, path, "another engine listens there");
    if (r == -EEXIST)
        return refuse(r, problem, path, "something that is no socket stands there; move it away");
    return r < 0 ? refuse(r, problem, path, "the engine must be able to write in that directory") : 0;
}

static int parse_tcp(struct sockaddr_storage *ret, const char *address) {
    const char *colon = strrchr(address, ':');
    bool bracketed = colon && colon > address && address[0] == '[' && colon[-1] == ']';
    char host[64], *end;
    unsigned long port;
    int n;

    if (!colon || colon[1] < '0' || colon[1] > '9')
        return -EINVAL;
    port = strtoul(colon + 1, &end, 10);
    if (*end || port < 1 || port > 65535)
        return -EINVAL;
    n = bracketed ? (int)(colon - address) - 2 : (int)(colon - address);
    if (n < 1 || (size_t)n >= sizeof(host))
        return -EINVAL;
    snprintf(host, sizeof(host), "%.*s", n, address + bracketed);
    return bracketed ? uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)ret)
                     : uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret);
}

static int listen_tcp(struct status *status, const struct sockaddr_storage *address) {
    struct listener *listener = &status->tcp;
    int r;

    if (listener->open)
        return -EALREADY;
    r = uv_tcp_init(status->loop, &listener->io.tcp);
    if (r < 0)
        return r;
    listener_opened(listener);
    r = uv_tcp_bind(&listener->io.tcp, (const struct sockaddr *)address, 0);
    if (r == 0)
        r = uv_listen(&listener->io.stream, BACKLOG, on_connection);
    if (r < 0)
        listener_close(listener);
    return r;
}

int status_listen_tcp(struct status *status, const char *address, struct problem *problem) {
    struct sockaddr_storage parsed = {0};
    int r;

    if (parse_tcp(&parsed, address) < 0)
        return problem_set(problem, address, "like 127.0.0.1:9798 or [::1]:9798; names are not looked up",
                           "is no address with a port");
    r = listen_tcp(status, &parsed);
    if (r == -EADDRINUSE)
        return refuse(r, problem, address, "set another `metrics` address, or stop who listens there");
    return r < 0 ? refuse(r, problem, address, "`metrics` wants an address of this machine") : 0;
}
