#include "host/upstream.h"

#include "base/check.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define AHEAD_BYTES (256 * 1024)
#define READ_BYTES  16384
#define FIELDS_MAX  4

enum step { STEP_CONNECT, STEP_HANDSHAKE, STEP_OPEN, STEP_ENDED, STEP_FAILED };

/* Owner: the backend, until free; then the list of the dead. */
struct upstream_link {
	struct model_link link;
	struct serve_source source;
	struct list dead_link;
	struct upstream *to;
	SSL *ssl; /* own; NULL = plain */
	struct model_text in, out;
	size_t in_at;
	uint32_t events;
	enum step step;
	bool write_blocked; /* the socket takes no more */
};

static void interest(struct upstream_link *u)
{
	bool connecting = u->step == STEP_CONNECT;
	uint32_t want = connecting || u->write_blocked ? EPOLLOUT : 0;
	if (!connecting && u->in.n - u->in_at < AHEAD_BYTES)
		want |= EPOLLIN;
	if (u->source.fd < 0 || want == u->events)
		return;
	u->events = want;
	serve_interest(u->to->all->serve, &u->source, want);
}

static void shut(struct upstream_link *u)
{
	if (u->ssl && u->step == STEP_OPEN)
		SSL_shutdown(u->ssl);
	ERR_clear_error();
	SSL_free(u->ssl);
	u->ssl = NULL;
	if (u->source.fd >= 0)
		close(u->source.fd);
	u->source.fd = -1;
}

static void end_with(struct upstream_link *u, const char *what, const char *why)
{
	bool opened = u->step == STEP_OPEN;
	snprintf(u->link.problem, sizeof u->link.problem, "%s%s%s%s",
	        u->step == STEP_CONNECT ? "dial tcp " : "",
	        u->step == STEP_CONNECT ? u->to->address : "", u->step == STEP_CONNECT ? ": " : "",
	        what);
	size_t n = strlen(u->link.problem);
	snprintf(u->link.problem + n, sizeof u->link.problem - n, "%s", why);
	u->step = STEP_ENDED; /* no close_notify any more */
	shut(u);
	u->step = opened ? STEP_ENDED : STEP_FAILED;
	model_link_wake(&u->link);
}

/* Of Go's texts, those that tests look at. */
static const char *errno_text(int e)
{
	return e == ECONNREFUSED  ? "connection refused"
	       : e == ECONNRESET  ? "connection reset by peer"
	       : e == ETIMEDOUT   ? "connection timed out"
	       : e == ENETUNREACH ? "network is unreachable"
	                          : "no route to host";
}

/* --- bytes --- */

static void flush(struct upstream_link *u)
{
	size_t at = 0;
	u->write_blocked = false;
	while (u->step == STEP_OPEN && at < u->out.n && !u->write_blocked) {
		size_t n = 0;
		if (u->ssl) {
			ERR_clear_error();
			int e = SSL_write_ex(u->ssl, u->out.p + at, u->out.n - at, &n)
			                ? SSL_ERROR_NONE
			                : SSL_get_error(u->ssl, 0);
			u->write_blocked = e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ;
			if (e != SSL_ERROR_NONE && !u->write_blocked)
				break; /* reading will tell */
		} else {
			ssize_t k = send(u->source.fd, u->out.p + at, u->out.n - at, MSG_NOSIGNAL);
			u->write_blocked = k < 0 && (errno == EAGAIN || errno == EINTR);
			if (k < 0 && !u->write_blocked)
				break;
			n = k > 0 ? (size_t)k : 0;
		}
		at += n;
	}
	if (at < u->out.n)
		memmove(u->out.p, u->out.p + at, u->out.n - at);
	u->out.n -= at;
}

/* Reads ahead as far as there is room. */
static void pull(struct upstream_link *u)
{
	char *at;
	if (u->in_at) {
		memmove(u->in.p, u->in.p + u->in_at, u->in.n - u->in_at);
		u->in.n -= u->in_at;
		u->in_at = 0;
	}
	while (u->step == STEP_OPEN && u->in.n < AHEAD_BYTES) {
		size_t n = 0;
		at = model_text_reserve(&u->in, READ_BYTES);
		if (u->ssl) {
			ERR_clear_error();
			int e = SSL_read_ex(u->ssl, at, READ_BYTES, &n) ? SSL_ERROR_NONE
			                                                : SSL_get_error(u->ssl, 0);
			if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
				return;
			if (e != SSL_ERROR_NONE)
				end_with(u, "", "EOF");
		} else {
			ssize_t k = recv(u->source.fd, at, READ_BYTES, 0);
			if (k < 0 && (errno == EAGAIN || errno == EINTR))
				return;
			if (k <= 0)
				end_with(u, "", "EOF");
			n = k > 0 ? (size_t)k : 0;
		}
		u->in.n += n;
	}
}

/* --- opening --- */

static void handshake(struct upstream_link *u)
{
	ERR_clear_error();
	int r = SSL_connect(u->ssl), e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(u->ssl, r);
	u->write_blocked = e == SSL_ERROR_WANT_WRITE;
	if (e == SSL_ERROR_NONE) {
		u->step = STEP_OPEN;
		model_link_wake(&u->link);
	} else if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
		long verify = SSL_get_verify_result(u->ssl);
		if (verify == X509_V_OK)
			end_with(u, "tls: ", "handshake failure");
		else
			end_with(u, "tls: failed to verify certificate: ",
			        X509_verify_cert_error_string(verify));
	}
}

static void opened(struct upstream_link *u)
{
	int error = 0;
	socklen_t n = sizeof error;
	getsockopt(u->source.fd, SOL_SOCKET, SO_ERROR, &error, &n);
	if (error) {
		end_with(u, "connect: ", errno_text(error));
	} else if (u->ssl) {
		u->step = STEP_HANDSHAKE;
		handshake(u);
	} else {
		u->step = STEP_OPEN;
		model_link_wake(&u->link);
	}
}

static void on_ready(struct serve_source *src, uint32_t events)
{
	struct upstream_link *u = CONTAINER_OF(src, struct upstream_link, source);
	(void)events;
	if (src->fd < 0)
		return; /* freed in this turn */
	if (u->step == STEP_CONNECT)
		opened(u);
	else if (u->step == STEP_HANDSHAKE)
		handshake(u);
	if (u->step == STEP_OPEN) {
		flush(u);
		pull(u);
		model_link_wake(&u->link);
	}
	interest(u);
}

/* --- struct model_link_ops --- */

static enum model_link_state link_state(struct model_link *l, uint64_t now_ns)
{
	const struct upstream_link *u = CONTAINER_OF(l, struct upstream_link, link);
	(void)now_ns;
	switch (u->step) {
	case STEP_OPEN: return MODEL_LINK_OPEN;
	case STEP_ENDED: return MODEL_LINK_ENDED;
	case STEP_FAILED: return MODEL_LINK_FAILED;
	default: return MODEL_LINK_DIALING;
	}
}

static void link_send(struct model_link *l, struct span s, uint64_t now_ns)
{
	struct upstream_link *u = CONTAINER_OF(l, struct upstream_link, link);
	(void)now_ns;
	model_text_span(&u->out, s);
	flush(u);
	interest(u);
}

static struct span link_peek(struct model_link *l, uint64_t now_ns)
{
	struct upstream_link *u = CONTAINER_OF(l, struct upstream_link, link);
	(void)now_ns;
	if (u->in.n == u->in_at)
		pull(u); /* what TLS holds back makes no event */
	return (struct span){u->in.n ? u->in.p + u->in_at : NULL, u->in.n - u->in_at};
}

static void link_consume(struct model_link *l, size_t n, uint64_t now_ns)
{
	struct upstream_link *u = CONTAINER_OF(l, struct upstream_link, link);
	(void)now_ns;
	CHECK(n <= u->in.n - u->in_at);
	u->in_at += n;
	interest(u);
}

static uint64_t link_deadline(const struct model_link *l)
{
	(void)l;
	return UINT64_MAX;
}

static void link_free(struct model_link *l)
{
	struct upstream_link *u = CONTAINER_OF(l, struct upstream_link, link);
	shut(u);
	list_push(&u->to->all->dead, &u->dead_link);
}

static void dial(struct upstream_link *u)
{
	struct upstream *to = u->to;
	int one = 1;
	u->step = STEP_CONNECT;
	u->source = (struct serve_source){
	        on_ready, socket(to->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
	if (u->source.fd < 0) {
		end_with(u, "socket: ", "too many open files");
		return;
	}
	setsockopt(u->source.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (to->tls) {
		u->ssl = SSL_new(to->tls);
		CHECK(u->ssl && SSL_set_fd(u->ssl, u->source.fd));
		X509_VERIFY_PARAM *p = SSL_get0_param(u->ssl);
		if (!X509_VERIFY_PARAM_set1_ip_asc(p, to->host)) {
			SSL_set_tlsext_host_name(u->ssl, to->host);
			SSL_set1_host(u->ssl, to->host);
		}
	}
	if (connect(u->source.fd, (struct sockaddr *)&to->to, to->to_bytes) < 0 &&
	        errno != EINPROGRESS) {
		end_with(u, "connect: ", errno_text(errno));
		return;
	}
	u->events = EPOLLIN;
	CHECK(serve_watch(to->all->serve, &u->source));
	interest(u);
}

static struct model_link *link_open(void *arg, struct model_conn *owner, uint64_t now_ns)
{
	static const struct model_link_ops ops = {
	        link_state, link_send, link_peek, link_consume, link_deadline, link_free};
	struct upstream_link *u = calloc(1, sizeof *u);
	(void)now_ns;
	CHECK(u);
	u->link.ops = &ops;
	u->link.owner = owner;
	u->to = arg;
	dial(u);
	return &u->link;
}

/* --- the options --- */

static bool tls_init(struct upstream *u, const char *ca, const char *cert, const char *key)
{
	u->tls = SSL_CTX_new(TLS_client_method());
	CHECK(u->tls);
	SSL_CTX_set_verify(u->tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(
	        u->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	const char *bad = NULL;
	if (SSL_CTX_load_verify_locations(u->tls, ca, NULL) != 1)
		bad = ca;
	else if (cert && SSL_CTX_use_certificate_chain_file(u->tls, cert) != 1)
		bad = cert;
	else if (key && (SSL_CTX_use_PrivateKey_file(u->tls, key, SSL_FILETYPE_PEM) != 1 ||
	                        SSL_CTX_check_private_key(u->tls) != 1))
		bad = key;
	if (bad)
		fprintf(stderr, "fakekube: --upstream %s: %s: not the PEM file that is needed\n",
		        u->name, bad);
	return bad == NULL;
}

static bool resolve(struct upstream *u, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	int e = getaddrinfo(u->host, port, &hints, &found);
	if (e) {
		fprintf(stderr, "fakekube: --upstream %s: %s: %s\n", u->name, u->address,
		        gai_strerror(e));
		return false;
	}
	memcpy(&u->to, found->ai_addr, found->ai_addrlen);
	u->to_bytes = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

/* text is taken to pieces. The fields after the address; those that are not there: NULL. */
static char *split(char *text, char *fields[FIELDS_MAX])
{
	char *address = strchr(text, '=');
	if (!address)
		return NULL;
	*address++ = 0;
	size_t n = 0;
	for (char *at = address; (at = strchr(at, ',')) && n < FIELDS_MAX;) {
		*at++ = 0;
		fields[n++] = at;
	}
	return address;
}

static bool init_one(struct upstream *u, char *text)
{
	char *fields[FIELDS_MAX] = {0}, *address = split(text, fields);
	char *path = address ? strchr(address, '/') : NULL;
	if (path)
		*path++ = 0;
	char *colon = address ? strrchr(address, ':') : NULL;
	bool token = fields[1] && strncmp(fields[1], "token:", 6) == 0;
	bool cert = fields[1] && !token;
	if (!colon || !*text || (cert != (fields[2] != NULL)) || fields[3])
		return false;
	u->name = strdup(text);
	u->address = strdup(address);
	u->host = strndup(address, (size_t)(colon - address));
	u->path = strdup(path ? path : "");
	u->token = token ? strdup(fields[1] + 6) : NULL;
	CHECK(u->name && u->address && u->host && u->path);
	return resolve(u, colon + 1) &&
	       (!fields[0] || tls_init(u, fields[0], cert ? fields[1] : NULL, fields[2]));
}

bool upstreams_add(struct upstreams *all, struct model_backend *b, const char *text)
{
	if (all->count == UPSTREAMS_MAX)
		return false;
	struct upstream *u = &all->v[all->count++];
	char *copy = strdup(text);
	CHECK(copy);
	u->all = all;
	bool ok = init_one(u, copy);
	free(copy);
	if (!ok && !u->name)
		fprintf(stderr,
		        "fakekube: --upstream %s: not "
		        "NAME=HOST:PORT[/PATH][,CA_FILE[,CERT_FILE,KEY_FILE|,token:TOKEN]]\n",
		        text);
	if (!ok)
		return false;
	struct model_text server = {0};
	model_text_printf(&server, "%s://%s%s%s", u->tls ? "https" : "http", u->address,
	        *u->path ? "/" : "", u->path);
	TEXT_LIT(&server, "\0");
	ok = model_backend_add(b, &(struct model_context_options){.name = u->name,
	                                  .server = server.p,
	                                  .address = u->address,
	                                  .token = u->token,
	                                  .open = link_open,
	                                  .arg = u});
	if (!ok)
		fprintf(stderr, "fakekube: --upstream %s: the name is taken\n", u->name);
	model_text_fini(&server);
	return ok;
}

void upstreams_init(struct upstreams *u, struct serve *s)
{
	u->serve = s;
	list_init(&u->dead);
}

void upstreams_bury(struct upstreams *all)
{
	if (!all->serve)
		return; /* none were asked for */
	for (struct list *n; (n = list_pop(&all->dead));) {
		struct upstream_link *u = CONTAINER_OF(n, struct upstream_link, dead_link);
		model_text_fini(&u->in);
		model_text_fini(&u->out);
		free(u);
	}
}

void upstreams_fini(struct upstreams *all)
{
	if (!all->serve)
		return;
	upstreams_bury(all);
	for (size_t i = 0; i < all->count; i++) {
		struct upstream *u = &all->v[i];
		free(u->name);
		free(u->host);
		free(u->address);
		free(u->path);
		free(u->token);
		SSL_CTX_free(u->tls);
	}
}
