/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log - one line per thing that a person should know. Goes to stderr (standing alone, with journald's <n> priorities when
 * stderr is a journal stream), or to Salt's log file in Salt's line format when the engine runs under a salt-master.
 * Only main, cmd/ and engine.c log above debug. Untrusted text is escaped here: no control character reaches the log.
 * A flood is cut: beyond 50 lines in ten seconds per level, lines are counted and the count is said once.
 */
#pragma once

#include "nodewall/base.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
enum log_level log_level_parse(const char *name);                        /* Salt's level names; unknown: warning */
int log_to_salt(const char *path);                                       /* append, also after a rotation; -errno: stays on stderr */
void log_line(enum log_level level, const char *format, ...) PRINTF(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
