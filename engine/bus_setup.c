/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus setup - the one place where the sources of bus options meet, since config and bus do not know each other.
 */
#include "bus_setup.h"

static enum bus_framing from_handoff(int len32) {
    return len32 < 0 ? BUS_FRAMING_AUTO : len32 ? BUS_FRAMING_LEN32 : BUS_FRAMING_BARE;
}

static void setup_local(struct bus_setup *setup, const struct config *config, const struct handoff *handoff) {
    struct bus_options *options = &setup->options;

    options->sock_dir = CONFIG_SOCK_DIR;
    if (config) {
        static const enum bus_framing framings[] = {
            [CONFIG_FRAMING_AUTO] = BUS_FRAMING_AUTO,
            [CONFIG_FRAMING_BARE] = BUS_FRAMING_BARE,
            [CONFIG_FRAMING_LEN32] = BUS_FRAMING_LEN32,
        };

        options->sock_dir = config->bus.sock_dir;
        options->tcp = config->bus.ipc_mode == BUS_IPC_TCP;
        options->pub_port = config->bus.pub_port;
        options->pull_port = config->bus.pull_port;
        options->write = framings[config->bus.framing]; /* the reading side is told by its first byte */
    }
    if (handoff) {
        options->sock_dir = handoff->sock_dir;
        options->tcp = handoff->tcp;
        options->ipv6 = handoff->ipv6;
        options->pub_port = (unsigned)handoff->pub_port;
        options->pull_port = (unsigned)handoff->pull_port;
        options->write = from_handoff(handoff->write_len32);
        options->read = from_handoff(handoff->read_len32);
    }
    snprintf(setup->place, sizeof(setup->place), "%s", options->tcp ? "tcp" : options->sock_dir);
    setup->hint = "is salt-master running here, and may this user write to its sockets?";
}

static void setup_minion(struct bus_setup *setup, const struct config *config) {
    static const enum minion_hash hashes[] = {MINION_HASH_AUTO, MINION_HASH_SHA1, MINION_HASH_SHA224};
    const struct minion_config *from = &config->bus.minion;
    struct minion_options *minion = &setup->minion;
    int used = 0;

    snprintf(setup->pki_dir, sizeof(setup->pki_dir), "%s/pki", config->state_dir);
    for (size_t i = 0; i < from->n_masters; i++) {
        setup->masters[i] = (struct minion_master){from->masters[i].host, from->masters[i].port};
        used += snprintf(setup->place + used, sizeof(setup->place) - (size_t)used, "%s%.60s:%u", i ? ", " : "",
                         from->masters[i].host, from->masters[i].port);
        used = MIN(used, (int)sizeof(setup->place) - 300);
    }
    snprintf(setup->place + used, sizeof(setup->place) - (size_t)used, " as the minion %s", from->id);
    for (size_t i = 0; from->fingers && from->fingers[i]; i++)
        minion->n_fingers += minion_finger_parse(setup->fingers[i], from->fingers[i]);
    minion->masters = setup->masters;
    minion->n_masters = from->n_masters;
    minion->id = from->id;
    minion->pki_dir = setup->pki_dir;
    minion->master_key = from->master_key;
    minion->fingers = (const uint8_t(*)[MINION_FINGER_SIZE])setup->fingers;
    minion->trust_first_use = from->trust_first_use;
    minion->hash = hashes[from->hash];
    setup->options.minion = minion;
    setup->hint = "can the master be reached there, and is the key accepted (salt-key -L on it)?";
}

void bus_setup(struct bus_setup *ret, const struct config *config, const struct handoff *handoff) {
    *ret = (struct bus_setup){0};
    if (config && config->bus.transport == BUS_TRANSPORT_MINION)
        setup_minion(ret, config);
    else
        setup_local(ret, config, handoff);
}
