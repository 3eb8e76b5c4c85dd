/* replay.c - runs a fuzz target on the files of a folder, without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int run_file(const char *path)
{
	enum { BYTES_MAX = 1 << 20 };
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(BYTES_MAX);
	if (!f || !data)
		return 0;
	size_t n = fread(data, 1, BYTES_MAX, f);
	fclose(f);
	/* An exact allocation, so that the sanitizer sees a byte too many. */
	uint8_t *exact = realloc(data, n ? n : 1);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 1;
}

int main(int argc, char **argv)
{
	int files = 0;
	DIR *d = argc > 1 ? opendir(argv[1]) : NULL;
	for (struct dirent *e; d && (e = readdir(d));) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
		if (e->d_name[0] != '.')
			files += run_file(path);
	}
	if (d)
		closedir(d);
	printf("%d inputs replayed\n", files);
	return files ? 0 : 1;
}
