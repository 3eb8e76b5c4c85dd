/* wire_bench: what reading WebSocket messages (ws.h) and TLS records (tls.h) costs on one core.
 *
 *   wire_bench [--toy]
 *
 * TLS: records of TLS 1.3, made by an OpenSSL server in the same thread, read by OpenSSL's SSL
 * object, by the own record path over EVP, and by that over libipsec-mb (the same as EVP where it
 * is not installed). "many": 64 KB of records in one feed; "one": a record per feed, as on a quiet
 * socket. And the client's part of a handshake, full and resumed, until the first data has come.
 *
 * Text messages of 3.6 KB (one Pod event) and 14 KB that lie whole in one buffer, as in a turn that
 * received much, with and without the check of their UTF-8. Best and median of rounds that are
 * interleaved between the rows. Every 16th character of "mixed" has two bytes. The message bytes
 * are counted, so that nothing was left out; without the check they are not touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "wire/tls.h"
#include "wire/ws.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

enum { BUFFER_BYTES = 256 * 1024, ROUNDS = 401, REPEATS = 20, ROWS = 6 };

static const struct row {
	const char *name;
	size_t bytes;
	bool check_text, mixed;
} rows[ROWS] = {
        {"3.6 KB", 3632, false, false},
        {"3.6 KB, checked", 3632, true, false},
        {"14 KB", 14336, false, false},
        {"14 KB, checked", 14336, true, false},
        {"3.6 KB, mixed, checked", 3632, true, true},
        {"14 KB, mixed, checked", 14336, true, true},
};

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t fill(char *p, const struct row *r)
{
	size_t n = 0;
	while (n + 4 + r->bytes <= BUFFER_BYTES) {
		const char head[] = {(char)0x81, 126, (char)(r->bytes >> 8), (char)r->bytes};
		memcpy(p + n, head, sizeof head);
		memset(p + n + 4, 'x', r->bytes);
		for (size_t i = 0; r->mixed && i < r->bytes; i += 16)
			memcpy(p + n + 4 + i, "\xC3\xA9", 2);
		n += 4 + r->bytes;
	}
	return n;
}

/* ns per message */
static double round_of(const struct row *r, const char *p, size_t n, unsigned repeats)
{
	size_t messages = 0, bytes = 0, used;
	double start = now_ns();
	for (unsigned i = 0; i < repeats; i++) {
		struct ws_parser parser;
		struct ws_event ev;
		ws_init(&parser, NULL, r->check_text);
		for (size_t at = 0; ws_feed(&parser, p + at, n - at, &used, &ev) == WS_EVENT;) {
			at += used;
			messages++;
			bytes += ev.data.n;
		}
		ws_fini(&parser);
	}
	double took = now_ns() - start;
	CHECK(messages > 0 && bytes == messages * r->bytes &&
	        messages * (r->bytes + 4) == n * repeats);
	return took / (double)messages;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* --- TLS ------------------------------------------------------------------------------------- */

enum { TLS_PATHS = 3, TLS_ROUNDS = 301, FEED_BYTES = 64 * 1024 };

static const char *const path_names[TLS_PATHS] = {"own", "own by EVP", "OpenSSL"};
static const char *const suite_names[] = {"TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"};
static const struct tls_row {
	size_t bytes, count; /* records per feed */
	int suite;
} tls_rows[] = {
        {1208, FEED_BYTES / 1208, 0},
        {3632, FEED_BYTES / 3632, 0},
        {16384, FEED_BYTES / 16384, 0},
        {1208, 1, 0},
        {3632, 1, 0},
        {3632, FEED_BYTES / 3632, 1},
};

struct tls_pair {
	SSL *server;
	BIO *in, *out;
	struct tls_conn *c;
};

static SSL_CTX *tls_server(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	CHECK(X509_sign(x, key, EVP_sha256()) > 0);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	CHECK(SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"b", 1);
	SSL_CTX_set_num_tickets(ctx, 1);
	X509_free(x);
	EVP_PKEY_free(key);
	return ctx;
}

static void tls_read_all(struct tls_conn *c, size_t want)
{
	static char plain[FEED_BYTES + 64];
	size_t n, total = 0;
	do {
		CHECK(tls_read(c, plain, sizeof plain, &n, NULL) == ERR_OK);
		total += n;
	} while (n > 0);
	CHECK(total == want);
}

/* Both directions once; returns the time that the client took. */
static double tls_turn(struct tls_pair *p, size_t want)
{
	char *bytes;
	struct span s;
	while ((s = tls_take_output(p->c)).n > 0) {
		BIO_write(p->in, s.p, (int)s.n);
		tls_output_done(p->c, s.n);
	}
	SSL_do_handshake(p->server);
	if (want)
		CHECK(SSL_write(p->server, "hello", 5) == 5);
	long n = BIO_get_mem_data(p->out, &bytes);
	double start = now_ns();
	CHECK(tls_feed(p->c, bytes, (size_t)n, 0, NULL) == ERR_OK);
	tls_read_all(p->c, want);
	double took = now_ns() - start;
	(void)BIO_reset(p->out);
	return took;
}

static double tls_connect(struct tls_pair *p, SSL_CTX *ctx, struct tls_config *config)
{
	p->server = SSL_new(ctx);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	SSL_set_bio(p->server, p->in, p->out);
	SSL_set_accept_state(p->server);
	double start = now_ns();
	CHECK(tls_conn_new(&p->c, config, 0, NULL) == ERR_OK);
	double took = now_ns() - start;
	took += tls_turn(p, 0);
	took += tls_turn(p, 5);
	CHECK(tls_state(p->c) == TLS_OPEN);
	return took;
}

static void tls_disconnect(struct tls_pair *p)
{
	tls_conn_free(&p->c);
	SSL_free(p->server);
}

static double tls_round(struct tls_pair *p, const struct tls_row *r, unsigned repeats)
{
	static char body[16384], *bytes;
	double took = 0;
	for (unsigned k = 0; k < repeats; k++) {
		for (size_t i = 0; i < r->count; i++)
			CHECK(SSL_write(p->server, body, (int)r->bytes) == (int)r->bytes);
		long n = BIO_get_mem_data(p->out, &bytes);
		double start = now_ns();
		CHECK(tls_feed(p->c, bytes, (size_t)n, 0, NULL) == ERR_OK);
		tls_read_all(p->c, r->bytes * r->count);
		took += now_ns() - start;
		(void)BIO_reset(p->out);
	}
	return took / (double)(r->count * repeats);
}

static void print_times(const char *what, const char *path, double *took, size_t n, double bytes)
{
	qsort(took, n, sizeof *took, compare);
	printf("tls %-34s %-10s %9.1f ns best %9.1f ns median", what, path, took[0], took[n / 2]);
	if (bytes > 0)
		printf(" %6.2f GB/s", bytes / took[0]);
	printf("\n");
}

static struct tls_config *tls_config_of(int path)
{
	struct tls_config *c;
	struct tls_spec s = {
	        .server_name = SPAN("b.test"), .insecure = true, .records = (enum tls_records)path};
	CHECK(tls_config_new(&c, &s, NULL) == ERR_OK);
	return c;
}

static void bench_records(SSL_CTX *ctx, size_t rounds)
{
	static double took[TLS_PATHS][TLS_ROUNDS];
	for (size_t i = 0; i < ARRAY_LEN(tls_rows); i++) {
		const struct tls_row *r = &tls_rows[i];
		struct tls_pair pairs[TLS_PATHS];
		char what[64];
		CHECK(SSL_CTX_set_ciphersuites(ctx, suite_names[r->suite]) == 1);
		for (int p = 0; p < TLS_PATHS; p++) {
			struct tls_config *config = tls_config_of(p);
			tls_connect(&pairs[p], ctx, config);
			tls_config_put(&config);
		}
		for (size_t k = 0; k < rounds; k++)
			for (int p = 0; p < TLS_PATHS; p++)
				took[p][k] = tls_round(&pairs[p], r, r->count > 1 ? 2 : 32);
		snprintf(what, sizeof what, "%zu B, %s%s", r->bytes, r->count > 1 ? "many" : "one",
		        r->suite ? ", ChaCha20" : "");
		for (int p = 0; p < TLS_PATHS; p++) {
			print_times(what, path_names[p], took[p], rounds, (double)r->bytes);
			tls_disconnect(&pairs[p]);
		}
	}
}

static void bench_handshakes(SSL_CTX *ctx, size_t rounds)
{
	static double took[TLS_PATHS][TLS_ROUNDS];
	CHECK(SSL_CTX_set_ciphersuites(ctx, suite_names[0]) == 1);
	for (int resumed = 0; resumed < 2; resumed++) {
		struct tls_config *configs[TLS_PATHS];
		for (int p = 0; p < TLS_PATHS; p++)
			configs[p] = tls_config_of(p);
		SSL_CTX_set_num_tickets(ctx, resumed ? 1 : 0);
		for (size_t k = 0; k < rounds; k++)
			for (int p = 0; p < TLS_PATHS; p++) {
				struct tls_pair pair;
				took[p][k] = tls_connect(&pair, ctx, configs[p]);
				CHECK(tls_resumed(pair.c) == (resumed && k > 0));
				tls_disconnect(&pair);
			}
		for (int p = 0; p < TLS_PATHS; p++) {
			print_times(resumed ? "handshake, resumed" : "handshake, full",
			        path_names[p], took[p], rounds, 0);
			tls_config_put(&configs[p]);
		}
	}
}

static void bench_tls(bool toy)
{
	SSL_CTX *ctx = tls_server();
	bench_records(ctx, toy ? 1 : TLS_ROUNDS);
	bench_handshakes(ctx, toy ? 2 : TLS_ROUNDS);
	SSL_CTX_free(ctx);
}

int main(int argc, char **argv)
{
	static double took[ROWS][ROUNDS];
	bool toy = argc > 1 && strcmp(argv[1], "--toy") == 0;
	size_t rounds = toy ? 1 : ROUNDS, n[ROWS];
	char *buffers[ROWS];
	for (size_t i = 0; i < ROWS; i++) {
		buffers[i] = malloc(BUFFER_BYTES);
		CHECK(buffers[i]);
		n[i] = fill(buffers[i], &rows[i]);
	}
	for (size_t k = 0; k < rounds; k++)
		for (size_t i = 0; i < ROWS; i++)
			took[i][k] = round_of(&rows[i], buffers[i], n[i], toy ? 1 : REPEATS);
	for (size_t i = 0; i < ROWS; i++) {
		qsort(took[i], rounds, sizeof took[i][0], compare);
		double best = took[i][0], median = took[i][rounds / 2];
		printf("ws %-24s %8.1f ns best %8.1f ns median %8.1f GB/s\n", rows[i].name, best,
		        median, (double)rows[i].bytes / best);
		free(buffers[i]);
	}
	bench_tls(toy);
	return 0;
}
