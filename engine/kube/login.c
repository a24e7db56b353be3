/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login - when an exec plugin is to be run: before what it gave ends, and when the server has refused it, but never in a
 * loop.
 *
 * Requests ask; between them nothing happens, for a watch that runs is not cut when its credentials end. What has ended
 * on arrival would make every request run the plugin (kubernetes#106768); then the two clocks do not agree, and whether
 * it is good is left to the server.
 *
 * Keeps: two runs are ten seconds apart at least; failures, and tokens that are refused as soon as they are new, space
 * them out to five minutes. Does not: read a clock, run anything. Owns: nothing.
 */
#include "login.h"

enum login_need login_need(const struct login *login, msec wall) {
    if (!login->has || login->refused || login->expires <= wall)
        return LOGIN_NOW;
    return login->early <= wall ? LOGIN_SOON : LOGIN_FRESH;
}

bool login_may_run(const struct login *login, msec now) {
    return now >= login->not_before;
}

void login_got(struct login *login, msec expires, msec now, msec wall) {
    msec again = LOGIN_AGAIN;

    for (unsigned i = 1; i < login->refusals && again < LOGIN_RETRY_MOST; i++)
        again *= 2;
    login->has = true;
    login->refused = false;
    login->delay = 0;
    login->not_before = now + MIN(again, (msec)LOGIN_RETRY_MOST);
    login->expires = login->early = MSEC_NEVER;
    if (expires == MSEC_NEVER || expires <= wall)
        return;
    login->expires = expires;
    login->early = expires - MIN((msec)LOGIN_EARLY, (expires - wall) / 4);
}

void login_failed(struct login *login, msec now) {
    msec delay = login->delay ? login->delay : LOGIN_RETRY;

    login->not_before = now + delay;
    login->delay = MIN(2 * delay, (msec)LOGIN_RETRY_MOST);
}

void login_refused(struct login *login) {
    if (login->has && !login->refused)
        login->refusals++;
    login->refused = true;
}

void login_accepted(struct login *login) {
    login->refused = false;
    login->refusals = 0;
}
