/* SPDX-License-Identifier: Apache-2.0 */
/* Login - when to run an exec plugin. See login.c. Private to kube. */
#pragma once

#include "nodewall/base.h"

#define LOGIN_EARLY 60000           /* ms before the end when it is time for another */
#define LOGIN_AGAIN 10000           /* at least so long between two runs, doubled while the server refuses what comes */
#define LOGIN_RETRY 5000            /* after a failure, doubled */
#define LOGIN_RETRY_MOST 300000

struct login {
    bool has;                       /* something was got once; it stays in use until there is better */
    bool refused;                   /* by a 401 since it was got */
    unsigned refusals;              /* in a row, each of something new */
    msec expires, early;            /* wall clock; MSEC_NEVER */
    msec not_before;                /* clock_now */
    msec delay;                     /* after the next failure; 0: LOGIN_RETRY */
};

enum login_need {
    LOGIN_FRESH,
    LOGIN_SOON,                     /* what there is will do for this request */
    LOGIN_NOW,                      /* there is none, or it has ended, or was refused */
};
enum login_need login_need(const struct login *login, msec wall);
/* Whether it may be run now: not too often, whatever is needed. */
bool login_may_run(const struct login *login, msec now);

void login_got(struct login *login, msec expires, msec now, msec wall);
void login_failed(struct login *login, msec now);
void login_refused(struct login *login);
void login_accepted(struct login *login);
