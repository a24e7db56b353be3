/* SPDX-License-Identifier: Apache-2.0 */
#include "document.h"
#include "../unit.h"

static int parse(struct document **ret, const char *text, struct problem *problem) {
    return document_parse(ret, "/etc/x.yaml", text, strlen(text), problem);
}

static void types_and_lines(void **state) {
    CLEANUP(document_freep) struct document *document = NULL;
    struct json_object *a, *b;

    assert_int_equal(parse(&document,
                           "# comment\n"
                           "a:\n"
                           "  b: [1, two,\n"
                           "      '3']\n"
                           "  c: true\n"
                           "  d: 007\n"
                           "  e: ~\n"
                           "  f: -5\n"
                           "  g: 123456789012345678901234567890\n",
                           NULL), 0);
    assert_true(json_object_object_get_ex(document->root, "a", &a));
    assert_int_equal(document_key_line(document->root, "a"), 2);
    assert_int_equal(document_key_line(a, "e"), 7);
    assert_true(json_object_object_get_ex(a, "b", &b));
    assert_int_equal(document_item_line(b, 0), 3);
    assert_int_equal(document_item_line(b, 2), 4);
    /* Plain json-c prints it: the lines are beside the tree, not in it. */
    assert_string_equal(json_object_to_json_string_ext(document->root, JSON_C_TO_STRING_PLAIN),
                        "{\"a\":{\"b\":[1,\"two\",\"3\"],\"c\":true,\"d\":\"007\",\"e\":null,\"f\":-5,"
                        "\"g\":\"123456789012345678901234567890\"}}");
}

static void json_is_yaml(void **state) {
    CLEANUP(document_freep) struct document *document = NULL;

    assert_int_equal(parse(&document, "{\n\t\"a\": [1,2,{\"b\":\"x\\ny\\/z\\u00e9\"}],\n\t\"c\": \"true\"\n}\n", NULL), 0);
    assert_string_equal(json_object_to_json_string_ext(document->root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                        "{\"a\":[1,2,{\"b\":\"x\\ny/z\xc3\xa9\"}],\"c\":\"true\"}");
}

static void empty_files(void **state) {
    static const char *const texts[] = {"", "# nothing\n", "---\n", "---\n...\n"};

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        CLEANUP(document_freep) struct document *document = NULL;

        assert_int_equal(parse(&document, texts[i], NULL), 0);
        assert_null(document->root);
    }
}

static void refused(void **state) {
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "/etc/x.yaml:3: \"a\" is given twice (the first is in line 1; keep one of them)"},
        {"a: 1\n b: 2\n", "/etc/x.yaml:2: this is not YAML: mapping values are not allowed in this context "
                          "(look at the indentation, quotes and brackets here and in the line before)"},
        {"a: [1, 2\nb: 3\n", "/etc/x.yaml:2: this is not YAML: did not find expected ',' or ']' "
                             "(look at the indentation, quotes and brackets here and in the line before)"},
        {"a: &x [1]\nb: *x\n", "/etc/x.yaml:2: aliases (*name) are not understood here (write the value out, or put it in quotes)"},
        {"a: !!python/object:os.system x\n",
         "/etc/x.yaml:1: tags are not understood here (remove the word that begins with an exclamation mark)"},
        {"a: \"x\\0y\"\n", "/etc/x.yaml:1: a NUL character (remove it)"},
        {"\"a\\0b\": 1\n", "/etc/x.yaml:1: a NUL character (remove it)"},
        {"[a, b]: c\n", "/etc/x.yaml:1: a key that is no plain name (write \"name: value\")"},
        {"a: 1\n---\nb: 2\n",
         "/etc/x.yaml:2: a second document in the same file (keep one, and remove the line \"---\" between them)"},
        {"a: \xff\xfe\n", "/etc/x.yaml:1: this is not YAML: invalid leading UTF-8 octet (save the file as plain UTF-8 text)"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct document *document = NULL;
        struct problem problem = {0};
        char sentence[1024];

        assert_int_equal(parse(&document, cases[i].text, &problem), -EINVAL);
        assert_null(document);
        assert_string_equal(problem_format(&problem, sentence, sizeof(sentence)), cases[i].sentence);
    }
}

static void bounded(void **state) {
    struct document *document = NULL;
    struct problem problem = {0};
    CLEANUP(cleanup_free) char *many = malloc(3 * (DOCUMENT_NODES + 2));
    char deep[1000];
    size_t n = 0;

    memset(deep, '[', sizeof(deep));
    assert_int_equal(document_parse(&document, "x", deep, sizeof(deep), &problem), -EINVAL);
    assert_string_equal(problem.what, "nested deeper than any real configuration is");
    for (int i = 0; i < DOCUMENT_NODES + 1; i++)
        n += (size_t)snprintf(many + n, 3, "%s", i ? ",1" : "[1");
    many[n++] = ']';
    assert_int_equal(document_parse(&document, "x", many, n, &problem), -EINVAL);
    assert_string_equal(problem.what, "more values than any real configuration has");
    assert_null(document);
}

/* Every prefix of a real file: none may crash, leak or be read out of bounds (the sanitizers look). */
static void every_prefix(void **state) {
    static const char text[] = "clusters:\n  prod: {within: [\"1.2.3.0/24\", 'x'], a: |\n  text\n  }\nb: >-\n  folded\n  text\n";

    for (size_t n = 0; n < sizeof(text); n++) {
        CLEANUP(document_freep) struct document *document = NULL;
        struct problem problem;
        char *copy = malloc(n ? n : 1);

        memcpy(copy, text, n);
        if (document_parse(&document, "x", copy, n, &problem) < 0)
            assert_null(document);
        free(copy);
    }
}

RUN(cmocka_unit_test(types_and_lines), cmocka_unit_test(json_is_yaml), cmocka_unit_test(empty_files),
    cmocka_unit_test(refused), cmocka_unit_test(bounded), cmocka_unit_test(every_prefix))
