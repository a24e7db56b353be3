/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wire - finds and loads the module with libzmq.
 *
 * It lies beside the program in a build tree, and below libdir when installed. Nothing else is searched, no environment
 * is asked. Keeps: a module of another version is refused. Does not: unload it; there is one for the program's life.
 */
#include "wire.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>

#define MODULE "nodewall-zmq.so"

static int load(const struct wire_ops **ret, const char *path, struct problem *problem) {
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct wire_ops *ops = module ? dlsym(module, WIRE_SYMBOL) : NULL;

    if (ops && ops->abi == WIRE_ABI) {
        *ret = ops;
        return 0;
    }
    problem_set(problem, "transport minion", "install nodewall again, built with libzmq3-dev",
                "its module cannot be loaded: %s", module ? "it belongs to another version" : dlerror());
    if (module)
        dlclose(module);
    return -ENOENT;
}

/* The module beside the program; false: there is none. */
static bool beside(char path[PATH_MAX]) {
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(MODULE));
    char *slash;

    if (n <= 0)
        return false;
    path[n] = 0;
    slash = strrchr(path, '/');
    if (!slash)
        return false;
    memcpy(slash + 1, MODULE, sizeof(MODULE));
    return access(path, F_OK) == 0;
}

int wire_load(const struct wire_ops **ret, struct problem *problem) {
    static const struct wire_ops *loaded;
    char path[PATH_MAX];
    int r = 0;

    if (!loaded)
        r = load(&loaded, beside(path) ? path : NODEWALL_LIBDIR "/" MODULE, problem);
    if (r == 0)
        *ret = loaded;
    return r;
}
