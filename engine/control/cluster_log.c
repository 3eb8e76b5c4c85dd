/* cluster_log.c - what the log is told of clusters: which are not reached, cannot be used, answer
 * again. Ten thousand lines at once would push everything else out of it, so when there is
 * something to say of many, most are only counted. What happens by itself and what the
 * configuration brings have a budget each: clusters that come and go must not hide why a list is
 * not kept open. */
#include <stdio.h>

#include "control/core.h"
#include "control/questions.h"

#define CLUSTERS_LOG_NS (CLUSTERS_LOG_S * 1000000000ull)

static void on_turned_due(struct loop_timer *timer)
{
	struct control *c = CONTAINER_OF(timer, struct control, clusters.turned.timer);
	struct lines left = c->clusters.turned;
	char text[240];
	c->clusters.turned.told = c->clusters.turned.down = c->clusters.turned.up = 0;
	snprintf(text, sizeof text,
	        "within %d s %u more clusters were not reached or not logged in to, and %u "
	        "answered again; kubering clusters says which",
	        CLUSTERS_LINES_S, left.down, left.up);
	if (left.down || left.up)
		c->config.warn(text);
}

static void on_other_due(struct loop_timer *timer)
{
	struct control *c = CONTAINER_OF(timer, struct control, clusters.other.timer);
	uint32_t more = c->clusters.other.more;
	char text[160];
	c->clusters.other.told = c->clusters.other.more = 0;
	snprintf(text, sizeof text,
	        "within %d s %u more lines about clusters and their lists were left out; kubering "
	        "doctor says what is wrong",
	        CLUSTERS_LINES_S, more);
	if (more)
		c->config.warn(text);
}

/* Is there a line left? */
static bool has_line(struct control *c, struct lines *l)
{
	if (!l->told)
		loop_timer_set(c->loop, &l->timer,
		        loop_now_ns(c->loop) + CLUSTERS_LINES_S * 1000000000ull);
	return l->told++ < CLUSTERS_LINES;
}

/* Is there a line left for one that has turned? If not it is counted. */
static bool turned_by_name(struct control *c, bool down)
{
	struct lines *t = &c->clusters.turned;
	if (has_line(c, t))
		return true;
	*(down ? &t->down : &t->up) += 1;
	return false;
}

void cluster_log_other(struct control *c, const char *text)
{
	if (has_line(c, &c->clusters.other))
		c->config.warn(text);
	else
		c->clusters.other.more++;
}

/* Behind a backend that is broken all are: its own line says it. */
void cluster_log_broken(struct control *c)
{
	for (uint32_t i = 0; i < c->clusters.by_name.count; i++) {
		struct known_cluster *k = c->clusters.by_name.rows[i];
		bool broken = k->broken.code && !k->backend, told = k->broken_told;
		char text[ERRMSG_BYTES + 320];
		k->broken_told = broken;
		snprintf(text, sizeof text, "cluster \"%s\" cannot be used: %s", k->name,
		        k->broken.text);
		if (broken && !told)
			cluster_log_other(c, text);
	}
}

void cluster_log_login(struct control *c, struct known_cluster *k, err_t err, const char *text)
{
	char line[ERRMSG_BYTES + 320];
	bool failed = err != ERR_OK, was = k->login_failed;
	k->login_failed = failed;
	if (!failed || was || k->is_backend || !turned_by_name(c, true))
		return;
	snprintf(line, sizeof line, "cluster \"%s\" has no credential that is good: %s", k->name,
	        text);
	c->config.warn(line);
}

/* One that is not reached, or not logged in to, is told of as such. */
void cluster_log_discovery(struct control *c, struct known_cluster *k, err_t err, const char *text)
{
	bool refused = err == ERR_HTTP_STATUS && !k->login_failed, was = k->discovery_refused;
	k->discovery_refused = err && (was || refused);
	if (refused && !was && turned_by_name(c, true))
		c->config.warn(text);
}

/* --- not reached, and answers again --------------------------------------------------------- */

static void say_turned(struct control *c, struct known_cluster *k, const char *text)
{
	char line[ERRMSG_BYTES + 320];
	k->logged_down = k->down;
	if (!turned_by_name(c, k->down))
		return;
	snprintf(line, sizeof line, "cluster \"%s\" %s%s", k->name,
	        k->down ? "is not reached: " : "answers again", k->down ? text : "");
	c->config.warn(line);
}

static uint64_t *logged_of(struct known_cluster *k)
{
	/* Behind one backend that is away all are away: one line says it. */
	return k->backend ? &k->backend->logged_ns : &k->logged_ns;
}

/* Those that had a line lately when they went, and have stayed away. */
static void on_settle_due(struct loop_timer *timer)
{
	struct control *c = CONTAINER_OF(timer, struct control, clusters.settle);
	for (uint32_t i = 0; i < c->clusters.count; i++) {
		struct known_cluster *k = c->clusters.rows[i];
		if (k->gone || k->is_backend || !k->down || k->logged_down ||
		        (k->backend && k->backend->down))
			continue;
		*logged_of(k) = loop_now_ns(c->loop);
		say_turned(c, k, "still, or again; kubering clusters says why");
	}
}

void clusters_on_turned(struct control *c, const struct reactor_note *n)
{
	struct known_cluster *k = c->clusters.rows[n->cluster];
	uint64_t now = loop_now_ns(c->loop), *logged_ns = logged_of(k);
	k->down = n->err != ERR_OK;
	if (!k->down)
		questions_on_answers(k);
	if (!k->down && (k->backend || k->is_backend))
		backends_on_answers(c, k->backend ? k->backend : k);
	if (k->is_backend || k->down == k->logged_down)
		return; /* of a backend backends.c tells */
	if (k->down && *logged_ns && now - *logged_ns < CLUSTERS_LOG_NS) {
		if (c->clusters.settle.timer.at_ns == UINT64_MAX)
			loop_timer_set(c->loop, &c->clusters.settle, now + CLUSTERS_LOG_NS);
		return;
	}
	*logged_ns = now;
	say_turned(c, k, n->text);
}

void clusters_on_lets_in(struct control *c, uint32_t id)
{
	struct known_cluster *k = c->clusters.rows[id];
	char line[320];
	questions_on_answers(k);
	if (!k->login_failed)
		return;
	k->login_failed = false;
	snprintf(line, sizeof line, "cluster \"%s\" takes its credential again", k->name);
	if (!k->backend && !k->is_backend && turned_by_name(c, false))
		c->config.warn(line);
}

void cluster_log_init(struct control *c)
{
	loop_timer_init(&c->clusters.turned.timer, on_turned_due);
	loop_timer_init(&c->clusters.other.timer, on_other_due);
	loop_timer_init(&c->clusters.settle, on_settle_due);
}

void cluster_log_fini(struct control *c)
{
	struct clusters *t = &c->clusters;
	if (t->turned.told)
		loop_timer_set(c->loop, &t->turned.timer, UINT64_MAX);
	if (t->other.told)
		loop_timer_set(c->loop, &t->other.timer, UINT64_MAX);
	if (t->settle.on_due) /* clusters_load came to it */
		loop_timer_set(c->loop, &t->settle, UINT64_MAX);
}
