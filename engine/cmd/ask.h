/* SPDX-License-Identifier: Apache-2.0 */
/* Ask - a page of the running engine, as JSON, with a sentence for whatever keeps it from coming. */
#pragma once

#include "cmd/cmd.h"
#include "nodewall/json.h"

/* The state directory of the configuration. One that is no good is told, and the directory guessed: the engine goes on with the
 * old one, and is to be asked all the same. 0 and malloc'ed text, or an exit code. */
int ask_state_dir(char **ret, const struct options *options);
/* 0 and a new reference; otherwise an exit code, and the problem was told. `missing`: what is said when the engine has no such
 * page, or NULL: it has. */
int ask_engine(json_object **ret, const char *state_dir, const char *page, const char *missing);
