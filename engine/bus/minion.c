/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minion - signed in, one request at a time, over and over, whatever the master does.
 *
 *            connect, _auth              the session's key, tried at once
 *      AWAY ────────────────▶ SIGNING_IN ────────────────────────────────▶ ASKING ──nil: delivered──▶ READY
 *      ▲  ▲                    │  ▲ │ ▲                                     │ │ ▲                       │
 *      │  │ pending, rejected… │  └─┘ │ "that hash I do not know"           │ │ └── events, or 60 s ────┘
 *      │  └─ 1 to 60 s ────────┘      └───────────── "bad load" ────────────┘ │     without any
 *      └──── next master; after all of them 0.1 to 5 s ───────────────────────┘ no connection, no answer in time
 *
 * There is no echo here: an event is delivered when the answer to its request, which holds our nonce in a box of our
 * session's key, says so. What was under way when a connection broke is sent again; its event_id tells the repetition.
 * Keeps: after each trouble a new socket, for a request that got no answer blocks its socket for ever. Waiting is said
 * once and not at every try. Secrets are wiped when they are replaced. Does not: log, hear other people's events.
 * Owns: the channel, our key, the session, the batch under way.
 */
#include "batch.h"
#include "channel.h"
#include "pki.h"
#include "signin.h"
#include "transport.h"

#include <openssl/crypto.h>
#include <string.h>

#define BACKOFF_FIRST 100
#define BACKOFF_MAX 5000
#define REFUSED_FIRST 1000          /* somebody may be at salt-key just now */
#define REFUSED_MAX 60000
#define SIGN_IN_PATIENCE 5000       /* as Salt's own minions */
#define ASK_PATIENCE 30000          /* a master with all workers busy; a broken connection is known without it */
#define PING 60000

enum step { AWAY, SIGNING_IN, READY, ASKING };
/* Why it is away; of several masters the worst is told. */
enum trouble { UNREACHABLE, REFUSED, UNUSABLE };

struct minion {
    struct transport base;
    struct minion_options *options;
    const struct wire_ops *wire;
    struct channel *channel;
    EVP_PKEY *key;                  /* ours; NULL: not read yet */
    EVP_PKEY *master_key;           /* that is pinned for the master at hand; NULL: fingerprints, or first use */
    uint8_t proof[CRYPT_RSA_MAX];
    size_t proof_size;
    struct signin signin;
    struct crypticle crypticle;
    struct load load;               /* the request under way */
    struct batch batch;
    enum step step;
    msec due;
    size_t at, tried;               /* which master; how many failed in this round */
    unsigned rounds;                /* that failed since it was signed in last */
    enum trouble worst;             /* of this round */
    char why[1000];                 /* as told for it */
    bool said;                      /* a state was told */
    bool hash_turned;               /* the other hash was tried in this attempt */
    bool proved;                    /* the master took something in this session */
    bool connected;                 /* as the bus was told */
    bool single;                    /* one event a request: a batch failed, and one event must not keep the others */
    enum minion_hash hash;
    uint64_t sign_ins, requests;
};

static const struct channel_handler channel_handler;

static struct minion *minion_of(const struct transport *transport) {
    return (struct minion *)transport;
}

static const struct minion_master *master_of(const struct minion *minion) {
    return &minion->options->masters[minion->at];
}

static void name_of_master(const struct minion *minion, char *ret, size_t size) {
    const struct minion_master *master = master_of(minion);

    snprintf(ret, size, strchr(master->host, ':') ? "[%s]:%u" : "%s:%u", master->host, master->port);
}

static void drop(struct minion *minion) {
    minion->channel = channel_free(minion->channel);
    batch_clear(&minion->batch);
    crypticle_wipe(&minion->crypticle);
    OPENSSL_cleanse(minion->signin.token, sizeof(minion->signin.token));
    minion->step = AWAY;
    minion->proved = minion->single = false;
}

/* This master will not do for now: the next one at once, or after a pause when all were tried. The last thing to do. */
static void away(struct minion *minion, enum trouble trouble, const char *format, ...) PRINTF(3, 4);
static void away(struct minion *minion, enum trouble trouble, const char *format, ...) {
    bool was_connected = minion->connected;
    char what[700], master[280];
    va_list arguments;
    msec first, most;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    name_of_master(minion, master, sizeof(master));
    if (minion->tried == 0 || trouble > minion->worst) {
        minion->worst = trouble;
        snprintf(minion->why, sizeof(minion->why), "%s%s%s", trouble == UNUSABLE ? "" : master,
                 trouble == UNUSABLE ? "" : ": ", what);
    }
    drop(minion);
    minion->connected = false;
    minion->at = (minion->at + 1) % minion->options->n_masters;
    if (++minion->tried < minion->options->n_masters && trouble != UNUSABLE) {
        minion->due = clock_now();
        if (was_connected)
            bus_enter(minion->base.bus, BUS_WAITING, minion->why);
        else
            bus_schedule(minion->base.bus);
        return;
    }
    first = minion->worst == UNREACHABLE ? BACKOFF_FIRST : REFUSED_FIRST;
    most = minion->worst == UNREACHABLE ? BACKOFF_MAX : REFUSED_MAX;
    minion->due = clock_now() + MIN(most, first << MIN(minion->rounds, 8));
    minion->rounds++;
    minion->tried = 0;
    minion->said = true;
    bus_enter(minion->base.bus, BUS_WAITING, minion->why);
}

static void ask(struct minion *minion);

/* ---- signing in ---- */

/* Our key, the module, and the proof that both give; all of it once. */
static int prepare(struct minion *minion, struct problem *problem) {
    int r = minion->wire ? 0 : wire_load(&minion->wire, problem);

    if (r == 0 && !minion->key)
        r = pki_own_key(&minion->key, minion->options->pki_dir, problem);
    if (r == 0 && !minion->proof_size)
        r = x931_sign(minion->proof, &minion->proof_size, minion->key, LOAD_PROOF, strlen(LOAD_PROOF));
    return r;
}

/* What is known of the master at hand before it says anything. Read each time: an operator may have put it right. */
static int pin(struct minion *minion, struct problem *problem) {
    const struct minion_options *options = minion->options;

    EVP_PKEY_free(minion->master_key);
    minion->master_key = NULL;
    if (options->master_key)
        return pki_master_key(&minion->master_key, options->master_key, problem);
    if (options->n_fingers)
        return 0;
    if (options->trust_first_use)
        return pki_pinned(&minion->master_key, options->pki_dir, master_of(minion), problem);
    return problem_set(problem, "bus", "give master_finger, master_key or trust_first_use",
                       "nothing says which key the master has");
}

/* Asks on the channel that there is. */
static int ask_in(struct minion *minion) {
    struct signin *signin = &minion->signin;
    uint8_t *request;
    size_t size;
    int r;

    *signin = (struct signin){.id = minion->options->id, .key = minion->key, .hash = minion->hash,
                              .master = minion->master_key, .fingers = minion->options->fingers,
                              .n_fingers = minion->options->n_fingers};
    r = random_hex(signin->nonce, SIGNIN_NONCE);
    if (r == 0)
        r = random_bytes(signin->token, sizeof(signin->token));
    if (r == 0)
        r = signin_pack(&request, &size, signin);
    if (r < 0)
        return r;
    channel_send(minion->channel, request, size);
    minion->step = SIGNING_IN;
    minion->due = clock_now() + SIGN_IN_PATIENCE;
    return 0;
}

static void connect_master(struct minion *minion) {
    struct problem problem = {0};
    char line[400], master[280];
    int r = prepare(minion, &problem);

    if (r == 0)
        r = pin(minion, &problem);
    if (r < 0) {
        away(minion, UNUSABLE, "%s",
             problem.what[0] ? problem_format(&problem, line, sizeof(line)) : strerror(-r));
        return;
    }
    minion->hash = minion->options->hash == MINION_HASH_AUTO ? MINION_HASH_SHA224 : minion->options->hash;
    minion->hash_turned = minion->options->hash != MINION_HASH_AUTO;
    r = channel_new(&minion->channel, minion->base.loop, minion->wire, master_of(minion), &channel_handler, minion);
    if (r == 0)
        r = ask_in(minion);
    if (r < 0) {
        away(minion, UNREACHABLE, "%s", uv_strerror(r));
        return;
    }
    name_of_master(minion, master, sizeof(master));
    snprintf(line, sizeof(line), "signing in at %s", master);
    if (!minion->said)
        bus_enter(minion->base.bus, BUS_PROBING, line);
    else
        bus_schedule(minion->base.bus);
}

static void signed_in(struct minion *minion, struct signin_answer *answer) {
    struct problem problem = {0};
    char line[400];
    int r = 0;

    if (!minion->master_key && !minion->options->n_fingers)
        r = pki_pin(minion->options->pki_dir, master_of(minion), answer->master, &problem);
    if (r < 0) {
        away(minion, UNUSABLE, "%s", problem_format(&problem, line, sizeof(line)));
        return;
    }
    crypticle_wipe(&minion->crypticle);
    minion->crypticle = answer->crypticle;
    minion->sign_ins++;
    ask(minion); /* nothing yet: does it take what we send? */
}

/* As people compare it with what salt-key shows. */
static void finger_text(char ret[MINION_FINGER_SIZE * 3], EVP_PKEY *key, enum key_form form) {
    uint8_t finger[MINION_FINGER_SIZE];

    ret[0] = 0;
    if (key_finger(finger, key, form) == 0)
        key_finger_format(ret, finger);
}

static void pending(struct minion *minion) {
    char body[MINION_FINGER_SIZE * 3], whole[MINION_FINGER_SIZE * 3];

    finger_text(body, minion->key, KEY_FORM_BODY);
    finger_text(whole, minion->key, KEY_FORM_WHOLE);
    away(minion, REFUSED,
         "the key of '%s' is not accepted yet; there, salt-key -a %s does it (its fingerprint is %s, on 3008 %s)",
         minion->options->id, minion->options->id, body, whole);
}

static void other_master(struct minion *minion, EVP_PKEY *master) {
    char body[MINION_FINGER_SIZE * 3], whole[MINION_FINGER_SIZE * 3];

    finger_text(body, master, KEY_FORM_BODY);
    finger_text(whole, master, KEY_FORM_WHOLE);
    away(minion, REFUSED, "this is not the master that is pinned: its key has the fingerprint %s, on 3008 %s", body,
         whole);
}

/* The other hash, once in an attempt; false: that was it already. */
static bool turn_hash(struct minion *minion) {
    if (minion->hash_turned)
        return false;
    minion->hash_turned = true;
    minion->hash = minion->hash == MINION_HASH_SHA1 ? MINION_HASH_SHA224 : MINION_HASH_SHA1;
    if (ask_in(minion) < 0)
        return false;
    bus_schedule(minion->base.bus);
    return true;
}

static void on_signin(struct minion *minion, const uint8_t *data, size_t size) {
    struct signin_answer answer = {0};
    int outcome = signin_read(&answer, &minion->signin, data, size);

    /* A master of before 3006.9 does not look at what hash we named, so what it says seems forged. */
    if ((outcome == SIGNIN_HASH || outcome == SIGNIN_FORGED) && turn_hash(minion))
        return;
    switch (outcome) {
    case SIGNIN_ACCEPTED: signed_in(minion, &answer); break;
    case SIGNIN_PENDING: pending(minion); break;
    case SIGNIN_REJECTED:
        away(minion, REFUSED, "the key of '%s' was rejected, or the id has another one; there, see salt-key -L",
             minion->options->id);
        break;
    case SIGNIN_FULL: away(minion, REFUSED, "it takes no more minions (max_minions)"); break;
    case SIGNIN_HASH: away(minion, REFUSED, "it does not take %s", minion_hash_name(minion->hash)); break;
    case SIGNIN_REFUSED: away(minion, REFUSED, "it refuses our sign-in as a bad load: is it older than 3006?"); break;
    case SIGNIN_OTHER_MASTER: other_master(minion, answer.master); break;
    case SIGNIN_FORGED: away(minion, REFUSED, "its answer is not signed by the master's key"); break;
    case SIGNIN_GARBAGE: away(minion, REFUSED, "what answers there is no salt-master"); break;
    default: away(minion, UNREACHABLE, "%s", strerror(-outcome));
    }
    signin_answer_done(&answer);
}

/* ---- events ---- */

static void ask(struct minion *minion) {
    struct load *load = &minion->load;
    uint8_t *request;
    size_t size;
    int r;

    *load = (struct load){.id = minion->options->id, .hash = minion->hash, .crypticle = &minion->crypticle,
                          .proof = minion->proof, .proof_size = minion->proof_size, .wall = clock_wall()};
    r = random_hex(load->nonce, LOAD_NONCE);
    if (r == 0)
        r = random_bytes(load->iv, sizeof(load->iv));
    if (r == 0)
        r = load_pack(&request, &size, load, minion->batch.events, minion->batch.n);
    if (r < 0) {
        away(minion, UNREACHABLE, "%s", strerror(-r));
        return;
    }
    channel_send(minion->channel, request, size);
    minion->requests++;
    minion->step = ASKING;
    minion->due = clock_now() + ASK_PATIENCE;
    bus_schedule(minion->base.bus);
}

static void ready(struct minion *minion) {
    minion->step = READY;
    minion->due = clock_now() + PING;
    bus_schedule(minion->base.bus);
}

/* Moved out first: whoever is told may publish, which begins the next batch, or free the bus. */
static void taken(struct minion *minion) {
    CLEANUP(batch_clear) struct batch batch = minion->batch;

    minion->batch = (struct batch){0};
    ready(minion);
    if (!minion->proved) {
        minion->proved = minion->connected = minion->said = true;
        minion->rounds = 0;
        minion->tried = 0;
        bus_enter_connected(minion->base.bus);
    }
    for (size_t i = 0; i < batch.n && !bus_is_freed(minion->base.bus); i++)
        bus_delivered(minion->base.bus, batch.events[i].tag, batch.ids[i]);
}

/* The key may have been replaced since: once a day, by salt-key, or with the master's cache. */
static void bad_load(struct minion *minion) {
    bool again = minion->proved;

    batch_clear(&minion->batch);
    minion->proved = false;
    if (!again)
        away(minion, REFUSED,
             "it lets us in and then refuses what we send: are the clocks far apart (request_server_ttl)?");
    else if (ask_in(minion) < 0)
        away(minion, UNREACHABLE, "no memory");
    else
        bus_schedule(minion->base.bus);
}

static void on_answer(struct minion *minion, const uint8_t *data, size_t size) {
    int outcome = load_read(&minion->load, data, size);

    switch (outcome) {
    case LOAD_TAKEN: taken(minion); break;
    case LOAD_BAD: bad_load(minion); break;
    case LOAD_FAILED: /* the outbox sends it again, and says when that is of no use */
        batch_clear(&minion->batch);
        minion->single = true;
        ready(minion);
        break;
    case LOAD_NOT_READY: away(minion, REFUSED, "it says that it is not ready yet"); break;
    case LOAD_FORGED: away(minion, REFUSED, "its answer is none to what we sent"); break;
    default: away(minion, UNREACHABLE, "%s", strerror(-outcome));
    }
}

static void on_reply(void *userdata, const uint8_t *data, size_t size) {
    struct minion *minion = userdata;

    if (minion->step == SIGNING_IN)
        on_signin(minion, data, size);
    else if (minion->step == ASKING)
        on_answer(minion, data, size);
}

static void on_lost(void *userdata, const char *why) {
    away(userdata, UNREACHABLE, "%s", why);
}

static const struct channel_handler channel_handler = {.on_reply = on_reply, .on_lost = on_lost};

/* ---- what the bus wants ---- */

static msec due(const struct transport *transport) {
    return minion_of(transport)->due;
}

static void turn(struct transport *transport, msec now) {
    struct minion *minion = minion_of(transport);

    switch (minion->step) {
    case AWAY: connect_master(minion); break;
    case READY: ask(minion); break; /* an empty one: is it still there, does it still let us in? */
    case SIGNING_IN: away(minion, UNREACHABLE, "no answer within %d s", SIGN_IN_PATIENCE / 1000); break;
    case ASKING: away(minion, UNREACHABLE, "no answer within %d s", ASK_PATIENCE / 1000); break;
    }
}

static bool takes(const struct transport *transport) {
    const struct minion *minion = minion_of(transport);

    return minion->step == READY && !batch_is_full(&minion->batch) && !(minion->single && minion->batch.n);
}

static void send_entry(struct transport *transport, const struct outbox_entry *entry) {
    (void)batch_add(&minion_of(transport)->batch, entry); /* without memory the outbox has it due again soon */
}

static void flush(struct transport *transport) {
    struct minion *minion = minion_of(transport);

    if (minion->step == READY && minion->batch.n)
        ask(minion);
}

static void stuck(struct transport *transport) {
    away(minion_of(transport), REFUSED, "the master takes what is sent, and fails at it; its log says why");
}

static void stats(const struct transport *transport, struct bus_stats *ret) {
    const struct minion *minion = minion_of(transport);

    name_of_master(minion, ret->minion.master, sizeof(ret->minion.master));
    ret->minion.sign_ins = minion->sign_ins;
    ret->minion.requests = minion->requests;
}

static void stop(struct transport *transport) {
    drop(minion_of(transport));
}

static void free_minion(struct transport *transport) {
    struct minion *minion = minion_of(transport);

    EVP_PKEY_free(minion->key);
    EVP_PKEY_free(minion->master_key);
    minion_options_free(minion->options);
    OPENSSL_cleanse(minion, sizeof(*minion));
    free(minion);
}

static const struct transport_ops ops = {
    .one_way = true,
    .due = due,
    .turn = turn,
    .takes = takes,
    .send = send_entry,
    .flush = flush,
    .stuck = stuck,
    .stats = stats,
    .stop = stop,
    .free = free_minion,
};

int minion_new(struct transport **ret, const struct bus_options *options) {
    struct minion *minion;
    int r;

    if (options->listen_only || options->minion->n_masters == 0)
        return -EINVAL; /* there is nothing to listen to */
    minion = calloc(1, sizeof(*minion));
    if (!minion)
        return -ENOMEM;
    r = minion_options_copy(&minion->options, options->minion);
    if (r < 0) {
        free(minion);
        return r;
    }
    minion->base.ops = &ops;
    minion->wire = options->minion->wire;
    minion->due = clock_now();
    *ret = &minion->base;
    return 0;
}
