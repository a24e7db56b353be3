/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with the headers it wants, and the table of cases. A case that is not in a table does not compile (-Wunused). */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RUN(...)                                                                                                       \
    int main(void) {                                                                                                   \
        const struct CMUnitTest cases[] = {__VA_ARGS__};                                                               \
        return cmocka_run_group_tests(cases, NULL, NULL);                                                              \
    }
