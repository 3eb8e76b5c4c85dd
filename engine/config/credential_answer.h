/* credential_answer.h - what an exec plugin printed: an ExecCredential document
 * (client.authentication.k8s.io/v1 or v1beta1) in JSON or YAML, checked as client-go checks it.
 * Error texts name the field and never quote the document. */
#ifndef KR_CONFIG_CREDENTIAL_ANSWER_H
#define KR_CONFIG_CREDENTIAL_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/arena.h"

enum { CREDENTIAL_ANSWER_BYTES_MAX = 1 << 20 };

/* Owner: whoever embeds it. Thread: control. Life: credential_answer_parse to
 * credential_answer_fini, which wipes it. May be moved by assignment. */
struct credential_answer {
	struct arena arena;
	struct span token;             /* n == 0: none */
	struct span cert_pem, key_pem; /* both or none; they belong together */
	bool has_expiry;
	int64_t expires_s; /* seconds since 1970 */
};

/* doc: the plugin's standard output. On failure *out needs no fini. ERR_CRED_EXEC, ERR_NO_MEMORY.
 */
err_t credential_answer_parse(struct span doc, const char *api_version,
        struct credential_answer *out, struct errmsg *m) MUST_USE;
void credential_answer_fini(struct credential_answer *a);

#endif
