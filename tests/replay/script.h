/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Script - the words of tests/replay, and the JSON that a server would send for them.
 *
 * in.jsonl, one step a line, in order:
 *   {"answer": {…}}        waits for the next request (time passes as the machine asks for it) and answers it with
 *                          status (200), type (Content-Type), retry_after (s), after (ms until the headers) and one of
 *                            "list": {"rv", "continue", "nodes": [NODE]}, "lines": [LINE], "body": text or JSON;
 *                          cut: only so many bytes of it, from its end if negative; end: complete (default), cut, open;
 *                          json: true if it isn't to be told in protobuf as well
 *   {"no_answer": text, "after": ms}        waits for the next request, which fails without a response
 *   {"lines": [LINE]}, {"end": "complete" or "cut"}      of the request that runs
 *   {"wait": ms}, {"relist": true}, {"picture": true}, {"stats": true}, {"repeat": n, "do": [step]}, {"note": text}
 * NODE: "name uid rv [leaving] address…", an address being Type=text or, for InternalIP, the text alone
 * LINE: "ADDED NODE", …, "BOOKMARK rv", "ERROR code reason", {"raw": text}, {"fill": bytes of a large node}
 *
 * expect.jsonl, in order: {"start", "query" or "rv", "pause": ms since the last request ended (0 if absent), "fresh"},
 * {"cancel"}, {"event", …}, {"picture": [NODE]}, {"stats", …}. [low, high] stands for a number in between; a trouble's
 * text may be left out.
 */
#pragma once

#include "nodewall/decode.h"
#include "nodewall/json.h"

/* All these end the program, with a sentence, when a story is written wrongly: one that says nothing must not pass. */
_Noreturn void script_fail(const char *format, ...) PRINTF(1, 2);
/* A file of one object a line, {"repeat": n, "do": […]} unrolled, as an array. */
json_object *script_load(const char *directory, const char *name);

struct bytes {
    char *data;
    size_t n;
};
void bytes_done(struct bytes *bytes);
/* What an answer's "list", "lines", "body" and "cut" say is sent. `protobuf`: wanted, if that can be said in it (a list,
 * lines, a refusal's Status; not with a type of its own); on return, whether it is. */
struct bytes script_body(json_object *answer, bool *protobuf);
struct bytes script_lines(json_object *lines, bool protobuf);
/* A node as a script writes it. */
json_object *script_node(const struct node *node);
