/* The program fakekube, started as a process: its command line, its sockets, its control socket.
 * Servers listen on 127.0.0.1, on a free port, and are ended by pid. Nothing here waits for a time;
 * every wait has a deadline of 20 s. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define ARGS_MAX    24

struct program {
	char dir[64], kubeconfig[96], control[96];
	pid_t pid;
	int out, err; /* its stdout and stderr */
	uint16_t port, headlamp;
};

static void fail_errno(const char *what)
{
	fail_msg("%s: %s", what, strerror(errno));
}

/* Reads until the text has what, or the end of input. Returns the bytes; buf is NUL-terminated. */
static size_t read_until(int fd, char *buf, size_t bytes, const char *what)
{
	size_t n = 0;
	buf[0] = 0;
	while (n + 1 < bytes && !(what && memmem(buf, n, what, strlen(what)))) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, DEADLINE_MS) <= 0)
			fail_msg("nothing came in time; so far: %.300s", buf);
		ssize_t k = read(fd, buf + n, bytes - n - 1);
		if (k <= 0)
			break;
		n += (size_t)k;
		buf[n] = 0;
	}
	return n;
}

static void spawn(struct program *p, const char *const *args)
{
	int out[2], err[2];
	assert_int_equal(pipe(out) | pipe(err), 0);
	p->pid = fork();
	if (p->pid == 0) {
		char *argv[ARGS_MAX] = {strdup(FAKEKUBE)};
		for (size_t i = 0; args[i]; i++)
			argv[i + 1] = strdup(args[i]);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no server behind */
		dup2(out[1], 1);
		dup2(err[1], 2);
		close(out[0]);
		close(err[0]);
		execv(FAKEKUBE, argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	p->out = out[0];
	p->err = err[0];
}

static int wait_exit(struct program *p)
{
	int status = 0;
	char rest[256];
	read_until(p->out, rest, sizeof rest, NULL); /* its end of input is the process's end */
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	close(p->out);
	close(p->err);
	p->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A server with these further options, ready. */
static struct program *start(const char *const *more)
{
	struct program *p = calloc(1, sizeof *p);
	snprintf(p->dir, sizeof p->dir, "/tmp/fakekube-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->kubeconfig, sizeof p->kubeconfig, "%s/kubeconfig", p->dir);
	snprintf(p->control, sizeof p->control, "%s/control", p->dir);
	const char *args[ARGS_MAX] = {
	        "--kubeconfig-out", p->kubeconfig, "--control", p->control, "--duration", "60"};
	size_t n = 6;
	while (*more)
		args[n++] = *more++;
	spawn(p, args);
	char line[128];
	read_until(p->out, line, sizeof line, "\n");
	unsigned port, headlamp = 0;
	if (sscanf(line, "ready port=%u headlamp=%u", &port, &headlamp) < 1)
		fail_msg("not ready: %s", line);
	p->port = (uint16_t)port;
	p->headlamp = (uint16_t)headlamp;
	return p;
}

static void stop(struct program *p)
{
	kill(p->pid, SIGTERM);
	assert_int_equal(wait_exit(p), 0);
	unlink(p->kubeconfig);
	assert_int_equal(access(p->control, F_OK), -1); /* it took its socket away */
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
}

/* -1: refused. */
static int try_dial(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	        .sin_port = htons(port),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	if (errno != ECONNREFUSED)
		fail_errno("connect");
	close(fd);
	return -1;
}

static int dial_port(uint16_t port)
{
	int fd = try_dial(port);
	if (fd < 0)
		fail_msg("port %u refuses", port);
	return fd;
}

static int dial(const struct program *p)
{
	return dial_port(p->port);
}

static int get(const struct program *p, const char *url)
{
	int fd = dial(p);
	assert_true(dprintf(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", url) > 0);
	return fd;
}

/* One command, its one line of answer. The buffer holds until the next call. */
static const char *ask(const struct program *p, const char *command)
{
	static char line[65536];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%s", p->control);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		fail_errno("control");
	assert_true(dprintf(fd, "%s\n", command) > 0);
	read_until(fd, line, sizeof line, "\n");
	close(fd);
	return line;
}

static void assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("missing \"%s\" in: %.600s", what, text);
}

static void serves_clusters_apart(void **state)
{
	(void)state;
	struct program *p = start((const char *const[]){"--clusters", "3", "--objects", "5",
	        "--resources", "pods,widgets.v1.example.com", NULL});
	static char buf[65536];
	int fd = open(p->kubeconfig, O_RDONLY);
	read_until(fd, buf, sizeof buf, NULL);
	close(fd);
	assert_has(buf, "current-context: fake-1\n");
	assert_has(buf, "/clusters/fake-3\n");
	assert_has(ask(p, "create fake-2 pods ns-000/extra labels=a=b"), "ok rv=");
	fd = get(p, "/clusters/fake-2/api/v1/pods?limit=1");
	read_until(fd, buf, sizeof buf, "]}\n");
	assert_has(buf, "\"remainingItemCount\":5}");
	close(fd);
	fd = get(p, "/clusters/fake-1/api/v1/pods?limit=1");
	read_until(fd, buf, sizeof buf, "]}\n");
	assert_has(buf, "\"remainingItemCount\":4}");
	close(fd);
	fd = get(p, "/clusters/fake-9/api/v1/pods");
	read_until(fd, buf, sizeof buf, "not found\n");
	assert_has(buf, "HTTP/1.1 404 Not Found\r\n");
	close(fd);
	assert_has(ask(p, "digest fake-2 widgets"), " objects=5 rv=");
	stop(p);
}

static void a_watch_follows_commands(void **state)
{
	(void)state;
	struct program *p = start((const char *const[]){"--objects", "2", NULL});
	static char buf[65536];
	int fd = get(p, "/clusters/fake-1/api/v1/pods?watch=1&allowWatchBookmarks=true");
	read_until(fd, buf, sizeof buf, "initial-events-end");
	assert_has(ask(p, "status fake-1 pods ns-000/pod-0000000"), "ok rv=");
	read_until(fd, buf, sizeof buf, "\"MODIFIED\"");
	assert_has(ask(p, "recreate fake-1 pods ns-000/pod-0000000"), "ok rv=");
	read_until(fd, buf, sizeof buf, "\"ADDED\"");
	assert_has(buf, "\"DELETED\"");
	/* a fault for the next watch, then none */
	assert_has(ask(p, "fault 410 verb=watch count=1"), "ok");
	int other = get(p, "/clusters/fake-1/api/v1/pods?watch=1&resourceVersion=1004");
	read_until(other, buf, sizeof buf, "}\n");
	assert_has(buf, "HTTP/1.1 410 Gone\r\n");
	close(other);
	assert_has(ask(p, "faults"), "ok fired=1; 410 verb=watch nth=1 count=1 seen=1 fired=1");
	assert_has(ask(p, "clear"), "ok");
	/* cut: the stream ends in a reset */
	assert_has(ask(p, "cut fake-1 rst pods"), "ok connections=1");
	while (read(fd, buf, sizeof buf) > 0)
		;
	assert_int_equal(errno, ECONNRESET);
	close(fd);
	assert_has(ask(p, "stats"), "watches=0");
	stop(p);
}

static void expect_reset(int fd)
{
	char buf[4096];
	ssize_t n;
	while ((n = read(fd, buf, sizeof buf)) > 0)
		;
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
}

static void clusters_restart_and_hang(void **state)
{
	(void)state;
	struct program *p = start((const char *const[]){"--objects", "2", "--clusters", "2", NULL});
	static const char url[] = "/clusters/fake-1/api/v1/pods?watch=1&resourceVersion=1006";
	char buf[4096];
	int fd = get(p, url), other = get(p, "/clusters/fake-2/api/v1/pods?watch=1");
	read_until(fd, buf, sizeof buf, "\r\n\r\n");
	read_until(other, buf, sizeof buf, "\r\n\r\n");
	assert_has(ask(p, "restart fake-1 3600000"), "ok connections=1");
	expect_reset(fd);
	expect_reset(get(p, url)); /* it is down */
	assert_has(ask(p, "restart fake-1"), "ok connections=0");
	fd = get(p, url);
	read_until(fd, buf, sizeof buf, "HTTP/1.1 200");
	assert_has(ask(p, "dead 50%"), "ok dead=1"); /* the second */
	assert_has(ask(p, "dead fake-1"), "ok dead=2");
	int third = get(p, url); /* no answer, and the watch says nothing more */
	assert_has(ask(p, "burst * pods 2"), "ok clusters=2");
	assert_has(ask(p, "drained"), "ok events=2 "); /* those at the start of the second */
	struct pollfd silent = {.fd = third, .events = POLLIN};
	assert_int_equal(poll(&silent, 1, 0), 0);
	assert_has(ask(p, "dead none"), "ok dead=0");
	expect_reset(fd);
	expect_reset(other);
	expect_reset(third);
	assert_has(ask(p, "stats"), "ok clusters=2 connections=0 watches=0 ");
	stop(p);
}

static void a_blast_of_all_is_drained(void **state)
{
	(void)state;
	struct program *p = start((const char *const[]){"--objects", "5", "--clusters", "3", NULL});
	static char buf[1 << 20];
	int fd = get(p, "/clusters/fake-3/api/v1/pods?watch=1&resourceVersion=1009");
	read_until(fd, buf, sizeof buf, "\r\n\r\n");
	assert_has(ask(p, "blast * pods 40"), "ok clusters=3 events=120 ");
	const char *answer = ask(p, "drained");
	assert_has(answer, "ok events=40 ");
	assert_has(ask(p, "stats"), " events=40 ");
	assert_has(ask(p, "rv fake-3"), "ok rv=1049");
	read_until(fd, buf, sizeof buf, "\"resourceVersion\":\"1049\"");
	close(fd);
	stop(p);
}

static void a_blast_arrives_whole(void **state)
{
	(void)state;
	struct program *p = start((const char *const[]){"--objects", "50", NULL});
	int fd = get(p, "/clusters/fake-1/api/v1/pods?watch=1&resourceVersion=1054");
	char head[4096];
	read_until(fd, head, sizeof head, "\r\n\r\n");
	assert_has(ask(p, "blast fake-1 pods 20000"), "ok events=20000 ");
	size_t events = 0, matched = 0;
	static char buf[1 << 20];
	static const char mark[] = "{\"type\":\"MODIFIED\"";
	while (events < 20000) {
		struct pollfd f = {.fd = fd, .events = POLLIN};
		assert_true(poll(&f, 1, DEADLINE_MS) > 0);
		ssize_t n = read(fd, buf, sizeof buf);
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++) {
			matched = buf[i] == mark[matched] ? matched + 1 : buf[i] == mark[0];
			if (matched == sizeof mark - 1) {
				events++;
				matched = 0;
			}
		}
	}
	assert_int_equal(events, 20000);
	close(fd);
	stop(p);
}

static SSL *tls_dial(const struct program *p, SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, dial(p));
	assert_true(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), "127.0.0.1"));
	return ssl;
}

#define UPGRADE                                                                                    \
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"               \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://x\r\n"

static int front(const struct program *p, const char *url, const char *fields)
{
	int fd = dial_port(p->headlamp);
	assert_true(dprintf(fd, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", url, fields) > 0);
	return fd;
}

/* A short message of the multiplexer, masked with nothing. */
static void send_message(int fd, const char *cluster, const char *query)
{
	char json[512], frame[520] = {(char)0x81, (char)0xfe};
	int n = snprintf(json, sizeof json,
	        "{\"clusterId\":\"%s\",\"path\":\"/api/v1/pods\",\"query\":\"%s\",\"userId\":"
	        "\"test-user-0000000001\",\"type\":\"REQUEST\"}",
	        cluster, query);
	assert_in_range(n, 126, sizeof json - 1);
	frame[2] = (char)(n >> 8);
	frame[3] = (char)n;
	memcpy(frame + 8, json, (size_t)n);
	assert_int_equal(write(fd, frame, (size_t)n + 8), n + 8);
}

static void a_backend_in_front(void **state)
{
	(void)state;
	struct program *p = start((const char *const[]){
	        "--headlamp", "0", "--headlamp-token", "secret", "--objects", "2", "--tls", NULL});
	static char buf[65536];
	assert_int_not_equal(p->headlamp, 0);
	int fd = front(p, "/config", "");
	read_until(fd, buf, sizeof buf, "denied\n");
	assert_has(buf, "HTTP/1.1 403 Forbidden\r\n");
	close(fd);
	static const char token[] = "X-HEADLAMP_BACKEND-TOKEN: secret\r\n";
	fd = front(p, "/config", token);
	read_until(fd, buf, sizeof buf, "}\n");
	assert_has(buf, "{\"clusters\":[{\"name\":\"fake-1\",\"server\":\"https://127.0.0.1:");
	close(fd);
	fd = front(p, "/wsMultiplexer", UPGRADE "X-HEADLAMP_BACKEND-TOKEN: secret\r\n");
	read_until(fd, buf, sizeof buf, "\r\n\r\n");
	assert_has(buf, "HTTP/1.1 101 Switching Protocols\r\n");
	send_message(fd, "fake-1", "watch=1&resourceVersion=1006");
	read_until(fd, buf, sizeof buf, "\"STATUS\"}\n");
	assert_has(ask(p, "status fake-1 pods ns-000/pod-0000000"), "ok rv=1007");
	read_until(fd, buf, sizeof buf, "\"DATA\"}\n");
	assert_has(ask(p, "headlamp status"), "ok mux=ok connections=1 watches=1 restarts=0");
	assert_has(ask(p, "headlamp context fake-9 ok"), "error not status | clear | mux");
	/* cut: the backend's connection, not its client's */
	assert_has(ask(p, "cut fake-1 rst pods"), "ok connections=1");
	size_t n = read_until(fd, buf, sizeof buf, "\"STATUS\"}\n");
	assert_non_null(memmem(buf, n, "closed", 6));
	/* a restart: reset, then refused, then there again on the same port */
	assert_has(ask(p, "headlamp restart 30"), "ok");
	assert_int_equal(read(fd, buf, sizeof buf), -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
	while ((fd = try_dial(p->headlamp)) < 0)
		;
	close(fd);
	assert_has(ask(p, "headlamp status"), "ok mux=ok connections=");
	stop(p);
}

static void no_backend_no_command(void **state)
{
	(void)state;
	struct program *p = start((const char *const[]){NULL});
	assert_int_equal(p->headlamp, 0);
	assert_has(ask(p, "headlamp status"), "error there is none without --headlamp");
	stop(p);
}

/* The text between the marks of the kubeconfig, decoded from base64. */
static char *data_of(const char *kubeconfig, const char *key)
{
	const char *at = strstr(kubeconfig, key);
	assert_non_null(at);
	at += strlen(key);
	size_t n = strcspn(at, "\n");
	char *out = calloc(1, n + 4);
	assert_true(EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)at, (int)n) > 0);
	return out;
}

/* CA, certificate and key out of the kubeconfig, as files. */
static void write_pems(const struct program *p, char names[3][96])
{
	static const char *const keys[] = {
	        "certificate-authority-data: ", "client-certificate-data: ", "client-key-data: "};
	static char buf[65536];
	int fd = open(p->kubeconfig, O_RDONLY);
	read_until(fd, buf, sizeof buf, NULL);
	close(fd);
	for (int i = 0; i < 3; i++) {
		char *pem = data_of(buf, keys[i]);
		snprintf(names[i], 96, "%s/pem%d", p->dir, i);
		fd = open(names[i], O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_int_equal(write(fd, pem, strlen(pem)), strlen(pem));
		close(fd);
		free(pem);
	}
}

static void expect_answer(
        const struct program *p, const char *url, const char *fields, const char *starts)
{
	static char buf[65536];
	int fd = front(p, url, fields);
	read_until(fd, buf, sizeof buf, "\r\n\r\n");
	close(fd);
	if (strncmp(buf, starts, strlen(starts)) != 0)
		fail_msg("%s: not %s but %.200s", url, starts, buf);
}

/* Another fakekube stands for the real API server. */
static void a_backend_relays_to_real_servers(void **state)
{
	(void)state;
	struct program *real = start((const char *const[]){
	        "--tls", "--client-cert", "--objects", "300", "--object-bytes", "8000", NULL});
	char names[3][96], good[512], bare[512], wrong[512];
	write_pems(real, names);
	snprintf(good, sizeof good, "good=127.0.0.1:%u/clusters/fake-1,%s,%s,%s", real->port,
	        names[0], names[1], names[2]);
	snprintf(bare, sizeof bare, "bare=localhost:%u/clusters/fake-1,%s", real->port, names[0]);
	snprintf(wrong, sizeof wrong, "wrong=127.0.0.1:%u,%s", real->port, names[1]);
	struct program *p = start((const char *const[]){"--headlamp", "0", "--upstream", good,
	        "--upstream", bare, "--upstream", wrong, NULL});
	static char buf[4 << 20];
	expect_answer(p, "/clusters/fake-1/version", "", "HTTP/1.1 404 Not Found\r\n");
	expect_answer(p, "/clusters/good/version", "", "HTTP/1.1 200 OK\r\n");
	expect_answer(p, "/clusters/bare/api/v1/pods", "", "HTTP/1.1 403 Forbidden\r\n");
	expect_answer(p, "/clusters/wrong/version", "", "HTTP/1.1 502 Bad Gateway\r\n");
	expect_answer(p, "/clusters/good/api/v1/pods?watch=1", UPGRADE,
	        "HTTP/1.1 101 Switching Protocols\r\nConnection: "
	        "Upgrade\r\nSec-Websocket-Accept: ");
	/* more than is read ahead, on one connection */
	int fd = front(p, "/clusters/good/api/v1/pods", "");
	size_t n = read_until(fd, buf, sizeof buf, "\r\n0\r\n\r\n");
	assert_in_range(n, 300 * 8000, sizeof buf);
	close(fd);
	fd = front(p, "/wsMultiplexer", UPGRADE);
	read_until(fd, buf, sizeof buf, "\r\n\r\n");
	send_message(fd, "good", "watch=1&resourceVersion=1304");
	read_until(fd, buf, sizeof buf, "\"STATUS\"}\n");
	assert_has(ask(real, "status fake-1 pods ns-000/pod-0000000"), "ok rv=");
	read_until(fd, buf, sizeof buf, "\"DATA\"}\n");
	assert_has(ask(real, "cut fake-1 rst pods"), "ok connections=1");
	n = read_until(fd, buf, sizeof buf, "\"STATUS\"}\n");
	assert_non_null(memmem(buf, n, "closed", 6));
	close(fd);
	stop(p);
	for (int i = 0; i < 3; i++)
		unlink(names[i]);
	stop(real);
}

static void tls_with_its_own_ca(void **state)
{
	(void)state;
	struct program *p = start((const char *const[]){"--tls", "--client-cert", NULL});
	static char buf[65536];
	char names[3][96];
	write_pems(p, names);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	assert_int_equal(SSL_CTX_load_verify_locations(ctx, names[0], NULL), 1);
	for (int round = 0; round < 2; round++) {
		if (round == 1) {
			assert_int_equal(
			        SSL_CTX_use_certificate_file(ctx, names[1], SSL_FILETYPE_PEM), 1);
			assert_int_equal(
			        SSL_CTX_use_PrivateKey_file(ctx, names[2], SSL_FILETYPE_PEM), 1);
		}
		SSL *ssl = tls_dial(p, ctx);
		if (SSL_connect(ssl) != 1)
			fail_msg("handshake: %ld", SSL_get_verify_result(ssl));
		static const char request[] = "GET /clusters/fake-1/api/v1/namespaces "
		                              "HTTP/1.1\r\nConnection: close\r\n\r\n";
		assert_int_equal(SSL_write(ssl, request, sizeof request - 1), sizeof request - 1);
		int n = 0, k;
		while ((k = SSL_read(ssl, buf + n, (int)sizeof buf - 1 - n)) > 0)
			n += k;
		buf[n] = 0;
		assert_int_equal(
		        SSL_get_error(ssl, k), SSL_ERROR_ZERO_RETURN); /* close_notify, as asked */
		assert_has(buf, round == 0 ? "HTTP/1.1 403 Forbidden\r\n" : "HTTP/1.1 200 OK\r\n");
		close(SSL_get_fd(ssl));
		SSL_free(ssl);
	}
	SSL_CTX_free(ctx);
	for (int i = 0; i < 3; i++)
		unlink(names[i]);
	stop(p);
}

static void a_profile_runs(void **state)
{
	(void)state;
	char file[] = "/tmp/fakekube-profile-XXXXXX";
	int fd = mkstemp(file);
	assert_true(dprintf(fd, "# load\nphase 30 rate=5000 status=9 create=1 delete=1\ndo fault "
	                        "5xx code=503 verb=get\n") > 0);
	close(fd);
	struct program *p = start((const char *const[]){"--profile", file, NULL});
	static char buf[65536];
	fd = get(p, "/clusters/fake-1/api/v1/pods?watch=1");
	for (int i = 0; i < 3; i++)
		read_until(fd, buf, sizeof buf, "\"MODIFIED\"");
	close(fd);
	assert_has(ask(p, "faults"), "5xx code=503 verb=get");
	assert_has(ask(p, "rate 0"), "ok");
	char before[200];
	snprintf(before, sizeof before, "%s", ask(p, "digest fake-1 pods"));
	assert_string_equal(ask(p, "digest fake-1 pods"), before);
	stop(p);
	unlink(file);
}

static void commands_say_what_is_wrong(void **state)
{
	(void)state;
	struct program *p = start((const char *const[]){"--objects", "3", NULL});
	static const struct {
		const char *command, *answer;
	} rows[] = {{"", "error empty line"}, {"nope", "error no such command (try help): nope"},
	        {"rv", "error usage: CLUSTER"}, {"rv x", "error no such cluster: x"},
	        {"digest fake-1 nopes", "error no such resource in that cluster: nopes"},
	        {"create fake-1 pods x", "error the key is NAMESPACE/NAME here: x"},
	        {"create fake-1 nodes a/b", "error the key is NAME here: a/b"},
	        {"delete fake-1 pods ns-000/none", "error nothing to do it to"},
	        {"create fake-1 pods ns-000/pod-0000000", "error nothing to do it to"},
	        {"create fake-1 pods a/b bytes=99999999", "error not a size"},
	        {"run fake-1 pods fly 3", "error not create|update|"},
	        {"run fake-1 nodes status 3", "error no workload"},
	        {"fault none", "error not a fault: no fault is called \"none\""},
	        {"fault cut-rst byte=x",
	                "error not a fault: fault cut-rst: \"byte=x\" is not understood"},
	        {"digest-at fake-1 pods 1", "error version 1 is not between"},
	        {"restore fake-1 1", "error not a version between"},
	        {"blast fake-1 nodes 5", "error not a resource with objects"},
	        {"blast * nodes 5", "error no cluster has objects"},
	        {"blast * pods x", "error not a number"},
	        {"burst * nodes 5", "error not a resource with a workload"},
	        {"restart fake-1 x", "error not a number of milliseconds"},
	        {"dead 101%", "error not a cluster, a share"},
	        {"dead nobody", "error not a cluster, a share"},
	        {"cut fake-1 nopes", "error not rst"}, {"token remove x", "error not add TOKEN"},
	        {"rate -1", "error not a rate"},
	        {"crd-add fake-1 x", "error not NAME.VERSION.GROUP"},
	        {"crd-remove fake-1 pods", "error built in"},
	        {"digest fake-1 pods - selector=(a", "error selector:"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_has(ask(p, rows[i].command), rows[i].answer);
	assert_has(ask(p, "help"), "; digest CLUSTER RESOURCE");
	static const char *const good[] = {"rv fake-1", "skip * 5", "compact *",
	        "crd-add fake-1 gadgets.v2.example.org", "create fake-1 gadgets a/b",
	        "crd-remove fake-1 gadgets", "labels fake-1 pods ns-000/pod-0000000 x=y",
	        "digest fake-1 pods ns-000 selector=x=y", "list-at fake-1 pods 1017 ns-000",
	        "update fake-1 pods ns-000/pod-0000000 annotations=a=b", "burst fake-1 pods 2",
	        "run fake-1 pods recreate 1", "rate 10 status=1 burst-size=3", "deny watch secrets",
	        "allow", "token add abc someone", "stats"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (strncmp(ask(p, good[i]), "ok", 2) != 0)
			fail_msg("%s: %s", good[i], ask(p, good[i]));
	assert_has(ask(p, "quit"), "ok");
	assert_int_equal(wait_exit(p), 0);
	unlink(p->kubeconfig);
	rmdir(p->dir);
	free(p);
}

static void bad_command_lines(void **state)
{
	(void)state;
	static const struct {
		const char *args[5];
		int exit;
		const char *text;
	} rows[] = {
	        {{NULL}, 2, "--kubeconfig-out FILE is missing"},
	        {{"--kubeconfig-out", "/tmp/x", "--clusters", "0", NULL}, 2,
	                "--clusters 0: not a value that it takes"},
	        {{"--kubeconfig-out", "/tmp/x", "--port", "65536", NULL}, 2, "--port 65536"},
	        {{"--kubeconfig-out", "/tmp/x", "--nope", NULL}, 2, "see --help"},
	        {{"--kubeconfig-out", "/tmp/x", "word", NULL}, 2, "\"word\" is not an option"},
	        {{"--kubeconfig-out", "/tmp/x", "--client-cert", NULL}, 2,
	                "--client-cert needs --tls"},
	        {{"--kubeconfig-out", "/tmp/x", "--headlamp-token", "t", NULL}, 2,
	                "--headlamp-token needs --headlamp"},
	        {{"--kubeconfig-out", "/tmp/x", "--upstream", "a=b:1", NULL}, 2,
	                "--upstream needs --headlamp"},
	        {{"--kubeconfig-out", "/tmp/x", "--headlamp", "65536", NULL}, 2,
	                "--headlamp 65536"},
	        {{"--kubeconfig-out", "/tmp/x", "--headlamp=0", "--upstream=nonsense", NULL}, 1,
	                "--upstream nonsense: not NAME=HOST:PORT"},
	        {{"--kubeconfig-out", "/tmp/x", "--headlamp=0",
	                 "--upstream=a=127.0.0.1:1,/nonexistent", NULL},
	                1, "--upstream a: /nonexistent: not the PEM file"},
	        {{"--kubeconfig-out", "/tmp/x", "--resources", "pods,nopes", NULL}, 1,
	                "\"nopes\" is neither a built-in resource"},
	        {{"--kubeconfig-out", "/tmp/x", "--faults", "/nonexistent", NULL}, 1,
	                "--faults /nonexistent: No such file"},
	        {{"--kubeconfig-out", "/tmp/x", "--profile", "/nonexistent", NULL}, 1,
	                "--profile /nonexistent"},
	        {{"--kubeconfig-out", "/nonexistent/dir/x", NULL}, 1,
	                "/nonexistent/dir/x cannot be written"},
	        {{"--kubeconfig-out", "/tmp/x", "--bind", "nowhere", NULL}, 1,
	                "cannot listen on nowhere"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct program p = {0};
		char err[4096];
		spawn(&p, rows[i].args);
		read_until(p.err, err, sizeof err, NULL);
		int code = wait_exit(&p);
		assert_has(err, rows[i].text);
		assert_int_equal(code, rows[i].exit);
	}
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(serves_clusters_apart),
	        cmocka_unit_test(a_watch_follows_commands),
	        cmocka_unit_test(clusters_restart_and_hang),
	        cmocka_unit_test(a_blast_of_all_is_drained),
	        cmocka_unit_test(a_blast_arrives_whole),
	        cmocka_unit_test(tls_with_its_own_ca),
	        cmocka_unit_test(a_backend_in_front),
	        cmocka_unit_test(no_backend_no_command),
	        cmocka_unit_test(a_backend_relays_to_real_servers),
	        cmocka_unit_test(a_profile_runs),
	        cmocka_unit_test(commands_say_what_is_wrong),
	        cmocka_unit_test(bad_command_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
