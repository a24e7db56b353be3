/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/base.h"
#include "../unit.h"

static void there_and_back(void **state) {
    char buffer[TIME_TEXT_MAX];
    msec wall;

    assert_string_equal(time_format(1795496400123, buffer), "2026-11-24T05:00:00.123Z");
    assert_int_equal(time_parse(&wall, buffer), 0);
    assert_int_equal(wall, 1795496400123);
    assert_string_equal(time_format_stamp(1795496400123, buffer), "2026-11-24T05:00:00.123000");
    assert_int_equal(time_parse(&wall, "2026-11-24T06:30:00.123456789+01:30"), 0);
    assert_int_equal(wall, 1795496400123);
    assert_int_equal(time_parse(&wall, "2026-11-24T05:00:00Z"), 0);
}

static void nonsense_is_refused(void **state) {
    static const char *const texts[] = {"", "2026", "2026-11-24", "2026-11-24T05:00:00", "2026-11-24T05:00:00.Z",
                                        "2026-11-24T05:00:00+1", "2026-11-24T05:00:00+01:00x", "1900-01-01T00:00:00Z"};
    msec wall;

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_int_equal(time_parse(&wall, texts[i]), -EINVAL);
}

RUN(cmocka_unit_test(there_and_back), cmocka_unit_test(nonsense_is_refused))
