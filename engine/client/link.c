#include "client/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void link_init(struct link *l)
{
	l->fd = -1;
	for (int i = 0; i < LINK_FDS_MAX; i++)
		l->fds[i] = -1;
}

int link_open(struct link *l, const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t n = strlen(path);
	if (n >= sizeof to.sun_path)
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, n + 1);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
		int why = errno;
		close(fd);
		return -why;
	}
	l->fd = fd;
	return 0;
}

static void drop_fds(struct link *l)
{
	for (int i = 0; i < LINK_FDS_MAX; i++) {
		if (l->fds[i] >= 0)
			close(l->fds[i]);
		l->fds[i] = -1;
	}
}

void link_close(struct link *l)
{
	drop_fds(l);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

int link_take_fd(struct link *l, int i)
{
	int fd = l->fds[i];
	l->fds[i] = -1;
	return fd;
}

void link_begin(struct link *l, enum attach_type type, uint32_t id, size_t bytes)
{
	memset(&l->out, 0, bytes);
	l->out.head = (struct attach_head){
	        .magic = ATTACH_MAGIC,
	        .version = ATTACH_VERSION,
	        .type = (uint16_t)type,
	        .id = id,
	        .bytes = (uint32_t)bytes,
	};
}

bool link_add(struct link *l, const void *p, size_t n)
{
	if (n > sizeof l->out - l->out.head.bytes)
		return false;
	memcpy((char *)&l->out + l->out.head.bytes, p, n);
	l->out.head.bytes += (uint32_t)n;
	return true;
}

int link_send(struct link *l)
{
	ssize_t n = send(l->fd, &l->out, l->out.head.bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return (size_t)n == l->out.head.bytes ? 0 : -EPROTO; /* SEQPACKET: all or nothing */
}

static size_t least_bytes(unsigned type)
{
	switch (type) {
	case ATTACH_WELCOME: return sizeof(struct attach_welcome);
	case ATTACH_LIST: return sizeof(struct attach_list);
	case ATTACH_SEGMENT_FD: return sizeof(struct attach_segment);
	case ATTACH_DOCUMENT: return sizeof(struct attach_document);
	case ATTACH_ERROR: return sizeof(struct attach_error);
	case ATTACH_OK:
	case ATTACH_BYE: return sizeof(struct attach_head);
	default: return SIZE_MAX; /* nothing that a daemon sends */
	}
}

/* Keeps the first LINK_FDS_MAX descriptors, closes what is beyond. */
static void keep_fds(struct link *l, struct msghdr *m)
{
	int kept = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (kept < LINK_FDS_MAX)
				l->fds[kept++] = fd;
			else
				close(fd);
		}
	}
}

int link_recv(struct link *l)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * LINK_FDS_MAX)];
	} control;
	struct iovec io = {&l->in, sizeof l->in};
	struct msghdr m = {.msg_iov = &io,
	        .msg_iovlen = 1,
	        .msg_control = &control,
	        .msg_controllen = sizeof control};
	drop_fds(l);
	ssize_t n;
	bool reset = false; /* comes once, and before what the daemon said last, if it closed with
	                       something of ours unread */
	do
		n = recvmsg(l->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !reset && (reset = true))));
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	keep_fds(l, &m);
	if (n == 0)
		return 0;
	const struct attach_head *h = &l->in.head;
	l->cut = (m.msg_flags & MSG_CTRUNC) != 0;
	if ((m.msg_flags & MSG_TRUNC) || (size_t)n < sizeof *h || h->magic != ATTACH_MAGIC ||
	        h->version != ATTACH_VERSION || h->bytes != (size_t)n ||
	        h->bytes < least_bytes(h->type))
		return -EPROTO;
	if (h->type == ATTACH_ERROR)
		l->in.error.text[sizeof l->in.error.text - 1] = '\0';
	if (h->type == ATTACH_WELCOME)
		l->in.welcome.version[sizeof l->in.welcome.version - 1] = '\0';
	return 1;
}
