/* SPDX-License-Identifier: Apache-2.0 */
/* Json - json-c's objects as locals that own: CLEANUP(json_putp) json_object *x = NULL. */
#pragma once

#include "nodewall/base.h"

#include <json-c/json.h>

static inline json_object *json_put(json_object *object) {
    json_object_put(object);
    return NULL;
}
DEFINE_CLEANUP(json_object, json_put)

/* NULL when `from` is no map or has no such key. Borrowed. */
static inline json_object *json_get(json_object *from, const char *key) {
    json_object *value = NULL;

    if (json_object_is_type(from, json_type_object))
        json_object_object_get_ex(from, key, &value);
    return value;
}
