/* file.h - reads a small file whole, and refuses what is not one.
 *
 * Configuration and credential files come from people and from mounted volumes: a FIFO would block
 * the control thread, a directory or a device is a mistake, a huge file is an attack or an
 * accident. The file is opened without waiting, and what was opened is judged, so a symlink that
 * is swapped meanwhile cannot change the answer. /dev/null is an empty file: people write
 * KUBECONFIG=/dev/null.
 */
#ifndef KR_CONFIG_FILE_H
#define KR_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "config/arena.h"

struct file_bytes {
	char *p; /* in the arena, NUL behind it */
	size_t n;
	mode_t mode;  /* permission bits */
	bool missing; /* on failure: the file (or its directory) does not exist */
};

/* Reads path into arena. On failure *why holds a short reason ("no such file", "is a directory",
 * "larger than 64 MiB"), which the caller puts behind the path. The code is ERR_CRED_FILE or
 * ERR_CONFIG as the caller likes: this returns ERR_IO, ERR_LIMIT, ERR_NO_MEMORY. Blocks only as
 * long as a regular file blocks. */
err_t file_read(const char *path, size_t bytes_max, struct arena *arena, struct file_bytes *out,
        const char **why) MUST_USE;

/* The part of path before its last '/', "." if there is none; in the arena. NULL: out of memory. */
char *file_directory(const char *path, struct arena *arena);
/* path itself if it is absolute, else directory/path; in the arena. */
const char *file_resolve(const char *directory, const char *path, struct arena *arena);

#endif
