/* scratch.h - a directory of its own for each test, and the certificates that tests need: made
 * afresh, so that none expires in the repository. */
#ifndef KR_TEST_CONFIG_SCRATCH_H
#define KR_TEST_CONFIG_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/problem.h"

struct scratch {
	char dir[64];
	char *path[8]; /* own; results of scratch_path, in turn */
	unsigned turn;
};

static inline int scratch_setup(void **state)
{
	struct scratch *s = calloc(1, sizeof *s);
	assert_non_null(s);
	snprintf(s->dir, sizeof s->dir, "/tmp/kr-config-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	*state = s;
	return 0;
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline int scratch_teardown(void **state)
{
	struct scratch *s = *state;
	nftw(s->dir, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
	for (unsigned i = 0; i < 8; i++)
		free(s->path[i]);
	free(s);
	return 0;
}

/* dir/name; valid for the next seven calls. */
static inline const char *scratch_path(struct scratch *s, const char *name)
{
	char **p = &s->path[s->turn++ % 8];
	free(*p);
	assert_true(asprintf(p, "%s/%s", s->dir, name) > 0);
	return *p;
}

static inline const char *scratch_write_bytes(
        struct scratch *s, const char *name, const void *bytes, size_t n)
{
	const char *path = scratch_path(s, name);
	char dir[256];
	snprintf(dir, sizeof dir, "%s", path);
	*strrchr(dir, '/') = '\0';
	mkdir(dir, 0700);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
	return path;
}

/* One level of directories is made as needed. */
static inline const char *scratch_write(struct scratch *s, const char *name, const char *text)
{
	return scratch_write_bytes(s, name, text, strlen(text));
}

static inline const char *scratch_script(struct scratch *s, const char *name, const char *body)
{
	char text[4096];
	snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
	const char *path = scratch_write(s, name, text);
	assert_int_equal(chmod(path, 0700), 0);
	return path;
}

/* A self-signed certificate and its key, PEM. */
struct scratch_pair {
	char cert[2048], key[1024];
};

static inline void scratch_bio(BIO *bio, char *out, size_t size)
{
	int n = BIO_read(bio, out, (int)size - 1);
	assert_true(n > 0);
	out[n] = '\0';
	BIO_free(bio);
}

static inline void scratch_pair_make(struct scratch_pair *p, int64_t not_after_s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	assert_non_null(key);
	assert_non_null(x);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	ASN1_TIME_set(X509_getm_notBefore(x), 0);
	ASN1_TIME_set(X509_getm_notAfter(x), not_after_s);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, x);
	scratch_bio(bio, p->cert, sizeof p->cert);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	scratch_bio(bio, p->key, sizeof p->key);
	X509_free(x);
	EVP_PKEY_free(key);
}

static inline const char *scratch_base64(const char *text, char *out, size_t size)
{
	size_t n = strlen(text);
	assert_true((n + 2) / 3 * 4 < size);
	EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)n);
	return out;
}

/* All problems as text, one a line; for strstr and for messages of failed tests. */
static inline const char *scratch_problems(const struct problem_list *l)
{
	static char text[16384];
	text[0] = '\0';
	for (size_t i = 0; i < l->count; i++) {
		char line[PROBLEM_TEXT_BYTES + 512];
		problem_format(&l->rows[i], line, sizeof line);
		size_t used = strlen(text);
		snprintf(text + used, sizeof text - used, "%s %s\n",
		        l->rows[i].level == PROBLEM_LEVEL_ERROR ? "E" : "W", line);
	}
	return text;
}

static inline void scratch_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("expected \"%s\" in:\n%s", part, text);
}

static inline void scratch_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("unexpected \"%s\" in:\n%s", part, text);
}

#endif
