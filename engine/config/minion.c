/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minion - which masters to publish to, as whom, and how they prove themselves.
 *
 * Keeps: nobody trusts on first use without having written it; more than one way to know the master is refused, for one of
 * them would silently not count. Does not: look anything up, read keys (bus/pki.c does, at each attempt).
 */
#include "minion.h"

#include "endpoint.h"

#include <string.h>

void minion_config_done(struct minion_config *minion) {
    for (size_t i = 0; i < minion->n_masters; i++)
        free(minion->masters[i].host);
    free(minion->masters);
    free(minion->id);
    free(minion->master_key);
    strings_free(minion->fingers);
    *minion = (struct minion_config){0};
}

/* HOST, HOST:PORT, ADDRESS, [ADDRESS] or [ADDRESS]:PORT; an IPv6 address alone has no port. */
static int read_master(struct master_config *ret, const struct field *field, struct problem *problem) {
    CLEANUP(cleanup_free) char *typed = NULL, *host = NULL;
    const char *port = NULL, *end;
    struct address address;
    int r = field_string(&typed, field, problem);

    if (r < 0)
        return r;
    end = typed[0] == '[' ? strchr(typed, ']') : NULL;
    if (end) {
        host = strndup(typed + 1, (size_t)(end - typed - 1));
        port = end[1] == ':' ? end + 2 : end[1] ? "" : NULL;
    } else {
        end = strchr(typed, ':');
        end = end && !strchr(end + 1, ':') ? end : NULL;
        host = strndup(typed, end ? (size_t)(end - typed) : strlen(typed));
        port = end ? end + 1 : NULL;
    }
    if (!host)
        return -ENOMEM;
    if (!host_is_name(host) && (address_parse(&address, host, strlen(host)) < 0 || !address_is_host(&address)))
        return field_problem(field, problem, "write salt.example.org, or 203.0.113.1:4506, or [2001:db8::1]:4506",
                             "is \"%.100s\", which is no host", typed);
    if (port && (strlen(port) < 1 || strlen(port) > 5 || port[strspn(port, "0123456789")] || strtoul(port, NULL, 10) < 1 ||
                 strtoul(port, NULL, 10) > 65535))
        return field_problem(field, problem, "a number from 1 to 65535", "has the port \"%.60s\"", port);
    ret->host = TAKE_PTR(host);
    ret->port = port ? (uint16_t)strtoul(port, NULL, 10) : CONFIG_MASTER_PORT;
    return 0;
}

/* One, or a list of them. */
static int read_masters(struct minion_config *minion, const struct field *field, struct problem *problem) {
    bool list = json_object_is_type(field->value, json_type_array);
    size_t n = list ? field_length(field) : 1;

    if (n < 1 || n > CONFIG_MASTERS_MAX)
        return field_problem(field, problem, "", "has %zu masters, and may have 1 to %d", n, CONFIG_MASTERS_MAX);
    minion->masters = calloc(n, sizeof(*minion->masters));
    if (!minion->masters)
        return -ENOMEM;
    for (; minion->n_masters < n; minion->n_masters++) {
        struct field item = *field;
        int r;

        if (list)
            field_item(&item, field, minion->n_masters);
        r = read_master(&minion->masters[minion->n_masters], &item, problem);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_finger(const char *text) {
    size_t digits = 0;

    for (; *text; text++) {
        if (*text == ':' ? digits == 0 || digits % 2 || text[-1] == ':' : !strchr("0123456789abcdefABCDEF", *text))
            return false;
        digits += *text != ':';
    }
    return digits == 64 && text[-1] != ':';
}

static int read_fingers(struct minion_config *minion, const struct field *field, struct problem *problem) {
    bool list = json_object_is_type(field->value, json_type_array);
    int r = 0;

    if (list) {
        r = field_strings(&minion->fingers, field, CONFIG_FINGERS_MAX, problem);
    } else {
        minion->fingers = calloc(2, sizeof(*minion->fingers));
        r = minion->fingers ? field_string(&minion->fingers[0], field, problem) : -ENOMEM;
    }
    if (r < 0)
        return r;
    if (!minion->fingers[0])
        return field_problem(field, problem, "give at least one", "is an empty list");
    for (size_t i = 0; minion->fingers[i]; i++)
        if (!is_finger(minion->fingers[i]))
            return field_problem(field, problem, "on the master, salt-key -F master shows that of master.pub",
                                 "has \"%.110s\", which is no SHA-256 fingerprint", minion->fingers[i]);
    return 0;
}

static int read_id(struct minion_config *minion, const struct field *bus, struct problem *problem) {
    struct field field;
    int r;

    if (!field_get(&field, bus, "id"))
        return field_problem(bus, problem, "add id: and the name that salt-key is to show", "has no id");
    r = field_string(&minion->id, &field, problem);
    if (r < 0)
        return r;
    /* An id is a file's name on the master. */
    if (!name_is_node(minion->id) || minion->id[0] == '.')
        return field_problem(&field, problem, "letters, digits, dots, hyphens and underscores", "is \"%.100s\"", minion->id);
    return 0;
}

/* How the master is known: one way of three. */
static int read_trust(struct minion_config *minion, const struct field *bus, struct problem *problem) {
    struct field field;
    int r = 0;

    if (field_get(&field, bus, "master_finger"))
        r = read_fingers(minion, &field, problem);
    if (r >= 0 && field_get(&field, bus, "master_key"))
        r = field_path(&minion->master_key, &field, problem);
    if (r >= 0 && field_get(&field, bus, "trust_first_use"))
        r = field_bool(&minion->trust_first_use, &field, problem);
    if (r < 0)
        return r;
    switch (!!minion->fingers + !!minion->master_key + minion->trust_first_use) {
    case 0:
        return field_problem(bus, problem, "add master_finger: and what salt-key -F master shows there for master.pub",
                             "does not say how the master is known: master_finger, master_key or trust_first_use");
    case 1:
        return 0;
    default:
        return field_problem(bus, problem, "keep one", "has more than one of master_finger, master_key and trust_first_use");
    }
}

int minion_config_read(struct minion_config *ret, const struct field *bus, struct problem *problem) {
    static const char *const keys[] = {"transport", "master", "id", "master_finger", "master_key", "trust_first_use", "hash", NULL};
    struct field field;
    int r = field_mapping(bus, keys, problem);

    if (r < 0)
        return r;
    if (!field_get(&field, bus, "master"))
        return field_problem(bus, problem, "add master: and its name or address", "has no master");
    r = read_masters(ret, &field, problem);
    if (r >= 0)
        r = read_id(ret, bus, problem);
    if (r >= 0)
        r = read_trust(ret, bus, problem);
    if (r >= 0 && field_get(&field, bus, "hash"))
        r = field_choice(&ret->hash, &field, (const char *const[]){"auto", "sha1", "sha224", NULL}, problem);
    return r;
}
