#include "host/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *base64(const char *s)
{
	size_t n = strlen(s);
	char *out = malloc((n + 2) / 3 * 4 + 1);
	if (out)
		EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)s, (int)n);
	return out;
}

static void put_base64(FILE *f, const char *key, const char *pem)
{
	char *b = base64(pem);
	fprintf(f, "%s: %s\n", key, b ? b : "");
	free(b);
}

static void put_user(FILE *f, const struct options *o, const struct tls_server *t)
{
	fputs("users:\n- name: fakekube\n  user:\n", f);
	if (o->client_cert) {
		put_base64(f, "    client-certificate-data", t->client_pem);
		put_base64(f, "    client-key-data", t->client_key_pem);
	} else if (o->token) {
		fprintf(f, "    token: \"%s\"\n", o->token);
	} else {
		fputs("    {}\n", f);
	}
}

static void put_all(FILE *f, const struct options *o, const struct model_server *s,
        const struct tls_server *t, uint16_t port)
{
	fputs("apiVersion: v1\nkind: Config\n", f);
	fprintf(f, "current-context: %s\npreferences: {}\nclusters:\n",
	        s->cluster_count ? s->clusters[0]->name : "");
	char *ca = o->tls ? base64(t->ca_pem) : NULL;
	for (size_t i = 0; i < s->cluster_count; i++) {
		const char *name = s->clusters[i]->name;
		fprintf(f, "- name: %s\n  cluster:\n    server: %s://%s:%u/clusters/%s\n", name,
		        o->tls ? "https" : "http", o->bind, port, name);
		if (ca)
			fprintf(f, "    certificate-authority-data: %s\n", ca);
	}
	free(ca);
	put_user(f, o, t);
	fputs("contexts:\n", f);
	for (size_t i = 0; i < s->cluster_count; i++)
		fprintf(f, "- name: %s\n  context: {cluster: %s, user: fakekube}\n",
		        s->clusters[i]->name, s->clusters[i]->name);
}

bool kubeconfig_write(const struct options *o, const struct model_server *s,
        const struct tls_server *t, uint16_t port)
{
	struct model_text tmp = {0};
	model_text_printf(&tmp, "%s.tmp%d", o->kubeconfig_out, (int)getpid());
	TEXT_LIT(&tmp, "\0");
	int fd = open(tmp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	bool ok = f != NULL;
	if (f) {
		put_all(f, o, s, t, port);
		ok = fflush(f) == 0;
		ok = fclose(f) == 0 && ok && rename(tmp.p, o->kubeconfig_out) == 0;
	}
	if (!ok)
		fprintf(stderr, "fakekube: %s cannot be written: %s\n", o->kubeconfig_out,
		        strerror(errno));
	model_text_fini(&tmp);
	return ok;
}
