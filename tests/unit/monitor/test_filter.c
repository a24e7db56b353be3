/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/monitor.h"

static bool glob(const char *pattern, const char *text) {
    return glob_matches(pattern, text, strlen(text));
}

static void globs(void **state) {
    assert_true(glob("*", "") && glob("", "") && !glob("", "a") && !glob("?", ""));
    assert_true(glob("salt/job/*/ret/*", "salt/job/2026/ret/db1"));
    assert_true(glob("salt/*", "salt/job/2026/ret/db1")); /* slashes too */
    assert_false(glob("salt/job/*/new", "salt/job/2026/ret/db1"));
    assert_true(glob("*a*b", "xaybzb") && !glob("*a*b", "xaybz"));
    assert_true(glob("[a-c]?[!x]", "bzy") && !glob("[a-c]?[!x]", "bzx") && !glob("[a-c]", "d"));
    assert_true(glob("[]]", "]") && glob("[!]]", "x") && !glob("[!]]", "]") && glob("[a", "[a") && glob("a]", "a]"));
    assert_true(glob("[-a]", "-") && glob("[a-]", "-"));
    assert_true(glob("a\\*", "a\\x")); /* a backslash is one */
    assert_false(glob("Salt", "salt"));
    assert_true(glob("gr?n", "gr\xc3\xbcn") && glob("gr[\xc3\xbc\xc3\xb6]n", "gr\xc3\xbcn") && glob("gr\xc3\xbc*", "gr\xc3\xbcn"));
    assert_true(glob("a?b", "a\xff"
                            "b"));
    assert_true(glob_matches("a?b", "a\0b", 3) && glob_matches("*b", "a\0b", 3));
    assert_false(glob_matches("a", "a\0b", 3));
}

/* No tag may make a glob of somebody slow: each star that is gone back to would be another factor of a thousand. */
static void a_glob_is_never_slow(void **state) {
    static char text[20000];

    memset(text, 'a', sizeof(text));
    assert_false(glob_matches("a*a*a*a*a*a*a*a*b", text, sizeof(text)));
}

/* {"fun": "state.apply", "id": "web1.example.org", "success": true, "retcode": 0, "minions": ["db1", "db2"], "x": {"y": {"a.b": 1.5}}, "n": nil} */
static const char event[] = "\x87\xa3"
                            "fun\xab"
                            "state.apply\xa2id\xb0web1.example.org\xa7success\xc3\xa7retcode\x00\xa7minions\x92\xa3"
                            "db1\xa3"
                            "db2\xa1x\x81\xa1y\x81\xa3"
                            "a.b\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa1n\xc0";

struct asked {
    bool include;
    const char *text;
};

static bool passes(size_t n, const struct asked *asked, const char *tag) {
    CLEANUP(filter_freep) struct filter *filter = NULL;
    CLEANUP(cleanup_free) uint8_t *copy = malloc(sizeof(event) - 1);

    memcpy(copy, event, sizeof(event) - 1);
    assert_int_equal(filter_new(&filter), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(filter_add_field(filter, asked[i].include, asked[i].text, NULL), 0);
    return filter_fields(filter, tag, strlen(tag), copy, sizeof(event) - 1);
}

static void one_field(void **state) {
    static const struct {
        const char *text;
        bool found;
    } cases[] = {
        {"fun=state.*", true},      {"fun=test.*", false},   {"fun", true},           {"none", false},
        {"success=true", true},     {"success=1", false},    {"retcode=0", true},     {"retcode=[!0]*", false},
        {"minions=db2", true},      {"minions=db3", false},  {"minions.1=db2", true}, {"minions.2", false},
        {"x.y.a.b=1.5", true},      {"x.y.a", false},        {"x.y", true},           {"x.y=*", false},
        {"n=null", true},           {"tag=salt/*", true},    {"tag=other", false},    {".tag", false},
        {".fun=state.apply", true}, {"minions.x", false},    {"fun.x", false},        {"id=web1.*", true},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct asked include = {true, cases[i].text}, exclude = {false, cases[i].text};

        assert_int_equal(passes(1, &include, "salt/job/1/ret/web1"), cases[i].found);
        assert_int_equal(passes(1, &exclude, "salt/job/1/ret/web1"), !cases[i].found);
    }
}

static void several_fields(void **state) {
    const struct asked any[] = {{true, "fun=test.*"}, {true, "fun=state.*"}};
    const struct asked all[] = {{true, "fun=state.*"}, {true, "retcode=1"}};
    const struct asked both[] = {{true, "fun=state.*"}, {false, "success=true"}};
    const struct asked none[] = {{false, "fun=test.*"}, {false, "id=db*"}};
    const struct asked same[] = {{false, "fun=test.*"}, {false, "fun=state.*"}};

    assert_true(passes(2, any, "t"));
    assert_false(passes(2, all, "t"));
    assert_false(passes(2, both, "t"));
    assert_true(passes(2, none, "t"));
    assert_false(passes(2, same, "t"));
    assert_true(passes(0, NULL, "t"));
}

static void tags(void **state) {
    CLEANUP(filter_freep) struct filter *filter = NULL;

    assert_int_equal(filter_new(&filter), 0);
    assert_true(filter_tag(filter, "anything", 8));
    assert_int_equal(filter_add_tag(filter, "salt/auth"), 0);
    assert_int_equal(filter_add_tag(filter, "nodewall/*"), 0);
    assert_true(filter_tag(filter, "salt/auth", 9) && filter_tag(filter, "nodewall/x", 10));
    assert_false(filter_tag(filter, "salt/auth2", 10));
}

static void what_is_no_condition(void **state) {
    CLEANUP(filter_freep) struct filter *filter = NULL;
    struct problem problem;

    assert_int_equal(filter_new(&filter), 0);
    assert_int_equal(filter_add_field(filter, true, "=x", &problem), -EINVAL);
    assert_string_equal(problem.where, "-i");
    assert_int_equal(filter_add_field(filter, false, "", &problem), -EINVAL);
    assert_string_equal(problem.where, "-x");
}

/* Whatever the bytes claim; the last of two keys counts, as for whoever reads the JSON. */
static void strange_data(void **state) {
    static const struct {
        const char *data;
        size_t size;
        bool found;
    } cases[] = {
        {"\x82\xa1k\xa1x\xa1k\xa1y", 9, false}, {"\x82\xa1k\xa1y\xa1k\xa1x", 9, true}, {"\x81\xa1k", 3, false},
        {"\xdf\xff\xff\xff\xff\xa1k\xa1x", 9, false}, {"\x81\xa1k\xa9x", 5, false}, {"", 0, false}, {"\xc1", 1, false},
        {"\x81\x01\xa1x", 4, false}, {"\x81\xc4\x01k\xc4\x01x", 7, true}, {"\x81\xa1k\xd4\x4ex", 6, true},
        {"\x81\xa1k\x91\x91\xa1x", 7, false}, {"\x81\xa1k\xdd\xff\xff\xff\xff\xa1x", 10, false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(filter_freep) struct filter *filter = NULL;
        CLEANUP(cleanup_free) uint8_t *copy = malloc(cases[i].size + 1);

        memcpy(copy, cases[i].data, cases[i].size);
        assert_int_equal(filter_new(&filter), 0);
        assert_int_equal(filter_add_field(filter, true, "k=x", NULL), 0);
        assert_int_equal(filter_fields(filter, "t", 1, copy, cases[i].size), cases[i].found);
    }
}

static void the_last_of_two_maps_counts(void **state) {
    static const uint8_t data[] = "\x82\xa1k\x81\xa1" "a\xa1y\xa1k\x81\xa1" "a\xa1x";
    CLEANUP(filter_freep) struct filter *filter = NULL;

    assert_int_equal(filter_new(&filter), 0);
    assert_int_equal(filter_add_field(filter, true, "k.a=x", NULL), 0);
    assert_true(filter_fields(filter, "t", 1, data, sizeof(data) - 1));
}

RUN(cmocka_unit_test(globs), cmocka_unit_test(a_glob_is_never_slow), cmocka_unit_test(one_field), cmocka_unit_test(several_fields),
    cmocka_unit_test(tags), cmocka_unit_test(what_is_no_condition), cmocka_unit_test(strange_data),
    cmocka_unit_test(the_last_of_two_maps_counts))
