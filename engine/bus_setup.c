/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus setup - the one place where the two sources of bus options meet, since config and bus do not know each other.
 */
#include "bus_setup.h"

static enum bus_framing from_handoff(int len32) {
    return len32 < 0 ? BUS_FRAMING_AUTO : len32 ? BUS_FRAMING_LEN32 : BUS_FRAMING_BARE;
}

void bus_setup(struct bus_options *ret, const struct config *config, const struct handoff *handoff) {
    struct bus_options options = {.sock_dir = CONFIG_SOCK_DIR};

    if (config) {
        static const enum bus_framing framings[] = {
            [CONFIG_FRAMING_AUTO] = BUS_FRAMING_AUTO,
            [CONFIG_FRAMING_BARE] = BUS_FRAMING_BARE,
            [CONFIG_FRAMING_LEN32] = BUS_FRAMING_LEN32,
        };

        options.sock_dir = config->bus.sock_dir;
        options.tcp = config->bus.ipc_mode == BUS_IPC_TCP;
        options.pub_port = config->bus.pub_port;
        options.pull_port = config->bus.pull_port;
        options.write = framings[config->bus.framing]; /* the reading side is told by its first byte */
    }
    if (handoff) {
        options.sock_dir = handoff->sock_dir;
        options.tcp = handoff->tcp;
        options.ipv6 = handoff->ipv6;
        options.pub_port = (unsigned)handoff->pub_port;
        options.pull_port = (unsigned)handoff->pull_port;
        options.write = from_handoff(handoff->write_len32);
        options.read = from_handoff(handoff->read_len32);
    }
    *ret = options;
}
