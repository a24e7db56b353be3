/* SPDX-License-Identifier: Apache-2.0 */
/* Script protobuf - what script.c sends as JSON, in the API server's other encoding. */
#pragma once

#include "script.h"

/* The lines of a watch as frames. A line that is no event becomes a frame that is none, one without its end a frame that
 * is cut. */
struct bytes script_protobuf_lines(const struct bytes *lines);
/* A NodeList or a Status. false: it is neither, and nothing was made. */
bool script_protobuf_object(struct bytes *ret, const struct bytes *text);
