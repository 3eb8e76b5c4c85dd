/* kubeconfig: any bytes as a kubeconfig, as kubering.yaml, and as the answer of an exec plugin.
 *
 * Properties: nothing crashes and nothing takes long (run with -timeout=5: aliases, merge keys and
 * patterns are the places where it could). A load says either ok or at least one error with its
 * text. What kubeconfig_resolve calls usable is: a host and port, a URL that reads back the same,
 * no CR or LF that would end a header early, a key for each certificate, one way to authorize. A
 * copy of a credential_conf equals it. base64_decode takes what OpenSSL takes, with the same bytes.
 */
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "config/base64.h"
#include "config/credential_answer.h"
#include "config/kubeconfig.h"
#include "config/pattern.h"
#include "config/redact.h"
#include "config/settings.h"

/* CR and LF only as pairs, and one pair at the very end: whole header lines. */
static bool is_header_lines(const char *s)
{
	size_t n = strlen(s);
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\r' && s[i + 1] != '\n')
			return false;
		if (s[i] == '\n' && (i == 0 || s[i - 1] != '\r'))
			return false;
	}
	return n > 2 && s[n - 1] == '\n';
}

static void check_credential(const struct credential_conf *c)
{
	bool basic = c->username || c->password;
	CHECK(!basic || (!c->token && !c->token_file));
	CHECK(!c->exec || !(basic || c->token || c->token_file || c->cert_file));
	CHECK(!c->token || !strpbrk(c->token, "\r\n"));
	CHECK((c->cert_pem.n > 0 || c->cert_file) == (c->key_pem.n > 0 || c->key_file));
	CHECK(!c->impersonate || is_header_lines(c->impersonate));
	struct arena arena;
	struct credential_conf copy;
	arena_init(&arena, 16 << 20);
	CHECK(credential_conf_copy(c, &arena, &copy));
	CHECK(!c->exec == !copy.exec);
	CHECK(!c->exec || credential_exec_conf_equal(c->exec, copy.exec));
	CHECK(span_eq(c->cert_pem, copy.cert_pem));
	arena_fini(&arena);
}

static void check_cluster(const struct cluster_conf *c)
{
	struct arena arena;
	struct server_url again;
	CHECK(c->server.port > 0 && c->server.host[0] != '\0');
	CHECK(!strpbrk(c->server.text, "\r\n "));
	arena_init(&arena, 65536);
	CHECK(!server_url_parse(c->server.text, !c->server.tls, &arena, &again));
	CHECK(strcmp(again.text, c->server.text) == 0 && again.tls == c->server.tls);
	arena_fini(&arena);
	CHECK(!(c->insecure && c->ca_pem.n > 0));
	CHECK(c->server.tls || (!c->credential.token && !c->credential.exec));
	check_credential(&c->credential);
}

static void check_result(err_t e, const struct problem_list *problems, const void *made)
{
	struct errmsg m = {0};
	CHECK((e == ERR_OK) == (made != NULL));
	CHECK((e == ERR_OK) == (problems->errors == 0));
	CHECK((problem_result(problems, &m) == ERR_OK) == (e == ERR_OK));
	CHECK(e == ERR_OK || m.text[0] != '\0');
	for (size_t i = 0; i < problems->count; i++)
		CHECK(problems->rows[i].text[0] != '\0');
}

static void as_kubeconfig(const char *path)
{
	struct problem_list problems;
	struct kubeconfig *kc;
	struct kubeconfig_source source = {.files = &path, .file_count = 1};
	problem_list_init(&problems);
	err_t e = kubeconfig_load(&source, &problems, &kc);
	check_result(e, &problems, kc);
	for (size_t i = 0; kc && i < kubeconfig_count(kc) && i < 64; i++) {
		struct cluster_conf c;
		struct errmsg m = {0};
		size_t at;
		CHECK(kubeconfig_index(kc, kubeconfig_name(kc, i), &at) && at == i);
		e = kubeconfig_resolve(kc, kubeconfig_name(kc, i), &c, &m);
		CHECK(e == m.code && (e == ERR_OK) == (m.text[0] == '\0'));
		if (e != ERR_OK)
			continue;
		check_cluster(&c);
		cluster_conf_fini(&c);
	}
	kubeconfig_free(&kc);
	problem_list_fini(&problems);
}

static void as_settings(const char *path)
{
	static const struct settings_env env = {.uid = 1000};
	struct problem_list problems;
	struct settings *s;
	problem_list_init(&problems);
	err_t e = settings_load(path, &env, &problems, &s);
	check_result(e, &problems, s);
	if (s) {
		const struct settings_realm *r = settings_realm_for(s, "c", "", "secrets", "");
		CHECK(!r || r->grant_count > 0);
		CHECK((s->limits.ring_entries & (s->limits.ring_entries - 1)) == 0);
	}
	settings_free(&s);
	problem_list_fini(&problems);
}

static void as_answer(struct span doc)
{
	struct credential_answer a;
	struct errmsg m = {0};
	if (credential_answer_parse(doc, "client.authentication.k8s.io/v1", &a, &m) == ERR_OK) {
		CHECK(a.token.n > 0 || a.cert_pem.n > 0);
		CHECK((a.cert_pem.n > 0) == (a.key_pem.n > 0));
		CHECK(!memchr(a.token.n ? a.token.p : "", '\n', a.token.n));
		credential_answer_fini(&a);
	} else {
		CHECK(m.text[0] != '\0');
	}
}

/* EVP_DecodeBlock wants whole groups and trims blanks at both ends; so it judges texts without. */
static void as_base64(struct span text)
{
	struct arena arena;
	struct span ours;
	arena_init(&arena, 2 << 20);
	bool fine = base64_decode(text, &arena, &ours);
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                             "0123456789+/=";
	for (size_t i = 0; i < text.n; i++) {
		if (!text.p[i] || !strchr(digits, text.p[i])) {
			arena_fini(&arena);
			return;
		}
	}
	unsigned char *theirs = malloc(text.n + 4);
	CHECK(theirs);
	int n = EVP_DecodeBlock(theirs, (const unsigned char *)text.p, (int)text.n);
	if (fine) { /* it counts padding as bytes, and takes '=' anywhere */
		CHECK(n >= (int)ours.n && n - (int)ours.n <= 2);
		CHECK(memcmp(theirs, ours.p, ours.n) == 0);
	} else {
		CHECK(n < 0 || memchr(text.p, '=', text.n));
	}
	free(theirs);
	arena_fini(&arena);
}

static void as_texts(const uint8_t *data, size_t size)
{
	char line[REDACT_LINE_MAX + 1], *copy = malloc(size + 1);
	CHECK(copy);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	redact_line((struct span){copy, size}, NULL, 0, line);
	for (const char *p = line; *p; p++)
		CHECK(*p >= 0x20 && *p < 0x7f);
	CHECK(pattern_match(copy, copy));
	if (size < 4096) {
		CHECK(pattern_match("*", copy));
		(void)pattern_match(copy, "prod-eu-west-1.example.com");
	}
	as_base64((struct span){copy, size});
	as_answer((struct span){copy, size});
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfd_create("kubeconfig", MFD_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(fchmod(fd, 0600) == 0);
	CHECK(size == 0 || write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	as_kubeconfig(path);
	as_settings(path);
	as_texts(data, size);
	close(fd);
	return 0;
}
