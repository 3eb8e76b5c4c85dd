/* tls.h - the server side of --tls: a CA made at start, a server certificate for loopback, a client
 * certificate, sessions on sockets. */
#ifndef KR_HOST_TLS_H
#define KR_HOST_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* PEM texts of what goes into the kubeconfig; own. Owner: main. Life: the process. */
struct tls_server {
	SSL_CTX *ctx;
	char *ca_pem, *client_pem, *client_key_pem;
};

/* address: an IP address that the certificate is for, beside 127.0.0.1 and localhost. False: a
 * message was printed. */
bool tls_server_init(struct tls_server *t, const char *address);
void tls_server_fini(struct tls_server *t);
/* The common name of the client's certificate, if it sent one that our CA signed. False: none. */
bool tls_server_user(SSL *ssl, char *buf, size_t buf_bytes);

#endif
