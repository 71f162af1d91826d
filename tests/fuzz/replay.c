/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * replay.c - a fuzzer over what is kept of its corpus, for builds without libFuzzer
 *
 *   replay_NAME FOLDER...
 *
 * Room: tests/fuzz.  Every file of each folder once, in the order of the names.  A folder without
 * a file is a fault: a test that looks at nothing says nothing.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>

static size_t replay(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t size = 0, room = 1 << 20;
	uint8_t *data = malloc(room), *exact;

	must(file && data);
	size = fread(data, 1, room, file);
	fclose(file);
	exact = malloc(size ? size : 1);        /* so that a sanitizer sees its end */
	must(exact);
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 1;
}

static size_t replay_folder(const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort);
	size_t done = 0;

	for (int i = 0; i < n; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (entries[i]->d_type == DT_REG)
			done += replay(path);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return done;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		size_t n = replay_folder(argv[i]);

		if (!n) {
			fprintf(stderr, "%s: nothing to replay\n", argv[i]);
			return 1;
		}
		printf("%s: %zu inputs\n", argv[i], n);
	}
	return argc > 1 ? 0 : 2;
}
