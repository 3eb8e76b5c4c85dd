/* cluster_tls.c - what a cluster's connections need of TLS: its authorities, which clusters that
 * name the same ones share, and its client certificate. */
#include "config/settings.h"
#include "control/control.h"
#include "control/core.h"
#include "wire/tls.h"

bool control_wipe_freed(void)
{
	return tls_wipe_freed();
}

void cluster_drop_roots(struct clusters *t, struct known_cluster *k)
{
	if (k->in_ca_index)
		hash_index_remove(&t->by_ca, &k->by_ca);
	k->in_ca_index = false;
	tls_roots_put(&k->roots);
}

/* Of conf.ca_pem. Read once, it is 4 KiB and more; many clusters have one authority. */
static err_t own_roots(struct clusters *t, struct known_cluster *k, struct errmsg *m)
{
	struct span pem = k->conf.ca_pem;
	uint64_t hash = hash_of_span(pem, t->ca_seed);
	for (struct hash_node *n = hash_index_first(&t->by_ca, hash); n; n = hash_index_next(n)) {
		const struct known_cluster *o = CONTAINER_OF(n, struct known_cluster, by_ca);
		if (span_eq(o->conf.ca_pem, pem)) {
			k->roots = tls_roots_get(o->roots);
			break;
		}
	}
	err_t err = k->roots ? ERR_OK : tls_roots_new(&k->roots, pem, m);
	if (err || hash_index_reserve(&t->by_ca))
		return err; /* without a place in the index others make their own */
	hash_index_add(&t->by_ca, &k->by_ca, hash);
	k->in_ca_index = true;
	return ERR_OK;
}

static err_t roots_of(struct control *c, struct known_cluster *k, struct errmsg *m)
{
	if (k->roots || k->conf.insecure)
		return ERR_OK;
	if (k->backend) {
		err_t err = roots_of(c, k->backend, m);
		if (!err)
			k->roots = tls_roots_get(k->backend->roots);
		return err;
	}
	if (k->conf.ca_pem.n)
		return own_roots(&c->clusters, k, m);
	if (!c->clusters.system_roots) {
		err_t err = tls_roots_new_system(&c->clusters.system_roots, m);
		if (err)
			return err;
	}
	k->roots = tls_roots_get(c->clusters.system_roots);
	return ERR_OK;
}

_Static_assert((int)SETTINGS_RECORDS_EVP == (int)TLS_RECORDS_EVP &&
                       (int)SETTINGS_RECORDS_OPENSSL == (int)TLS_RECORDS_OPENSSL,
        "config/ and wire/ number the record paths alike");

/* What later ones are made cheaper from is one of nobody's: that of a cluster would keep its key,
 * when the cluster has another one, or has gone. */
static err_t share(struct clusters *t, struct errmsg *m)
{
	return t->share ? ERR_OK
	                : tls_config_new(&t->share, &(struct tls_spec){.insecure = true}, m);
}

err_t cluster_tls(struct control *c, struct known_cluster *k, const struct credential *cred,
        struct tls_config **out, struct errmsg *m)
{
	*out = NULL;
	if (!k->conf.server.tls)
		return ERR_OK;
	err_t err = roots_of(c, k, m);
	if (!err)
		err = share(&c->clusters, m);
	if (err)
		return err;
	struct tls_spec spec = {.roots = k->roots,
	        .insecure = k->conf.insecure,
	        .share = c->clusters.share,
	        .records = (enum tls_records)c->config.settings->tls_records,
	        .server_name = span_of(
	                k->conf.tls_server_name ? k->conf.tls_server_name : k->conf.server.host)};
	if (cred) {
		spec.cert_pem = cred->cert_pem;
		spec.key_pem = cred->key_pem;
	}
	err = tls_config_new(out, &spec, m);
	if (err)
		return err;
	k->cert_expires_s = tls_config_expiry(*out);
	return ERR_OK;
}
