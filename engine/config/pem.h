/* pem.h - looks into certificates and keys before they reach TLS: a certificate without its key, a
 * truncated file or an expired CA is told with its field name at load time, and a pair that is half
 * rotated is not handed out. OpenSSL on memory; no file, no socket. */
#ifndef KR_CONFIG_PEM_H
#define KR_CONFIG_PEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct pem_facts {
	unsigned certificates;
	int64_t not_after_s;      /* the earliest end of validity */
	int64_t last_not_after_s; /* the latest */
};

/* Is there a block of this kind at all? label: "CERTIFICATE" or "PRIVATE KEY". The checks below
 * take OpenSSL 0.2 to 1.3 ms, which is too long for each of 10,000 contexts at start; this takes
 * none. */
bool pem_has_block(struct span pem, const char *label);

/* Each returns NULL if fine, else what is wrong: static text. facts may be NULL. */
const char *pem_check_certificates(struct span pem, struct pem_facts *facts);
/* One unencrypted private key that belongs to the first certificate. */
const char *pem_check_pair(struct span cert_pem, struct span key_pem, struct pem_facts *facts);

#endif
