#include "io/io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "io/epoll.h"
#include "io/uring.h"

const char *io_kind_name(enum io_kind k)
{
	switch (k) {
	case IO_KIND_AUTO: return "auto";
	case IO_KIND_URING: return "io_uring";
	case IO_KIND_EPOLL: return "epoll";
	case IO_KIND_SIM: return "sim";
	}
	return "unknown";
}

/* io_uring is refused (EPERM: profiles of containers, kernel.io_uring_disabled) or not known
 * (ENOSYS: old kernels, Podman's profile), as opposed to: there is not enough of something. */
static bool is_refusal(int err_no)
{
	return err_no == ENOSYS || err_no == EPERM || err_no == EINVAL;
}

/* What a person can do about it. */
static const char *uring_hint(int err_no)
{
	switch (err_no) {
	case EPERM:
		return "not allowed here; see sysctl kernel.io_uring_disabled and the container's "
		       "seccomp "
		       "profile";
	case ENOSYS: return "not known here; an old kernel, or the container's seccomp profile";
	case EINVAL: return "needs Linux 6.1 or newer";
	case EMFILE: return "raise RLIMIT_NOFILE above the bound of connections";
	case ENOMEM:
		return "raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK= of the unit), or use fewer "
		       "reactors";
	default: return "unexpected";
	}
}

static err_t open_failed(struct errmsg *why, const char *kind, const char *step, int err_no)
{
	err_t err = err_no == ENOMEM ? ERR_NO_MEMORY : is_refusal(err_no) ? ERR_IO : os_err(err_no);
	const char *hint =
	        strcmp(kind, "io_uring") == 0 ? uring_hint(err_no) : "is a limit too low?";
	return errmsg_set(why, err, "%s: %s: %s (%s)", kind, step, strerror(err_no), hint);
}

static void say(struct errmsg *why, const char *text)
{
	if (!why)
		return;
	why->code = ERR_OK;
	snprintf(why->text, sizeof why->text, "%s", text);
}

static err_t open_epoll(const struct io_config *config, struct io **out, struct errmsg *why)
{
	const char *step;
	int r = epoll_open(config, out, &step);
	return r == 0 ? ERR_OK : open_failed(why, "epoll", step, -r);
}

err_t io_open(const struct io_config *config, struct io **out, struct errmsg *why)
{
	const struct io_handlers *h = config->handlers;
	CHECK(h && h->on_connect && h->on_recv && h->on_end && h->on_sent && h->on_closed &&
	        h->on_wake);
	CHECK(config->kind != IO_KIND_SIM); /* the simulator makes its own */
	*out = NULL;
	if (config->sockets_max == 0 || config->sockets_max > IO_SOCKETS_MAX)
		return errmsg_set(why, ERR_ARGUMENT, "sockets_max is %u, must be 1 to %d",
		        config->sockets_max, IO_SOCKETS_MAX);
	if (config->recv_buffers > IO_RECV_BUFFERS_MAX)
		return errmsg_set(why, ERR_ARGUMENT, "recv_buffers is %u, must be 0 to %d",
		        config->recv_buffers, IO_RECV_BUFFERS_MAX);
	if (config->kind == IO_KIND_EPOLL) {
		say(why, "epoll, as configured");
		return open_epoll(config, out, why);
	}
	const char *step;
	int r = uring_open(config, NULL, out, &step);
	if (r == 0) {
		say(why, "io_uring");
		return ERR_OK;
	}
	/* ENOMEM: from Linux 6.13 on rings count against RLIMIT_MEMLOCK, 8 MiB mostly for all
	 * processes of a user together: six or seven reactors. What else lacks memory says so when
	 * epoll asks for it. */
	if (config->kind == IO_KIND_URING || !(is_refusal(-r) || r == -ENOMEM))
		return open_failed(why, "io_uring", step, -r);
	char text[ERRMSG_BYTES];
	snprintf(text, sizeof text, "epoll, because io_uring is refused: %s: %s (%s)", step,
	        strerror(-r), uring_hint(-r));
	say(why, text);
	return open_epoll(config, out, why);
}

void io_close_all(struct io **io)
{
	if (*io)
		(*io)->ops->close_all(*io);
	*io = NULL;
}
