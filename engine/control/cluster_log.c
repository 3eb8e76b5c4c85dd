/* cluster_log.c - which clusters are not reached, or answer again: lines for the log. Ten thousand
 * at once would push everything else out of it, so when many turn, most are only counted. */
#include <stdio.h>

#include "control/core.h"
#include "control/questions.h"

#define CLUSTERS_LOG_NS (60ull * 1000000000ull)

static void on_turned_due(struct loop_timer *timer)
{
	struct control *c = CONTAINER_OF(timer, struct control, clusters.turned_timer);
	struct clusters *t = &c->clusters;
	char text[240];
	uint32_t down = t->turned_down, up = t->turned_up;
	t->turned_lines = t->turned_down = t->turned_up = 0;
	snprintf(text, sizeof text,
	        "within %d s %u more clusters were not reached or not logged in to, and %u "
	        "answered again; kubering clusters says which",
	        CLUSTERS_TURNED_S, down, up);
	if (down || up)
		c->config.warn(text);
}

/* Is there a line left for one that has turned? If not it is counted. */
static bool turned_by_name(struct control *c, bool down)
{
	struct clusters *t = &c->clusters;
	if (!t->turned_lines)
		loop_timer_set(c->loop, &t->turned_timer,
		        loop_now_ns(c->loop) + CLUSTERS_TURNED_S * 1000000000ull);
	if (t->turned_lines++ < CLUSTERS_TURNED_LINES)
		return true;
	*(down ? &t->turned_down : &t->turned_up) += 1;
	return false;
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

void cluster_log_init(struct control *c)
{
	loop_timer_init(&c->clusters.turned_timer, on_turned_due);
}

void clusters_on_turned(struct control *c, const struct reactor_note *n)
{
	struct known_cluster *k = c->clusters.rows[n->cluster];
	uint64_t now = loop_now_ns(c->loop);
	bool down = n->err != ERR_OK;
	if (!down)
		questions_on_answers(k);
	if (!down && (k->backend || k->is_backend))
		backends_on_answers(c, k->backend ? k->backend : k);
	if (k->is_backend)
		return; /* backends.c tells of it */
	/* Behind one backend that is away all are away: one line says it. */
	uint64_t *logged_ns = k->backend ? &k->backend->logged_ns : &k->logged_ns;
	if (down == k->logged_down || (down && *logged_ns && now - *logged_ns < CLUSTERS_LOG_NS))
		return;
	*logged_ns = now;
	k->logged_down = down;
	if (!turned_by_name(c, down))
		return;
	char text[ERRMSG_BYTES + 320];
	snprintf(text, sizeof text, "cluster \"%s\" %s%s", k->name,
	        down ? "is not reached: " : "answers again", down ? n->text : "");
	c->config.warn(text);
}
