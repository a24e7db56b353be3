/* SPDX-License-Identifier: Apache-2.0 */
/* Corpus - without libFuzzer a target is an ordinary test: each file of its folder, whole and cut at every byte. */
#include "fuzz.h"

#include <dirent.h>

#define LARGEST 65536

/* In memory of just its size, so that the sanitizer sees what is read behind it. */
static void try_one(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1);

    MUST(copy);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void try_file(const char *directory, const char *name) {
    static uint8_t data[LARGEST];
    char path[4096];
    FILE *file;
    size_t size;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "rb");
    MUST(file);
    size = fread(data, 1, sizeof(data), file);
    fclose(file);
    for (size_t cut = 0; cut <= size; cut++)
        try_one(data, cut);
}

int main(int argc, char **argv) {
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    unsigned n = 0;

    MUST(directory);
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.') {
            try_file(argv[1], entry->d_name);
            printf("ok %u - %s\n", ++n, entry->d_name);
        }
    closedir(directory);
    printf("1..%u\n", n);
    return n == 0;
}
