/* io_open: which implementation, and what it says when the kernel refuses. Refusals are made by a
 * seccomp filter in a child process, as a container's profile would make them. */
#include "peer.h"
#include "rig.h"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdnoreturn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { RECV_BUFFERS = 8 };

struct outcome {
	err_t err;
	enum io_kind kind;
	int leaked; /* descriptors */
	unsigned received;
	struct errmsg why;
};

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A system call that fails: all calls of this number, or those with this value as their argument.
 */
struct fault {
	int nr, err_no;
	int arg; /* 0 = any, else the number of the argument, from 1 */
	unsigned value;
};

static void refuse(const struct fault *x)
{
	const size_t nr = offsetof(struct seccomp_data, nr),
	             args = offsetof(struct seccomp_data, args);
	struct sock_filter f[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)nr),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)x->nr, 0, 3),
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	                (unsigned)(x->arg ? args + 8 * (size_t)(x->arg - 1) : nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, x->arg ? x->value : (unsigned)x->nr, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)x->err_no),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {.len = ARRAY_LEN(f), .filter = f};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, 2, &p) != 0)
		_exit(99);
}

/* One connection through whatever was opened, with waits: it works, not only opens. */
static unsigned exercise(struct rig *r)
{
	r->listener = rig_listen(&r->addr, 16);
	for (unsigned i = 0; i < RIG_CONNS; i++)
		r->conns[i] = (struct conn){.rig = r, .id = i, .stream = i, .peer = -1};
	struct conn *c = rig_connect(r, 0);
	rig_peer_send(c, 30000);
	RIG_UNTIL(r, c->received == 30000);
	uint64_t end = os_clock_ns() + 3000000;
	while (os_clock_ns() < end)
		rig_tick(r, end);
	rig_close(c);
	RIG_UNTIL(r, c->closes == 1);
	close(c->peer);
	close(r->listener);
	return (unsigned)c->received;
}

static noreturn void child(int out, enum io_kind kind, unsigned sockets_max)
{
	struct rig *r = calloc(1, sizeof *r);
	struct outcome o = {0};
	struct io_config c = {.kind = kind,
	        .sockets_max = sockets_max,
	        .recv_buffers = RECV_BUFFERS,
	        .handlers = &rig_handlers,
	        .owner = r};
	int before = open_descriptors();
	o.err = io_open(&c, &r->io, &o.why);
	if (r->io) {
		o.kind = io_kind_of(r->io);
		o.received = exercise(r);
	}
	io_close_all(&r->io);
	o.leaked = open_descriptors() - before;
	free(r);
	_exit(write(out, &o, sizeof o) == sizeof o ? 0 : 98);
}

/* What io_open does in a process where this call fails so (NULL: none does), and with this
 * RLIMIT_NOFILE (0: as it is). */
static struct outcome open_refused(enum io_kind kind, const struct fault *x, rlim_t files)
{
	struct outcome o;
	int p[2], status;
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit l = {files, files};
		if (files && setrlimit(RLIMIT_NOFILE, &l) != 0)
			_exit(97);
		if (x)
			refuse(x);
		child(p[1], kind, 64);
	}
	close(p[1]);
	ssize_t n = read(p[0], &o, sizeof o);
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(n, sizeof o);
	assert_int_equal(o.leaked, 0);
	return o;
}

static void auto_takes_io_uring(void **state)
{
	(void)state;
	if (!ring_allowed())
		skip();
	struct outcome o = open_refused(IO_KIND_AUTO, NULL, 0);
	assert_int_equal(o.err, ERR_OK);
	assert_int_equal(o.kind, IO_KIND_URING);
	assert_int_equal(o.received, 30000);
	assert_string_equal(o.why.text, "io_uring");
}

/* Opcodes of io_uring_register. */
enum { REGISTER_FILES2 = 13, REGISTER_BUF_RING = 22 };

static void auto_falls_back_when_refused(void **state)
{
	(void)state;
	if (!ring_allowed())
		skip();
	static const struct {
		struct fault fault;
		const char *text;
	} cases[] = {
	        {{SYS_io_uring_setup, EPERM, 0, 0}, "seccomp"},
	        {{SYS_io_uring_setup, ENOSYS, 0, 0}, "not known"},
	        {{SYS_io_uring_setup, EINVAL, 0, 0}, "Linux 6.1"},
	        {{SYS_io_uring_register, EPERM, 0, 0}, "io_uring_register(probe)"},
	        {{SYS_io_uring_register, ENOSYS, 0, 0}, "io_uring_register(probe)"},
	        {{SYS_io_uring_register, EINVAL, 2, REGISTER_BUF_RING}, "(buffers)"},
	        {{SYS_io_uring_setup, ENOMEM, 0, 0}, "RLIMIT_MEMLOCK"},
	        {{SYS_io_uring_register, ENOMEM, 0, 0}, "RLIMIT_MEMLOCK"},
	        {{SYS_io_uring_register, ENOMEM, 2, REGISTER_FILES2}, "RLIMIT_MEMLOCK"},
	        {{SYS_io_uring_register, ENOMEM, 2, REGISTER_BUF_RING}, "RLIMIT_MEMLOCK"},
	        {{SYS_mmap, ENOMEM, 2, RECV_BUFFERS * (BUFS_RESERVE + 1) * BUFS_STRIDE},
	                "RLIMIT_MEMLOCK"},
	        {{SYS_mmap, ENOMEM, 2, BUFS_LARGE_ALL * BUFS_LARGE_STRIDE}, "RLIMIT_MEMLOCK"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct outcome o = open_refused(IO_KIND_AUTO, &cases[i].fault, 0);
		assert_int_equal(o.err, ERR_OK);
		assert_int_equal(o.kind, IO_KIND_EPOLL);
		assert_int_equal(o.received, 30000);
		assert_int_equal(o.why.code, ERR_OK);
		assert_non_null(strstr(o.why.text, "epoll, because io_uring is refused"));
		assert_non_null(strstr(o.why.text, cases[i].text));
		assert_non_null(strstr(o.why.text, strerror(cases[i].fault.err_no)));
	}
}

static void auto_keeps_resource_faults_visible(void **state)
{
	(void)state;
	if (!ring_allowed())
		skip();
	static const struct {
		struct fault fault;
		err_t err;
	} cases[] = {
	        {{SYS_io_uring_setup, EMFILE, 0, 0}, ERR_LIMIT},
	        {{SYS_io_uring_setup, ENFILE, 0, 0}, ERR_LIMIT},
	        {{SYS_eventfd2, EMFILE, 0, 0}, ERR_LIMIT},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct outcome o = open_refused(IO_KIND_AUTO, &cases[i].fault, 0);
		assert_int_equal(o.err, cases[i].err);
		assert_int_equal(o.why.code, cases[i].err);
		assert_non_null(strstr(o.why.text, strerror(cases[i].fault.err_no)));
	}
	struct fault named = {SYS_io_uring_setup, ENOMEM, 0, 0};
	struct outcome n = open_refused(IO_KIND_URING, &named, 0);
	assert_int_equal(n.err, ERR_NO_MEMORY);
	assert_non_null(strstr(n.why.text, "RLIMIT_MEMLOCK"));
	/* The ring's table of 64 descriptors against a limit of 40. */
	struct outcome o = open_refused(IO_KIND_AUTO, NULL, 40);
	assert_int_equal(o.err, ERR_LIMIT);
	assert_non_null(strstr(o.why.text, "RLIMIT_NOFILE"));
}

static void named_kind_does_not_fall_back(void **state)
{
	(void)state;
	struct fault f = {SYS_io_uring_setup, EPERM, 0, 0};
	struct outcome o = open_refused(IO_KIND_URING, &f, 0);
	assert_int_equal(o.err, ERR_IO);
	assert_non_null(strstr(o.why.text, "io_uring_setup"));
	assert_non_null(strstr(o.why.text, "kernel.io_uring_disabled"));
	f.err_no = ENOMEM;
	o = open_refused(IO_KIND_URING, &f, 0);
	assert_int_equal(o.err, ERR_NO_MEMORY);
	assert_non_null(strstr(o.why.text, "RLIMIT_MEMLOCK"));
	f = (struct fault){SYS_epoll_create1, EMFILE, 0, 0};
	o = open_refused(IO_KIND_EPOLL, &f, 0);
	assert_int_equal(o.err, ERR_LIMIT);
	assert_non_null(strstr(o.why.text, "epoll_create1"));
	f = (struct fault){SYS_epoll_ctl, ENOMEM, 0, 0};
	o = open_refused(IO_KIND_EPOLL, &f, 0);
	assert_int_equal(o.err, ERR_NO_MEMORY);
	f = (struct fault){SYS_eventfd2, ENFILE, 0, 0};
	o = open_refused(IO_KIND_EPOLL, &f, 0);
	assert_int_equal(o.err, ERR_LIMIT);
	o = open_refused(IO_KIND_EPOLL, NULL, 0);
	assert_int_equal(o.err, ERR_OK);
	assert_int_equal(o.kind, IO_KIND_EPOLL);
	assert_non_null(strstr(o.why.text, "as configured"));
}

/* Before Linux 5.11 there is no epoll_pwait2. */
static void epoll_without_pwait2(void **state)
{
	(void)state;
	static const struct fault f = {SYS_epoll_pwait2, ENOSYS, 0, 0};
	struct outcome o = open_refused(IO_KIND_EPOLL, &f, 0);
	assert_int_equal(o.err, ERR_OK);
	assert_int_equal(o.received, 30000);
}

static void bounds_of_the_config(void **state)
{
	(void)state;
	struct io *io;
	struct errmsg why;
	static const unsigned wrong[][2] = {
	        {0, 0}, {IO_SOCKETS_MAX + 1, 0}, {1, IO_RECV_BUFFERS_MAX + 1}};
	struct io_config c = {.kind = IO_KIND_AUTO, .handlers = &rig_handlers};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		c.sockets_max = wrong[i][0];
		c.recv_buffers = wrong[i][1];
		assert_int_equal(io_open(&c, &io, &why), ERR_ARGUMENT);
		assert_null(io);
		assert_int_equal(io_open(&c, &io, NULL), ERR_ARGUMENT);
	}
	c.sockets_max = 1;
	c.recv_buffers = 1;
	assert_int_equal(io_open(&c, &io, NULL), ERR_OK);
	io_close_all(&io);
	io_close_all(&io); /* nothing left to close */
	assert_string_equal(io_kind_name(IO_KIND_EPOLL), "epoll");
	assert_string_equal(io_kind_name(IO_KIND_URING), "io_uring");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(auto_takes_io_uring),
	        cmocka_unit_test(auto_falls_back_when_refused),
	        cmocka_unit_test(auto_keeps_resource_faults_visible),
	        cmocka_unit_test(named_kind_does_not_fall_back),
	        cmocka_unit_test(epoll_without_pwait2),
	        cmocka_unit_test(bounds_of_the_config),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
