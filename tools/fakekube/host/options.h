/* options.h - the command line of fakekube. */
#ifndef KR_HOST_OPTIONS_H
#define KR_HOST_OPTIONS_H

#define OPTIONS_UPSTREAMS_MAX 64

#include <stdbool.h>
#include <stdint.h>

struct options {
	const char *headlamp_token, *upstreams[OPTIONS_UPSTREAMS_MAX];
	uint32_t upstream_count;
	const char *bind, *kubeconfig_out, *profile, *faults, *token, *control, *resources;
	uint16_t port, headlamp_port; /* 0 = any free one */
	uint32_t clusters, objects, object_bytes, namespaces;
	uint64_t seed, duration_s, history, preload;
	double rate;
	bool tls, client_cert, own_records, headlamp, no_stamp, stamp_writes, no_watchlist,
	        no_watchlist_gzip, quiet;
};

/* Reads argv. Returns 0 to go on, else an exit code plus one: a message was printed (2 + 1) or
 * --help answered (0 + 1). */
int options_parse(struct options *o, int argc, char **argv);

#endif
