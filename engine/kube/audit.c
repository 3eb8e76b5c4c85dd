#include "kube/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "kube/watch_priv.h"

static void drop_token(struct audit *a)
{
	free(a->token);
	a->token = NULL;
}

void audit_begin(struct audit *a, const struct watch_conf *conf)
{
	*a = (struct audit){.conf = conf};
}

void audit_end(struct audit *a)
{
	drop_token(a);
}

enum audit_next audit_give_up(struct audit *a, const char *why)
{
	drop_token(a);
	snprintf(a->text, sizeof a->text, "%s", why);
	return AUDIT_NO_VERDICT;
}

enum audit_next audit_look(struct audit *a, const struct audit_view *now)
{
	if (!now->live)
		return audit_give_up(a, "the list is not live");
	if (!version_number(now->rv) || now->rv.n >= sizeof a->rv)
		return audit_give_up(a, "its version is no number, so no LIST can be had at it");
	memcpy(a->rv, now->rv.p, now->rv.n);
	a->rv[now->rv.n] = 0;
	drop_token(a);
	a->begun = now->digest;
	a->digest = a->objects = 0;
	a->waits = 0;
	a->looks++;
	return AUDIT_ASK;
}

size_t audit_target(const struct audit *a, char *buf, size_t cap, const char **accept)
{
	struct url u;
	bool first = true;
	url_init(&u, buf, cap);
	watch_target_begin(a->conf, &u, &first);
	url_query(&u, &first, "limit", SPAN("500"));
	if (a->token) { /* it names the version, and none may be named beside it */
		url_query(&u, &first, "continue", span_of(a->token));
	} else {
		url_query(&u, &first, "resourceVersion", span_of(a->rv));
		url_query(&u, &first, "resourceVersionMatch", SPAN("Exact"));
	}
	_Static_assert(WATCH_PAGE_LIMIT == 500, "the literal above");
	*accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
	return url_end(&u);
}

enum audit_next audit_on_head(struct audit *a, int status)
{
	char text[WATCH_TEXT_BYTES];
	if (status == 200)
		return AUDIT_ASK;
	if (status == 410)
		snprintf(text, sizeof text, "the server does not know version %s any more", a->rv);
	else
		snprintf(text, sizeof text, "the server answered %d to a LIST at version %s",
		        status, a->rv);
	return audit_give_up(a, text);
}

void audit_on_item(struct audit *a, uint64_t hash)
{
	a->digest += hash;
	a->objects++;
}

enum audit_next audit_on_page(struct audit *a, const struct json_list_meta *meta)
{
	/* Who does not know of Exact, or takes it out on the way, answers with another version. */
	if (!span_is(meta->resource_version, a->rv) || !meta->saw_items)
		return audit_give_up(a, "the answer is no list at the version that was asked for");
	drop_token(a);
	if (!meta->continue_.n)
		return AUDIT_WAIT;
	if (meta->continue_.n > WATCH_TOKEN_MAX)
		return audit_give_up(a, "a continue token over 4 KiB");
	a->token = strndup(meta->continue_.p, meta->continue_.n);
	return a->token ? AUDIT_ASK : audit_give_up(a, err_text(ERR_NO_MEMORY));
}

static enum audit_next look_again(struct audit *a, const char *otherwise)
{
	return a->looks < AUDIT_LOOKS_MAX ? AUDIT_LOOK_AGAIN : audit_give_up(a, otherwise);
}

/* Everything that the stream has for that version is here. */
static bool is_settled(const struct audit *a, const struct audit_view *now)
{
	enum version_order order = version_compare(now->rv, span_of(a->rv));
	return order == VERSION_GREATER || (order == VERSION_EQUAL && now->complete);
}

enum audit_next audit_judge(struct audit *a, const struct audit_view *now)
{
	if (a->digest == a->begun || (now->known && a->digest == now->digest_then)) {
		snprintf(a->text, sizeof a->text, "%llu objects at version %s",
		        (unsigned long long)a->objects, a->rv);
		return AUDIT_EQUAL;
	}
	if (now->retaken)
		return audit_give_up(a, "the list was taken again meanwhile");
	if (!now->live)
		return audit_give_up(a, "the list is not live any more");
	if (!now->known)
		return look_again(a, "it changes too fast to know what it was at one version");
	if (!is_settled(a, now))
		return a->waits++ < AUDIT_WAITS_MAX
		               ? AUDIT_WAIT
		               : audit_give_up(a, "nothing came since: its last events may be on "
		                                  "their way still");
	if (++a->differences < AUDIT_DIFFERENCES)
		return look_again(a, "it differed once, and could not be looked at again");
	snprintf(a->text, sizeof a->text,
	        "an audit found that it was not what the server had at version %s (%llu objects): "
	        "it is taken again",
	        a->rv, (unsigned long long)a->objects);
	return AUDIT_DIFFERENT;
}
