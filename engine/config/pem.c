#include "config/pem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

static BIO *pem_open(struct span pem)
{
	return pem.n > 0 && pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

bool pem_has_block(struct span pem, const char *label)
{
	static const char begin[] = "-----BEGIN ";
	size_t label_n = strlen(label);
	const char *end = pem.p + pem.n, *p = pem.p;
	while (pem.n > 0 && (p = memmem(p, (size_t)(end - p), begin, sizeof begin - 1)) != NULL) {
		p += sizeof begin - 1; /* then "CERTIFICATE-----", "RSA PRIVATE KEY-----", ... */
		const char *dashes = memmem(p, (size_t)(end - p), "-----", 5);
		if (!dashes)
			return false;
		if ((size_t)(dashes - p) >= label_n &&
		        memcmp(dashes - label_n, label, label_n) == 0)
			return true;
		p = dashes;
	}
	return false;
}

/* Without this OpenSSL asks for a passphrase on the terminal. */
static int pem_no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

static int64_t pem_not_after(const X509 *x)
{
	struct tm tm;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1)
		return INT64_MAX;
	return timegm(&tm);
}

static const char *pem_read_certificates(BIO *bio, struct pem_facts *facts)
{
	*facts = (struct pem_facts){.not_after_s = INT64_MAX, .last_not_after_s = INT64_MIN};
	X509 *x;
	while ((x = PEM_read_bio_X509(bio, NULL, pem_no_passphrase, NULL)) != NULL) {
		int64_t end = pem_not_after(x);
		X509_free(x);
		facts->certificates++;
		if (end < facts->not_after_s)
			facts->not_after_s = end;
		if (end > facts->last_not_after_s)
			facts->last_not_after_s = end;
	}
	unsigned long e = ERR_peek_last_error();
	bool at_end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (facts->certificates == 0)
		return at_end ? "no PEM certificate inside" : "broken PEM certificate";
	return at_end ? NULL : "broken PEM certificate behind a good one";
}

const char *pem_check_certificates(struct span pem, struct pem_facts *facts)
{
	struct pem_facts ignored;
	BIO *bio = pem_open(pem);
	if (!bio)
		return "no PEM certificate inside";
	const char *wrong = pem_read_certificates(bio, facts ? facts : &ignored);
	BIO_free(bio);
	return wrong;
}

const char *pem_check_pair(struct span cert_pem, struct span key_pem, struct pem_facts *facts)
{
	const char *wrong = pem_check_certificates(cert_pem, facts);
	if (wrong)
		return wrong;
	BIO *cert_bio = pem_open(cert_pem), *key_bio = pem_open(key_pem);
	X509 *cert = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, pem_no_passphrase, NULL) : NULL;
	EVP_PKEY *key =
	        key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, pem_no_passphrase, NULL) : NULL;
	if (!key)
		wrong = "no PEM private key inside, or one with a passphrase";
	else if (!cert || X509_check_private_key(cert, key) != 1)
		wrong = "certificate and key do not belong together";
	EVP_PKEY_free(key);
	X509_free(cert);
	BIO_free(key_bio);
	BIO_free(cert_bio);
	ERR_clear_error();
	return wrong;
}
