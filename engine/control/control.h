/* control.h - everything slow, on one thread: configuration, credentials, DNS, the UNIX socket that
 * consumers attach to, who may see what, which lists are open and for whom, and what people are
 * told. It talks with the reactors by messages only.
 *
 *   loop.c       descriptors and timers of this thread
 *   clusters.c   what the kubeconfig names: credentials, addresses, which reactor
 *                (cluster_tls.c their TLS; cluster_log.c what the log is told of them)
 *   resolver.c   DNS
 *   backends.c   Headlamp backends: which clusters are behind them
 *   lists.c      which lists are open: one feed per identity, counted across processes, with a
 *                linger (pinned.c those that the configuration keeps open)
 *   consumers.c  the processes that attached; attach.c reads what they say
 *   users.c      what each user has of that which is there for all
 *   questions.c  "po" -> pods.v1, by the cluster's discovery; status
 *   status.c     status as JSON (report.c); metrics.c as Prometheus text over HTTP
 *                (metrics_text.c); both read the lists' rows as consumers do (list_reader.c)
 *   audits.c     what came of the lists' self-audits
 *   left_out.c   which lists are without some of their objects
 *   reload.c     the configuration read again while all goes on
 */
#ifndef KR_CONTROL_CONTROL_H
#define KR_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "reactor/reactor.h"

struct config;
struct settings;
struct control;

struct control_config {
	const char *socket_path; /* made, with its directory if that is missing; mode 0666: who may
	                            see what is the policy's business, by SO_PEERCRED */
	uint16_t metrics_port;   /* on 127.0.0.1; 0 = off */
	uint64_t incarnation[2];
	uint64_t seed;
	struct config *config;           /* borrowed; the clusters' conf is taken out of it */
	const struct settings *settings; /* borrowed: config's */
	char *const *environ;            /* for credential plugins */
	uint32_t reactor_count;
	void (*warn)(const char *text); /* one line for the log */
	/* The configuration, read again; every problem is for the log, the first in *m too. What it
	 * gives is control's. NULL: there is no reload. */
	err_t (*load)(void *arg, struct config **out, struct errmsg *m);
	/* The end of a reload that `load` began. text: what changed; NULL: nothing did, for an
	 * error. */
	void (*loaded)(void *arg, const char *text);
	void *load_arg;
};

/* tls_wipe_freed, for main: before anything else. */
bool control_wipe_freed(void) MUST_USE;
/* Opens the socket. ERR_CONFIG with a text that says what to do (another daemon is there, the
 * directory is not writable, ...). */
err_t control_new(
        const struct control_config *config, struct control **out, struct errmsg *m) MUST_USE;
/* Before control_run; the reactors outlive the control. The `note` function for their config is
 * control_note with the control as argument. */
void control_set_reactors(struct control *c, struct reactor *const *reactors);
/* What the reactors use, and one sentence why; why is borrowed. For status. */
void control_set_io(struct control *c, enum io_kind kind, const char *why);
void control_note(void *control, struct reactor_note *n); /* any thread */
/* Runs until control_stop. */
void control_run(struct control *c);
/* Says BYE to consumers, stops the reactors and waits for them, 5 s. false: not all have stopped,
 * and what control holds is theirs still. */
bool control_end(struct control *c);
/* Any thread, also from a signal handler. */
void control_stop(struct control *c);
/* The same; reads the configuration again, soon. */
void control_reload(struct control *c);
void control_free(struct control **c);

#endif
