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

/* From gcc 14 on AddressSanitizer wants what strndup is given to end with a NUL, which it need not. */
const char *__asan_default_options(void);
__attribute__((weak)) const char *__asan_default_options(void) {
    return "strict_string_checks=0";
}

#define RUN(...)                                                                                                       \
    int main(void) {                                                                                                   \
        const struct CMUnitTest cases[] = {__VA_ARGS__};                                                               \
        return cmocka_run_group_tests(cases, NULL, NULL);                                                              \
    }
