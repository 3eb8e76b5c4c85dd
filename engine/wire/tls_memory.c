/* What OpenSSL gives back. An SSL object has the traffic secrets of its connection in it, and
 * SSL_free of OpenSSL 3.0 frees it as it is. */
#include "wire/tls.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void *take(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return malloc(n);
}

static void give(void *p, const char *file, int line)
{
	(void)file, (void)line;
	if (p)
		OPENSSL_cleanse(p, malloc_usable_size(p));
	free(p);
}

static void *resize(void *p, size_t n, const char *file, int line)
{
	if (!p)
		return malloc(n);
	if (n == 0) {
		give(p, file, line);
		return NULL;
	}
	size_t had = malloc_usable_size(p);
	if (n <= had)
		return p;
	void *larger = malloc(n);
	if (!larger)
		return NULL; /* p stays, as with realloc */
	memcpy(larger, p, had);
	give(p, file, line);
	return larger;
}

bool tls_wipe_freed(void)
{
	return CRYPTO_set_mem_functions(take, resize, give) == 1;
}
