/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/address.h"
#include "../unit.h"

static void normal_form(void **state) {
    static const struct {
        const char *text, *normal; /* NULL: refused */
    } cases[] = {
        {"203.0.113.7", "203.0.113.7"},
        {"203.0.113.7/32", "203.0.113.7"},
        {"203.0.113.0/28", "203.0.113.0/28"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"2001:DB8:0::1", "2001:db8::1"},
        {"2001:db8::/32", "2001:db8::/32"},
        {"::ffff:203.0.113.7", "203.0.113.7"},
        {"::ffff:203.0.113.0/124", "203.0.113.0/28"},
        {"::/0", "::/0"},
        {"203.0.113.7/28", NULL}, /* host bits */
        {"2001:db8::1/64", NULL},
        {"203.0.113.007", NULL},
        {"203.0.113", NULL},
        {"203.0.113.7/33", NULL},
        {"203.0.113.7/032", NULL},
        {"203.0.113.7/", NULL},
        {"203.0.113.7/+8", NULL},
        {" 203.0.113.7", NULL},
        {"203.0.113.7 ", NULL},
        {"fe80::1%eth0", NULL},
        {"2001:db8::1/129", NULL},
        {"", NULL},
        {"/", NULL},
        {"node-a", NULL},
        {"**********", NULL},
        {"2001:0db8:0000:0000:0000:0000:0000:0001:0001", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", NULL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct address address = {0};
        char buffer[ADDRESS_TEXT_MAX];
        int r = address_parse(&address, cases[i].text, strlen(cases[i].text));

        if (!cases[i].normal) {
            assert_int_equal(r, -EINVAL);
            assert_int_equal(address.family, 0); /* untouched */
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(address_format(&address, buffer), cases[i].normal);
    }
}

static void text_is_bounded(void **state) {
    struct address address;

    assert_int_equal(address_parse(&address, "203.0.113.7garbage", 11), 0);
    assert_int_equal(address_parse(&address, "203.0\0.113", 10), -EINVAL);
}

static struct address parse(const char *text) {
    struct address address;

    assert_int_equal(address_parse(&address, text, strlen(text)), 0);
    return address;
}

static void order_is_that_of_records(void **state) {
    static const char *const sorted[] = {"9.255.0.0", "10.0.0.0/8", "10.0.0.0/31", "10.0.0.0", "10.0.0.1", "::", "2001:db8::/64", "2001:db8::"};

    for (size_t i = 1; i < ARRAY_LENGTH(sorted); i++) {
        struct address a = parse(sorted[i - 1]), b = parse(sorted[i]);
        uint8_t x[ADDRESS_RECORD_MAX], y[ADDRESS_RECORD_MAX];
        size_t n = address_record(&a, x), m = address_record(&b, y);

        assert_true(address_compare(&a, &b) < 0 && address_compare(&b, &a) > 0 && address_compare(&a, &a) == 0);
        assert_true(memcmp(x, y, n < m ? n : m) < 0);
    }
}

static void within(void **state) {
    struct address network = parse("172.104.0.0/15"), inside = parse("172.105.255.255"), outside = parse("172.106.0.0"),
                   larger = parse("172.0.0.0/8"), six = parse("2001:db8::1");

    assert_true(address_within(&inside, &network));
    assert_true(address_within(&network, &network));
    assert_false(address_within(&outside, &network));
    assert_false(address_within(&larger, &network));
    assert_false(address_within(&six, &network));
}

static void classes(void **state) {
    static const struct {
        const char *text;
        enum address_class class;
    } cases[] = {
        {"203.0.113.7", ADDRESS_USABLE},    {"10.1.2.3", ADDRESS_USABLE},      {"127.0.0.53", ADDRESS_LOOPBACK},
        {"0.0.0.0", ADDRESS_UNSPECIFIED},   {"169.254.1.1", ADDRESS_LINK_LOCAL}, {"224.0.0.1", ADDRESS_MULTICAST},
        {"255.255.255.255", ADDRESS_RESERVED}, {"::", ADDRESS_UNSPECIFIED},    {"::1", ADDRESS_LOOPBACK},
        {"fe80::1", ADDRESS_LINK_LOCAL},    {"ff02::1", ADDRESS_MULTICAST},    {"2001:db8::1", ADDRESS_USABLE},
        {"fd00::1", ADDRESS_USABLE},        {"0.0.0.0/0", ADDRESS_LOOPBACK},   {"::ffff:127.0.0.1", ADDRESS_LOOPBACK},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct address address = parse(cases[i].text);

        assert_string_equal(address_class_name(address_classify(&address)), address_class_name(cases[i].class));
    }
}

RUN(cmocka_unit_test(normal_form), cmocka_unit_test(text_is_bounded), cmocka_unit_test(order_is_that_of_records),
    cmocka_unit_test(within), cmocka_unit_test(classes))
