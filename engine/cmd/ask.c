/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ask - see ask.h. The engine's socket lies in its state directory; who may read that may ask.
 */
#include "cmd/ask.h"

#include "nodewall/config.h"
#include "nodewall/status.h"

enum { TIMEOUT = 10000 };

int ask_state_dir(char **ret, const struct options *options) {
    CLEANUP(config_freep) struct config *config = NULL;
    struct problem problem;
    int r = config_load(&config, options->config, &problem);

    if (r == 0) {
        *ret = TAKE_PTR(config->state_dir);
        return 0;
    }
    if (r == -EINVAL)
        (void)fail(&problem);
    r = r == -EINVAL ? config_guess_state_dir(ret, options->config) : r;
    return r < 0 ? fail_errno(r, "cannot load %s", options->config) : 0;
}

int ask_engine(json_object **ret, const char *state_dir, const char *page, const char *missing) {
    CLEANUP(cleanup_free) char *path = NULL, *answer = NULL;
    CLEANUP(json_putp) json_object *root = NULL;
    struct problem problem;
    size_t size;
    int r;

    if (asprintf(&path, "%s/status.sock", state_dir) < 0) {
        path = NULL;
        return fail_errno(ENOMEM, "cannot ask the engine");
    }
    r = status_get(&answer, &size, path, page, TIMEOUT);
    if (r == -ENOENT || r == -ECONNREFUSED) {
        problem_set(&problem, path, "is salt-master running with the nodewall engine? its log says more",
                    "no engine is running");
        return fail(&problem);
    }
    if (r == -ENXIO && missing) {
        problem_set(&problem, path, "'nodewall status' lists the ones that run", "%s", missing);
        return fail(&problem);
    }
    if (r < 0)
        return fail_errno(r, "cannot ask the engine at %s", path);
    root = json_tokener_parse(answer);
    if (!json_object_is_type(root, json_type_object))
        return fail_errno(EPROTO, "the engine at %s said something else than JSON", path);
    *ret = TAKE_PTR(root);
    return 0;
}
