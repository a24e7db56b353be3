/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials - see credentials.c. Private to kube. */
#pragma once

#include "login.h"
#include "nodewall/kubeconfig.h"

#include <sys/types.h>
#include <time.h>

#define TOKEN_AGE_MAX 60000     /* ms; the kubelet renews a token long before it ends, and asks its readers for this */

/* What a file was when it was read. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

/* Bytes that were found fit for use. */
struct held {
    char *data;                 /* size bytes and a NUL; NULL: none yet, or none wanted */
    size_t size;
    struct stamp stamp;         /* all zero for what stands in the kubeconfig itself */
};

struct credentials {
    const struct endpoint *endpoint;        /* borrowed */
    struct held ca, certificate, key, token;
    msec token_read;                        /* clock_now */
    bool token_refused;                     /* by a 401 since it was read */
    msec expires;                           /* wall clock, of the client's certificate; MSEC_NEVER without one */
    struct problem trouble;                 /* why the newest on disk is not in use; what[0] is 0 without trouble */
    struct login login;                     /* with an exec plugin */
    struct problem login_trouble;           /* why its last run was in vain; what[0] is 0 when it was not */
};

void credentials_init(struct credentials *credentials, const struct endpoint *endpoint);
void credentials_done(struct credentials *credentials);
/* Reads what is due. 0: there is something to use, old or new (see trouble); -EINVAL with *problem: there never was;
 * -ENOMEM. */
int credentials_refresh(struct credentials *credentials, msec now, struct problem *problem);
/* Reads everything; whatever is not as it should be is -EINVAL with *problem. */
int credentials_check(struct credentials *credentials, msec now, msec wall, struct problem *problem);
/* What an exec plugin gave, taken over if it is fit for use: -EINVAL with *problem, -ENOMEM; then all stays as it is. */
int credentials_take(struct credentials *credentials, struct exec_reply *reply, msec now, msec wall, struct problem *problem);
/* The answer to a request: 401, or anything else. */
void credentials_refused(struct credentials *credentials);
void credentials_accepted(struct credentials *credentials);
