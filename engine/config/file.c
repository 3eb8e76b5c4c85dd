#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool file_is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

static const char *file_kind_problem(const struct stat *st)
{
	if (S_ISREG(st->st_mode) || file_is_null(st))
		return NULL;
	if (S_ISDIR(st->st_mode))
		return "is a directory";
	if (S_ISFIFO(st->st_mode))
		return "is a FIFO; only regular files are read";
	return "is not a regular file";
}

/* Reads up to n bytes; stops early at the end of the file. -1: errno. */
static ssize_t file_fill(int fd, char *p, size_t n)
{
	size_t got = 0;
	while (got < n) {
		ssize_t r = read(fd, p + got, n - got);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

static err_t file_read_fd(
        int fd, size_t bytes_max, struct arena *arena, struct file_bytes *out, const char **why)
{
	struct stat st;
	if (fstat(fd, &st) < 0) {
		*why = strerror(errno);
		return ERR_IO;
	}
	*why = file_kind_problem(&st);
	if (*why)
		return ERR_IO;
	out->mode = st.st_mode & 07777;
	if (st.st_size < 0 || (size_t)st.st_size > bytes_max) {
		*why = "is too large";
		return ERR_LIMIT;
	}
	/* Files of /proc say 0, and a file may grow while it is read: one byte more than expected
	 * tells. */
	size_t room = st.st_size > 0 ? (size_t)st.st_size + 1 : 4096;
	for (;;) {
		char *p = arena_alloc(arena, room + 1);
		if (!p) {
			*why = "out of memory";
			return ERR_NO_MEMORY;
		}
		ssize_t n = lseek(fd, 0, SEEK_SET) < 0 ? -1 : file_fill(fd, p, room);
		if (n < 0) {
			*why = strerror(errno);
			return ERR_IO;
		}
		if ((size_t)n > bytes_max) {
			*why = "is too large";
			return ERR_LIMIT;
		}
		if ((size_t)n < room) {
			p[n] = '\0';
			out->p = p;
			out->n = (size_t)n;
			return ERR_OK;
		}
		room = room * 2 > bytes_max + 1 ? bytes_max + 1 : room * 2;
	}
}

err_t file_read(const char *path, size_t bytes_max, struct arena *arena, struct file_bytes *out,
        const char **why)
{
	*out = (struct file_bytes){0};
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		out->missing = errno == ENOENT || errno == ENOTDIR;
		*why = out->missing ? "no such file" : strerror(errno);
		return ERR_IO;
	}
	err_t e = file_read_fd(fd, bytes_max, arena, out, why);
	close(fd);
	return e;
}

char *file_directory(const char *path, struct arena *arena)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return arena_copy(arena, SPAN("."));
	return arena_copy(arena, (struct span){path, slash == path ? 1 : (size_t)(slash - path)});
}

const char *file_resolve(const char *directory, const char *path, struct arena *arena)
{
	if (path[0] == '/')
		return arena_copy(arena, span_of(path));
	return arena_format(arena, "%s/%s", directory, path);
}
