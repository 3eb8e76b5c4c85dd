/* From OpenSSL's queue to one error with its text. Control path only. */
#include "wire/tls_priv.h"

#include "base/check.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { TEXT_BYTES = 128 };

/* --- certificates ---------------------------------------------------------------------------- */

/* OpenSSL's one-line form escapes what is not printable. */
static void subject_of(X509 *x, char text[TEXT_BYTES])
{
	if (!x || !X509_NAME_oneline(X509_get_subject_name(x), text, TEXT_BYTES))
		snprintf(text, TEXT_BYTES, "(no subject)");
}

static void time_of(const ASN1_TIME *t, char text[TEXT_BYTES])
{
	BIO *b = BIO_new(BIO_s_mem());
	int n = b && t && ASN1_TIME_print(b, t) ? BIO_read(b, text, TEXT_BYTES - 1) : 0;
	text[n > 0 ? n : 0] = 0;
	BIO_free(b);
}

/* Names come from the server: only what a name may look like is shown. */
static size_t add_name(char *text, size_t at, const unsigned char *name, int n)
{
	const char *comma = at ? ", " : "";
	if (n <= 0 || at + (size_t)n + 3 > TEXT_BYTES)
		return at;
	at += (size_t)snprintf(text + at, TEXT_BYTES - at, "%s", comma);
	for (int i = 0; i < n; i++)
		text[at++] = name[i] > ' ' && name[i] < 0x7F ? (char)name[i] : '?';
	text[at] = 0;
	return at;
}

static size_t add_ip(char *text, size_t at, const ASN1_OCTET_STRING *ip)
{
	char buf[48];
	const unsigned char *b = ASN1_STRING_get0_data(ip);
	size_t n = 0;
	if (ASN1_STRING_length(ip) == 4)
		n = (size_t)snprintf(buf, sizeof buf, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	for (int i = 0; ASN1_STRING_length(ip) == 16 && i < 16; i += 2)
		n += (size_t)snprintf(buf + n, sizeof buf - n, "%s%x", i ? ":" : "",
		        (unsigned)b[i] << 8 | b[i + 1]);
	return add_name(text, at, (const unsigned char *)buf, (int)n);
}

static void names_of(X509 *x, char text[TEXT_BYTES])
{
	size_t at = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	text[0] = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type == GEN_DNS)
			at = add_name(text, at, ASN1_STRING_get0_data(g->d.dNSName),
			        ASN1_STRING_length(g->d.dNSName));
		else if (g->type == GEN_IPADD)
			at = add_ip(text, at, g->d.iPAddress);
	}
	if (at == 0)
		snprintf(text, TEXT_BYTES, "no name at all");
	GENERAL_NAMES_free(names);
}

static err_t explain_untrusted(int error, X509 *x, int depth, struct errmsg *m)
{
	const char *what = X509_verify_cert_error_string(error), *advice;
	char subject[TEXT_BYTES], when[TEXT_BYTES] = "";
	subject_of(x, subject);
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		time_of(X509_get0_notAfter(x), when);
		advice = "renew it, or check the clock of this host";
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		time_of(X509_get0_notBefore(x), when);
		advice = "check the clocks of both hosts";
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		advice = "check certificate-authority of the cluster";
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		advice = "it is not for a TLS server; issue one with serverAuth";
		break;
	default: advice = "check the certificate of the server"; break;
	}
	return errmsg_set(m, ERR_TLS_VERIFY, "%s%s%s (%s, depth %d); %s", what, when[0] ? " " : "",
	        when, subject, depth, advice);
}

int tls_on_verify(int ok, X509_STORE_CTX *x)
{
	if (ok)
		return ok;
	SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_conn *c = tls_conn_of(ssl);
	int error = X509_STORE_CTX_get_error(x);
	X509 *cert = X509_STORE_CTX_get_current_cert(x);
	if (error == X509_V_ERR_OUT_OF_MEM) {
		c->verify_err = errmsg_set(c->msg, ERR_NO_MEMORY, "verifying the server");
	} else if (cert && (error == X509_V_ERR_HOSTNAME_MISMATCH ||
	                           error == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
		char names[TEXT_BYTES];
		names_of(cert, names);
		c->verify_err = errmsg_set(c->msg, ERR_TLS_HOSTNAME,
		        "asked for %.64s, it is for %s; use such an address, or set "
		        "tls-server-name",
		        c->config->name, names);
	} else {
		c->verify_err =
		        explain_untrusted(error, cert, X509_STORE_CTX_get_error_depth(x), c->msg);
	}
	return 0;
}

/* --- the queue ------------------------------------------------------------------------------- */

struct queue {
	bool no_memory;
	int reason; /* of the first entry of the SSL library */
	const char *text;
};

/* The first entry is the cause, later ones say what it led to. */
static struct queue drain_queue(void)
{
	struct queue q = {.text = "no reason given"};
	unsigned long e;
	for (bool first = true; (e = ERR_get_error()) != 0; first = false) {
		const char *text = ERR_reason_error_string(e);
		if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
			q.no_memory = true;
		if (ERR_GET_LIB(e) == ERR_LIB_SSL && q.reason == 0) {
			q.reason = ERR_GET_REASON(e);
			first = true;
		}
		if (first && text)
			q.text = text;
	}
	return q;
}

err_t tls_explain_config(err_t e, struct errmsg *m, const char *what)
{
	struct queue q = drain_queue();
	if (q.no_memory || e == ERR_NO_MEMORY)
		return errmsg_set(m, ERR_NO_MEMORY, "%s", what);
	return errmsg_set(m, e, "%s: %s", what, q.text);
}

/* Alerts by which a server says that it does not like our certificate (RFC 8446 6.2). */
static bool is_client_cert_alert(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_CERTIFICATE_REQUIRED: return true;
	default: return false;
	}
}

err_t tls_explain_alert(const struct tls_conn *c, int alert, struct errmsg *m)
{
	const char *text = SSL_alert_desc_string_long(alert);
	if (is_client_cert_alert(alert))
		return errmsg_set(m, ERR_TLS_CLIENT_CERT, "alert '%s'; %s", text,
		        c->config->expiry == INT64_MAX
		                ? "the server may want a client certificate and none is set"
		                : "check client-certificate: its issuer and its expiry");
	if (c->state != TLS_HANDSHAKING)
		return errmsg_set(m, ERR_TLS_RECORD, "the server sent the alert '%s'", text);
	const char *advice = "see the log of the server";
	if (alert == SSL_AD_PROTOCOL_VERSION)
		advice = "it must speak TLS 1.2 or 1.3";
	else if (alert == SSL_AD_NO_APPLICATION_PROTOCOL)
		advice = "it must speak HTTP/1.1";
	else if (alert == SSL_AD_UNRECOGNIZED_NAME)
		advice = "it does not know this server name; check tls-server-name";
	return errmsg_set(m, ERR_TLS_HANDSHAKE, "the server sent the alert '%s'; %s", text, advice);
}

static err_t explain_stop(const struct tls_conn *c, struct errmsg *m)
{
	switch (c->stop) {
	case TLS_STOP_HANDSHAKE_BYTES:
		return errmsg_set(m, ERR_TLS_HANDSHAKE, "the server sent more than %d bytes in it",
		        TLS_HANDSHAKE_BYTES_MAX);
	case TLS_STOP_CONTROL:
		return errmsg_set(m, ERR_TLS_RECORD,
		        "more than %d KeyUpdate or HelloRequest messages in a minute",
		        TLS_CONTROL_PER_MIN);
	case TLS_STOP_OUTPUT:
		return errmsg_set(m, ERR_LIMIT, "%d bytes wait to be sent to the server",
		        TLS_OUTPUT_BYTES_MAX);
	case TLS_STOP_ALPN:
		return errmsg_set(m, ERR_TLS_HANDSHAKE,
		        "the server chose a protocol (ALPN) that was not offered");
	case TLS_STOP_MEMORY: return errmsg_set(m, ERR_NO_MEMORY, "TLS output");
	case TLS_STOP_NONE: break;
	}
	CHECK(false);
}

static err_t explain_handshake(const struct tls_conn *c, const struct queue *q, struct errmsg *m)
{
	if (c->first_bytes >= 5 && memcmp(c->first, "HTTP/", 5) == 0)
		return errmsg_set(m, ERR_TLS_HANDSHAKE,
		        "the server speaks plain HTTP on this port; use http://, or the TLS port");
	switch (q->reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
		return errmsg_set(m, ERR_TLS_HANDSHAKE,
		        "the server does not speak TLS on this port; check host and port");
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_VERSION_TOO_LOW:
		return errmsg_set(m, ERR_TLS_HANDSHAKE,
		        "the server speaks neither TLS 1.2 nor 1.3; it must be upgraded");
	case SSL_R_INAPPROPRIATE_FALLBACK:
		return errmsg_set(m, ERR_TLS_HANDSHAKE,
		        "a downgrade was forced on the way to the server; check proxies");
	default: return errmsg_set(m, ERR_TLS_HANDSHAKE, "%s", q->text);
	}
}

err_t tls_explain(const struct tls_conn *c, struct errmsg *m)
{
	struct queue q = drain_queue();
	if (c->stop != TLS_STOP_NONE)
		return explain_stop(c, m);
	if (q.no_memory) /* also when it made a check of the certificate fail */
		return errmsg_set(m, ERR_NO_MEMORY, "in the TLS library");
	if (c->verify_err != ERR_OK)
		return c->verify_err; /* the callback wrote the text */
	if (q.reason > SSL_AD_REASON_OFFSET && q.reason < SSL_AD_REASON_OFFSET + 256)
		return tls_explain_alert(c, q.reason - SSL_AD_REASON_OFFSET, m);
	if (c->state == TLS_HANDSHAKING)
		return explain_handshake(c, &q, m);
	return errmsg_set(m, ERR_TLS_RECORD, "%s", q.text);
}
