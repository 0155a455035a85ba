/* SPDX-License-Identifier: Apache-2.0 */

/* Runs a fuzz target over files, without libFuzzer: so the corpora are tests of any build. */

#include "fuzz.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static uint8_t data[1 << 20];

    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rbe");
        size_t size;

        if (!file) {
            printf("not ok %d - %s cannot be read\n", i, argv[i]);
            return 1;
        }
        size = fread(data, 1, sizeof(data), file);
        (void)fclose(file);
        (void)LLVMFuzzerTestOneInput(data, size);
        printf("ok %d - %s\n", i, strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i]);
    }
    printf("1..%d\n", argc - 1);
    return argc > 1 ? 0 : 1;
}
