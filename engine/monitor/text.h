/* SPDX-License-Identifier: Apache-2.0 */
/* Text - bytes from a stranger as the inside of a JSON string. Private to engine/monitor. */
#pragma once

#include "nodewall/monitor.h"

enum text_bytes {
    TEXT_BASE64,        /* bytes that are no UTF-8: all of them as base64, as Salt prints them */
    TEXT_HEX,           /* each such byte as \xNN, what is text around it stays */
    TEXT_TAG,           /* the same in a tag, where " and \ are themselves */
};

/* Without the quotes around it. */
int text_escape(struct line *line, const uint8_t *text, size_t size, enum text_bytes bytes);
