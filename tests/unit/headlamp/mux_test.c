/* mux: what it sends, what it makes of what comes, and random schedules against a model of the
 * backend. */
#include "unit/headlamp/mux_world.h"

static struct world w;
static struct mux *m;
static char frame[MUX_MESSAGE_BYTES_MAX + 1];
static char last_user[MUX_USER_BYTES + 1]; /* of the last frame */

enum { SUBS = 24, PATHS = 3 };
struct watch {
	struct mux_sub sub;
	bool wanted;
	unsigned life, version;
	char cluster[8], path[16], tag[32];
};
static struct watch watches[SUBS];
static bool socket_open;

static int open_world(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	w.reader = envelope_reader_new(1 << 20);
	m = mux_new(1);
	return w.reader && m ? 0 : -1;
}

static int close_world(void **state)
{
	(void)state;
	for (size_t i = 0; m && i < SUBS; i++) /* after a failure of the random schedules */
		mux_unsubscribe(m, &watches[i].sub);
	world_cut(&w);
	envelope_reader_free(&w.reader);
	mux_free(&m);
	mux_free(&m);
	return m != NULL;
}

static void ask(struct mux_sub *s, const char *cluster, const char *path, const char *query)
{
	assert_int_equal(
	        mux_subscribe(m, s, span_of(cluster), span_of(path), span_of(query), w.now_ns),
	        ERR_OK);
}

/* The next frame to send; "" is none. */
static const char *sent(void)
{
	frame[mux_take(m, w.now_ns, frame, MUX_MESSAGE_BYTES_MAX)] = 0;
	const char *at = strstr(frame, "\"userId\":\"");
	if (at)
		memcpy(last_user, at + 10, MUX_USER_BYTES);
	return frame;
}

static bool sent_has(const char *part)
{
	return strstr(sent(), part);
}

static struct mux_event hear(const char *text)
{
	struct mux_event ev;
	struct span d = doc(text);
	assert_int_equal(mux_on_message(m, w.reader, d, w.now_ns, &ev, NULL), ERR_OK);
	doc_free(&d);
	return ev;
}

/* What may be said of watches that perhaps ended. */
static void forgotten(void)
{
	assert_string_equal(sent(), "");
	assert_int_equal(mux_deadline(m), w.now_ns + MUX_FORGET_MS * (SECOND / 1000));
	w.now_ns += MUX_FORGET_MS * (SECOND / 1000);
}

#define ON(cluster, path, user)                                                                    \
	"{\"clusterId\":\"" cluster "\",\"path\":\"" path "\",\"query\":\"\",\"userId\":\"" user   \
	"\",\"data\":"
#define STATUS(cluster, path, state)                                                               \
	ON(cluster, path, "")                                                                      \
	"\"{\\\"state\\\":\\\"" state "\\\",\\\"error\\\":\\\"\\\"}\",\"type\":"                   \
	"\"STATUS\"}\n"

/* A frame for whoever was in the frame that was sent last. */
static struct mux_event hear_from(const char *place, const char *data, const char *type)
{
	char text[512];
	snprintf(text, sizeof text,
	        "{%s,\"query\":\"\",\"userId\":\"%s\",\"data\":\"%s\",\"type\":\"%s\"}", place,
	        last_user, data, type);
	return hear(text);
}
#define PODS_OF_A "\"clusterId\":\"a\",\"path\":\"/pods\""

static void nothing_is_pending(void)
{
	struct mux_event ev;
	assert_false(mux_next_event(m, &ev));
	assert_int_equal(ev.type, MUX_NOTHING);
}

/* --- What is sent --------------------------------------------------------------------------- */

static void a_request_waits_for_the_socket(void **state)
{
	(void)state;
	struct mux_sub s = {0};
	ask(&s, "admin", "/api/v1/pods", "watch=1&resourceVersion=306");
	assert_int_equal(s.state, MUX_SUB_QUEUED);
	assert_string_equal(sent(), "");
	mux_on_open(m, 0);
	const char *text = sent();
	static const char head[] = "{\"clusterId\":\"admin\",\"path\":\"/api/v1/pods\",\"query\":"
	                           "\"watch=1&resourceVersion=306\",\"userId\":\"";
	assert_memory_equal(text, head, sizeof head - 1);
	assert_string_equal(text + sizeof head - 1 + MUX_USER_BYTES, "\",\"type\":\"REQUEST\"}");
	assert_int_equal(strspn(text + sizeof head - 1, "0123456789abcdef"), MUX_USER_BYTES);
	assert_int_equal(s.state, MUX_SUB_ASKED);
	assert_string_equal(sent(), "");
	mux_unsubscribe(m, &s);
	assert_int_equal(s.state, MUX_SUB_IDLE);
	assert_true(sent_has("\"type\":\"CLOSE\"}"));
	assert_string_equal(sent(), "");
	mux_unsubscribe(m, &s); /* again is harmless */
}

static void a_queued_one_goes_without_a_word(void **state)
{
	(void)state;
	struct mux_sub s = {0};
	ask(&s, "a", "/pods", "q");
	mux_unsubscribe(m, &s);
	mux_on_open(m, 0);
	assert_string_equal(sent(), "");
}

static void what_cannot_be_sent_is_refused(void **state)
{
	(void)state;
	struct mux_sub s = {0};
	char *big = malloc(MUX_MESSAGE_BYTES_MAX);
	memset(big, 'x', MUX_MESSAGE_BYTES_MAX);
	struct span x = {big, MUX_MESSAGE_BYTES_MAX}, some = {big, 16000};
	assert_int_equal(mux_subscribe(m, &s, SPAN(""), SPAN("/p"), SPAN("q"), 0), ERR_ARGUMENT);
	assert_int_equal(mux_subscribe(m, &s, SPAN("a"), SPAN(""), SPAN("q"), 0), ERR_ARGUMENT);
	assert_int_equal(mux_subscribe(m, &s, SPAN("a"), SPAN("/p"), x, 0), ERR_LIMIT);
	assert_int_equal(s.state, MUX_SUB_IDLE);
	assert_int_equal(mux_set_query(m, &s, SPAN("q")), ERR_ARGUMENT);
	assert_int_equal(mux_subscribe(m, &s, SPAN("a"), SPAN("/p"), some, 0), ERR_OK);
	memset(big, '"', 16000);
	assert_int_equal(mux_set_query(m, &s, some), ERR_LIMIT);
	mux_on_open(m, 0);
	assert_int_equal(mux_take(m, 0, frame, 8000), 0); /* it stays at the head */
	assert_true(sent_has("xxx"));
	mux_unsubscribe(m, &s);
	free(big);
}

static void unknown_clusters_are_asked_one_at_a_time(void **state)
{
	(void)state;
	struct mux_sub a[2] = {{0}}, b[2] = {{0}};
	mux_on_open(m, 0);
	assert_int_equal(mux_blocked_by(m).n, 0);
	ask(&a[0], "a", "/pods", "q");
	ask(&b[0], "b", "/pods", "q");
	ask(&b[1], "b", "/nodes", "q");
	ask(&a[1], "a", "/nodes", "q");
	w.now_ns = 5;
	assert_true(sent_has("\"a\",\"path\":\"/pods\""));
	assert_string_equal(sent(), "");
	assert_span(mux_blocked_by(m), "a");
	assert_int_equal(hear(STATUS("a", "/pods", "connected")).sub == &a[0], 1);
	assert_true(sent_has("\"a\",\"path\":\"/nodes\"")); /* before b, which was first */
	assert_true(sent_has("\"b\",\"path\":\"/pods\""));
	assert_string_equal(sent(), "");
	for (int i = 0; i < 2; i++) {
		mux_unsubscribe(m, &a[i]);
		mux_unsubscribe(m, &b[i]);
	}
}

static void a_cluster_that_fails_waits_behind_the_others(void **state)
{
	(void)state;
	struct mux_sub a[2] = {{0}}, b = {0};
	mux_on_open(m, 0);
	ask(&a[0], "a", "/pods", "q");
	ask(&a[1], "a", "/nodes", "q");
	ask(&b, "b", "/pods", "q");
	assert_true(sent_has("\"a\",\"path\":\"/pods\""));
	struct mux_event ev = hear_from(PODS_OF_A, "{\\\"error\\\":\\\"no\\\"}", "ERROR");
	assert_int_equal(ev.type, MUX_FAILED);
	assert_true(sent_has("\"b\""));
	assert_string_equal(sent(), "");
	hear(STATUS("b", "/pods", "connected"));
	assert_true(sent_has("\"a\",\"path\":\"/nodes\""));
	mux_unsubscribe(m, &a[1]);
	mux_unsubscribe(m, &b);
}

/* The ids come from a generator that can be run on from any one of them, so a hostile backend knows
 * those that it has not seen yet. */
static void nobody_answers_a_request_that_was_not_sent(void **state)
{
	(void)state;
	struct mux_sub a = {0}, b = {0};
	mux_on_open(m, 0);
	ask(&a, "a", "/pods", "q");
	ask(&b, "b", "/pods", "q");
	assert_true(sent_has("\"a\""));
	assert_string_equal(sent(), "");
	struct prng ids = {1}; /* the seed of open_world */
	prng_next(&ids);       /* the tables' */
	char own[MUX_USER_BYTES + 1];
	snprintf(own, sizeof own, "%016llx", (unsigned long long)prng_next(&ids));
	assert_string_equal(own, last_user);
	snprintf(last_user, sizeof last_user, "%016llx", (unsigned long long)prng_next(&ids));
	static const char place[] = "\"clusterId\":\"b\",\"path\":\"/pods\"";
	assert_int_equal(hear_from(place, "{}", "DATA").type, MUX_NOTHING);
	assert_int_equal(hear_from(place, "{\\\"error\\\":\\\"no\\\"}", "ERROR").type, MUX_NOTHING);
	assert_int_equal(b.state, MUX_SUB_QUEUED);
	assert_ptr_equal(hear(STATUS("a", "/pods", "connected")).sub, &a);
	assert_true(sent_has("\"b\"")); /* its turn came */
	mux_unsubscribe(m, &a);
	mux_unsubscribe(m, &b);
}

static void a_cluster_whose_watch_ended_does_not_wait_for_a_dead_one(void **state)
{
	(void)state;
	struct mux_sub a[3] = {{0}}, dead = {0};
	mux_on_open(m, 0);
	for (int i = 0; i < 2; i++) {
		ask(&a[i], "a", i ? "/nodes" : "/pods", "q");
		sent();
		hear(i ? STATUS("a", "/nodes", "connected") : STATUS("a", "/pods", "connected"));
	}
	ask(&dead, "dead", "/pods", "q");
	assert_true(sent_has("\"dead\""));
	assert_int_equal(hear(STATUS("a", "/pods", "closed")).type, MUX_ENDED);
	assert_int_equal(hear(STATUS("a", "/nodes", "closed")).type, MUX_ENDED);
	for (int i = 0; i < 3; i++)
		ask(&a[i], "a", i == 1 ? "/nodes" : "/pods", "q");
	assert_true(sent_has("CLOSE"));
	assert_true(sent_has("CLOSE"));
	assert_true(sent_has("\"path\":\"/pods\""));
	assert_string_equal(sent(), ""); /* one at a time: it may be dead as well */
	assert_ptr_equal(hear(STATUS("a", "/pods", "connected")).sub, &a[0]);
	assert_true(sent_has("REQUEST"));
	assert_true(sent_has("REQUEST"));
	hear(STATUS("a", "/nodes", "connected"));
	assert_int_equal(hear(STATUS("a", "/nodes", "closed")).type, MUX_ENDED);
	ask(&a[1], "a", "/nodes", "q");
	assert_true(sent_has("CLOSE"));
	assert_true(sent_has("REQUEST"));
	const char *nodes = "\"clusterId\":\"a\",\"path\":\"/nodes\"";
	assert_int_equal(hear_from(nodes, "down", "ERROR").type, MUX_FAILED);
	ask(&a[1], "a", "/nodes", "q");
	assert_string_equal(sent(), ""); /* now it waits behind the other one */
	for (int i = 0; i < 3; i++)
		mux_unsubscribe(m, &a[i]);
	mux_unsubscribe(m, &dead);
}

static void a_close_overtakes_requests(void **state)
{
	(void)state;
	struct mux_sub a = {0}, b = {0}, c = {0};
	mux_on_open(m, 0);
	ask(&a, "a", "/pods", "q");
	sent();
	hear(STATUS("a", "/pods", "connected"));
	ask(&b, "a", "/nodes", "q");
	ask(&c, "c", "/nodes", "q");
	mux_unsubscribe(m, &a);
	assert_true(sent_has("\"type\":\"CLOSE\""));
	assert_true(sent_has("\"path\":\"/nodes\""));
	mux_unsubscribe(m, &b);
	mux_unsubscribe(m, &c);
}

/* --- What comes ----------------------------------------------------------------------------- */

static void documents_go_to_the_user_that_they_name(void **state)
{
	(void)state;
	struct mux_sub s = {0};
	mux_on_open(m, 0);
	ask(&s, "a", "/pods", "q");
	sent();
	assert_int_equal(hear(STATUS("a", "/nodes", "connected")).type, MUX_NOTHING);
	assert_int_equal(hear(STATUS("b", "/pods", "connected")).type, MUX_NOTHING);
	struct mux_event ev = hear(STATUS("a", "/pods", "connected"));
	assert_int_equal(ev.type, MUX_OPENED);
	assert_ptr_equal(ev.sub, &s);
	assert_int_equal(s.state, MUX_SUB_OPEN);
	ev = hear_from(PODS_OF_A, "{}", "DATA");
	assert_int_equal(ev.type, MUX_DOCUMENT);
	assert_ptr_equal(ev.sub, &s);
	assert_int_equal(ev.data.n, 2);
	assert_int_equal(hear_from(PODS_OF_A, "{}", "COMPLETE").type, MUX_NOTHING);
	assert_int_equal(hear_from(PODS_OF_A, "{}", "NEW").type, MUX_NOTHING);
	const char *other = "\"clusterId\":\"a\",\"path\":\"/nodes\"";
	assert_int_equal(hear_from(other, "{}", "DATA").type, MUX_NOTHING);
	assert_int_equal(
	        hear(ON("a", "/pods", "0123456789abcdef") "\"{}\",\"type\":\"DATA\"}").type,
	        MUX_NOTHING);
	assert_int_equal(
	        hear(ON("a", "/pods", "u1") "\"{}\",\"type\":\"DATA\"}").type, MUX_NOTHING);
	assert_int_equal(
	        hear(ON("a", "/pods", "0123456789ABCDEF") "\"{}\",\"type\":\"DATA\"}").type,
	        MUX_NOTHING);
	mux_unsubscribe(m, &s);
	assert_int_equal(hear_from(PODS_OF_A, "{}", "DATA").type, MUX_NOTHING);
}

static void a_document_before_its_status_opens(void **state)
{
	(void)state;
	struct mux_sub s = {0};
	struct mux_event ev;
	mux_on_open(m, 0);
	ask(&s, "a", "/pods", "q");
	sent();
	assert_int_equal(hear_from(PODS_OF_A, "{}", "DATA").type, MUX_OPENED);
	assert_true(mux_next_event(m, &ev));
	assert_int_equal(ev.type, MUX_DOCUMENT);
	assert_ptr_equal(ev.sub, &s);
	nothing_is_pending();
	mux_unsubscribe(m, &s);
}

static void an_error_says_whose_it_is(void **state)
{
	(void)state;
	struct mux_sub s[2] = {{0}};
	mux_on_open(m, 0);
	ask(&s[0], "a", "/pods", "q");
	sent();
	hear(STATUS("a", "/pods", "connected"));
	ask(&s[1], "a", "/pods", "q");
	sent();
	assert_int_equal(hear(STATUS("a", "/pods", "error")).type, MUX_NOTHING);
	nothing_is_pending();
	struct mux_event ev = hear_from(PODS_OF_A, "{\\\"error\\\":\\\"bad\\\"}", "ERROR");
	assert_int_equal(ev.type, MUX_FAILED);
	assert_ptr_equal(ev.sub, &s[1]);
	assert_int_equal(ev.data.n, 3);
	assert_int_equal(s[1].state, MUX_SUB_IDLE);
	assert_int_equal(s[0].state, MUX_SUB_OPEN);
	assert_string_equal(sent(), ""); /* nothing to close */
	mux_unsubscribe(m, &s[0]);
}

static void open_two(struct mux_sub *s)
{
	mux_on_open(m, 0);
	for (int i = 0; i < 2; i++) {
		ask(&s[i], "a", "/pods", i ? "q=1" : "q=0");
		sent();
		assert_ptr_equal(hear(STATUS("a", "/pods", "connected")).sub, &s[i]);
	}
}

/* Up to 0.42 its text alone, of the REQUEST under way. */
static void an_older_backend_names_the_cluster_only(void **state)
{
	(void)state;
	static const char no[] = "{\"clusterId\":\"a\",\"error\":\"bad handshake\"}\n";
	struct mux_sub s[3] = {{0}};
	open_two(s);
	ask(&s[2], "a", "/nodes", "q");
	assert_int_equal(hear(no).type, MUX_NOTHING); /* nothing is under way */
	sent();
	assert_int_equal(hear("{\"clusterId\":\"b\",\"error\":\"no\"}").type, MUX_NOTHING);
	assert_int_equal(hear("{\"clusterId\":\"a\"}").type, MUX_NOTHING);
	assert_int_equal(s[2].state, MUX_SUB_ASKED);
	assert_int_equal(hear(STATUS("a", "/nodes", "error")).type, MUX_NOTHING);
	struct mux_event ev = hear(no);
	assert_int_equal(ev.type, MUX_FAILED);
	assert_ptr_equal(ev.sub, &s[2]);
	assert_int_equal(ev.data.n, strlen("bad handshake"));
	assert_memory_equal(ev.data.p, "bad handshake", ev.data.n);
	assert_true(sent_has("CLOSE")); /* should it have been an assertion's */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(s[i].state, MUX_SUB_OPEN);
		mux_unsubscribe(m, &s[i]);
	}
}

static void a_single_watch_that_ends_has_ended(void **state)
{
	(void)state;
	struct mux_sub s = {0};
	static const char *const ends[] = {
	        STATUS("a", "/pods", "closed"), STATUS("a", "/pods", "error")};
	mux_on_open(m, 0);
	for (int i = 0; i < 2; i++) {
		ask(&s, "a", "/pods", "q");
		assert_true(sent_has("REQUEST"));
		assert_int_equal(hear(STATUS("a", "/pods", "closed")).type, MUX_NOTHING);
		hear(STATUS("a", "/pods", "connected"));
		struct mux_event ev = hear(ends[i]);
		assert_int_equal(ev.type, MUX_ENDED);
		assert_ptr_equal(ev.sub, &s);
		assert_int_equal(s.state, MUX_SUB_IDLE);
		nothing_is_pending();
		assert_true(sent_has("CLOSE")); /* in case that it was another one's */
		assert_string_equal(sent(), "");
	}
}

static void one_of_two_that_ends_is_asked_for_again(void **state)
{
	(void)state;
	struct mux_sub s[2] = {{0}};
	open_two(s);
	assert_int_equal(mux_set_query(m, &s[0], SPAN("q=0&longer")), ERR_OK);
	assert_int_equal(hear(STATUS("a", "/pods", "closed")).type, MUX_NOTHING);
	forgotten();
	assert_ptr_equal(mux_wants_query(m, w.now_ns), &s[0]);
	assert_true(sent_has("\"query\":\"q=0&longer\""));
	assert_true(sent_has("\"query\":\"q=1\""));
	assert_string_equal(sent(), "");
	assert_int_equal(mux_deadline(m), UINT64_MAX); /* their silence is an answer */
	assert_int_equal(hear(STATUS("a", "/pods", "connected")).type, MUX_NOTHING);
	assert_int_equal(s[0].state, MUX_SUB_OPEN);
	/* Something came through the second one only; then one of them ends once more. */
	assert_int_equal(hear_from(PODS_OF_A, "{}", "DATA").sub == &s[1], 1);
	struct mux_event ev = hear(STATUS("a", "/pods", "closed"));
	assert_int_equal(ev.type, MUX_ENDED);
	assert_ptr_equal(ev.sub, &s[0]);
	nothing_is_pending();
	assert_true(sent_has("CLOSE"));
	forgotten();
	assert_true(sent_has("REQUEST"));
	assert_string_equal(sent(), "");
	mux_unsubscribe(m, &s[1]);
}

static void an_assertion_that_fails_says_whose_it_was(void **state)
{
	(void)state;
	struct mux_sub s[2] = {{0}};
	open_two(s);
	hear(STATUS("a", "/pods", "closed"));
	forgotten();
	sent();
	sent();
	assert_int_equal(hear(STATUS("a", "/pods", "error")).type, MUX_NOTHING);
	struct mux_event ev = hear_from(PODS_OF_A, "gone", "ERROR");
	assert_int_equal(ev.type, MUX_FAILED);
	assert_ptr_equal(ev.sub, &s[1]);
	assert_true(sent_has("CLOSE"));
	assert_int_equal(s[0].state, MUX_SUB_OPEN);
	mux_unsubscribe(m, &s[0]);
}

static void the_echo_of_our_own_close_ends_nobody(void **state)
{
	(void)state;
	struct mux_sub s[2] = {{0}};
	open_two(s);
	mux_unsubscribe(m, &s[0]);
	assert_true(sent_has("CLOSE"));
	for (int i = 0; i < 2; i++) { /* at the latest the second one is not an echo */
		struct mux_event ev = hear(STATUS("a", "/pods", "closed"));
		assert_int_equal(ev.type, i ? MUX_ENDED : MUX_NOTHING);
		if (i == 0)
			forgotten();
		assert_true(sent_has(i ? "CLOSE" : "REQUEST"));
	}
	assert_int_equal(s[1].state, MUX_SUB_IDLE);
}

static void an_answer_to_one_who_left_is_not_given_to_another(void **state)
{
	(void)state;
	struct mux_sub s[3] = {{0}};
	open_two(s);
	mux_unsubscribe(m, &s[1]);
	ask(&s[1], "a", "/pods", "new");
	ask(&s[2], "a", "/pods", "third");
	while (*sent())
		;
	mux_unsubscribe(m, &s[1]);
	assert_int_equal(hear(STATUS("a", "/pods", "connected")).type, MUX_NOTHING);
	assert_ptr_equal(hear(STATUS("a", "/pods", "connected")).sub, &s[2]);
	mux_unsubscribe(m, &s[0]);
	mux_unsubscribe(m, &s[2]);
}

static void several_ends_come_one_by_one(void **state)
{
	(void)state;
	struct mux_sub s[2] = {{0}};
	struct mux_event ev;
	open_two(s);
	for (int i = 0; i < 2; i++) {
		hear(STATUS("a", "/pods", "closed"));
		if (i == 0) {
			forgotten();
			while (*sent())
				;
		}
	}
	assert_int_equal(s[0].state, MUX_SUB_IDLE);
	assert_int_equal(s[1].state, MUX_SUB_IDLE);
	/* The first was handed out by hear(). Who goes before being told is not told. */
	assert_true(s[0].key == NULL || s[1].key == NULL);
	mux_unsubscribe(m, &s[1]);
	assert_false(mux_next_event(m, &ev));
}

static void a_frame_that_cannot_be_read_is_an_error(void **state)
{
	(void)state;
	struct mux_event ev;
	struct span d = doc("{\"clusterId\":\"a\"");
	assert_int_equal(mux_on_message(m, w.reader, d, 0, &ev, NULL), ERR_HEADLAMP_FRAME);
	assert_int_equal(ev.type, MUX_NOTHING);
	doc_free(&d);
}

static void a_lost_socket_ends_what_was_asked_or_open(void **state)
{
	(void)state;
	struct mux_sub s[4] = {{0}};
	open_two(s);
	ask(&s[2], "b", "/pods", "q");
	ask(&s[3], "c", "/pods", "q");
	assert_true(sent_has("\"b\""));
	mux_on_lost(m);
	for (int i = 0; i < 3; i++)
		assert_int_equal(s[i].state, MUX_SUB_IDLE);
	assert_int_equal(s[3].state, MUX_SUB_QUEUED);
	assert_int_equal(mux_deadline(m), UINT64_MAX);
	assert_string_equal(sent(), "");
	mux_on_open(m, 0);
	assert_true(sent_has("\"c\""));
	assert_string_equal(sent(), ""); /* nothing of the former socket */
	mux_unsubscribe(m, &s[3]);
}

static void silence_is_noticed(void **state)
{
	(void)state;
	struct mux_sub s[3] = {{0}};
	mux_on_open(m, 0);
	w.now_ns = 10 * SECOND;
	for (int i = 0; i < 3; i++)
		ask(&s[i], "a", "/pods", "q");
	sent();
	assert_int_equal(mux_deadline(m), 70 * SECOND);
	w.now_ns = 50 * SECOND;
	hear(STATUS("a", "/pods", "connected"));
	assert_int_equal(mux_deadline(m), UINT64_MAX);
	sent();
	w.now_ns = 60 * SECOND;
	sent();
	w.now_ns = 70 * SECOND;
	hear(STATUS("a", "/pods", "connected")); /* it works on: the clock starts anew */
	assert_int_equal(mux_deadline(m), 130 * SECOND);
	assert_false(mux_overdue(m, 130 * SECOND - 1));
	assert_true(mux_overdue(m, 130 * SECOND));
	for (int i = 0; i < 3; i++)
		mux_unsubscribe(m, &s[i]);
	assert_true(mux_overdue(m, 130 * SECOND)); /* the answer is still owed */
	w.now_ns = 0;
}

/* Others are answered, but this one is not: its answer was lost, or all come so late that whoever
 * asked has given up before (after 30 s), asks again, and so on without an end. */
static void late_answer_is_noticed(void **state)
{
	(void)state;
	struct mux_sub s[2] = {{0}};
	mux_on_open(m, 0);
	ask(&s[1], "a", "/nodes", "q");
	sent();
	hear(STATUS("a", "/nodes", "connected"));
	ask(&s[0], "a", "/pods", "q");
	sent();
	for (int t = 0; t < MUX_LATE_S; t += 30) {
		w.now_ns = (uint64_t)t * SECOND;
		hear(STATUS("a", "/nodes", "connected"));
		assert_int_equal(mux_overdue(m, w.now_ns), 0);
	}
	assert_int_equal(mux_deadline(m), MUX_LATE_S * SECOND);
	assert_int_equal(mux_overdue(m, MUX_LATE_S * SECOND), MUX_LATE_S);
	for (int i = 0; i < 2; i++)
		mux_unsubscribe(m, &s[i]);
	w.now_ns = 0;
}

/* --- Random schedules ----------------------------------------------------------------------- */

static void set_text(struct watch *x, char *query, size_t cap)
{
	snprintf(query, cap, "watch=1&tag=%s&rv=%u", x->tag, x->version);
}

static void want(struct watch *x)
{
	char query[64];
	x->wanted = true;
	snprintf(x->tag, sizeof x->tag, "%u.%u", (unsigned)(x - watches), ++x->life);
	set_text(x, query, sizeof query);
	ask(&x->sub, x->cluster, x->path, query);
}

static void on_event(struct mux_event ev)
{
	if (ev.type == MUX_NOTHING)
		return;
	struct watch *x = CONTAINER_OF(ev.sub, struct watch, sub);
	assert_true(x->wanted);
	if (ev.type == MUX_DOCUMENT) {
		char of[64], text[256];
		assert_int_equal(x->sub.state, MUX_SUB_OPEN);
		snprintf(of, sizeof of, "tag=%s&", x->tag);
		memcpy(text, ev.data.p, ev.data.n);
		text[ev.data.n] = 0;
		assert_non_null(strstr(text, of));
	} else if (ev.type == MUX_OPENED) {
		assert_int_equal(x->sub.state, MUX_SUB_OPEN);
	} else {
		assert_int_equal(x->sub.state, MUX_SUB_IDLE);
		assert_null(x->sub.key);
	}
}

static void deliver(void)
{
	if (!w.client_count)
		return;
	char *text = world_pop(w.to_client, &w.client_count);
	struct mux_event ev;
	struct span d = doc(text);
	assert_int_equal(mux_on_message(m, w.reader, d, w.now_ns, &ev, NULL), ERR_OK);
	do
		on_event(ev);
	while (mux_next_event(m, &ev));
	doc_free(&d);
	free(text);
}

static bool transmit(void)
{
	size_t n = mux_take(m, w.now_ns, frame, MUX_MESSAGE_BYTES_MAX);
	frame[n] = 0;
	if (n)
		w.to_backend[w.backend_count++] = strdup(frame);
	return n;
}

static void cut(void)
{
	world_cut(&w);
	mux_on_lost(m);
	socket_open = false;
}

static void upstream_step(struct prng *r)
{
	if (!w.key_count)
		return;
	size_t i = prng_below(r, w.key_count);
	struct world_key k = w.keys[i];
	switch (prng_below(r, 8)) {
	case 0: world_end(&w, i, false); break;
	case 1: world_end(&w, i, true); break;
	case 2:
		world_end(&w, i, false);
		world_document(&w, &k); /* late: the data path does not look */
		break;
	default: world_document(&w, &k); break;
	}
}

static void owner_step(struct prng *r)
{
	struct watch *x = &watches[prng_below(r, SUBS)];
	char query[64];
	switch (prng_below(r, 4)) {
	case 0:
		mux_unsubscribe(m, &x->sub);
		x->wanted = false;
		break;
	case 1:
		x->version++;
		set_text(x, query, sizeof query);
		if (x->sub.state != MUX_SUB_IDLE)
			assert_int_equal(mux_set_query(m, &x->sub, span_of(query)), ERR_OK);
		break;
	default:
		if (x->sub.state == MUX_SUB_IDLE)
			want(x);
		break;
	}
}

static void step(struct prng *r)
{
	switch (prng_below(r, 16)) {
	case 0:
	case 1:
	case 2: owner_step(r); break;
	case 3:
	case 4: upstream_step(r); break;
	case 5:
		if (prng_below(r, 10) == 0)
			w.clusters[prng_below(r, WORLD_CLUSTERS)] =
			        (enum world_cluster)prng_below(r, 4);
		break;
	case 6:
		if (socket_open && prng_below(r, 100) == 0)
			cut();
		else if (!socket_open)
			mux_on_open(m, w.now_ns), socket_open = true;
		break;
	case 7:
		if (w.busy_until_ns && !w.client_count) /* the network is faster than a dial */
			w.now_ns = w.busy_until_ns;
		w.now_ns += SECOND / 100;
		break;
	case 8:
	case 9:
	case 10: transmit(); break;
	case 11:
	case 12: world_serve(&w); break;
	default: deliver(); break;
	}
	unsigned overdue_s = mux_overdue(m, w.now_ns);
	assert_int_not_equal(overdue_s, MUX_ANSWER_S);
	if (overdue_s) /* behind more dials than anybody waits for */
		cut();
}

/* All clusters work, nothing new happens; who has ended asks again. */
static void settle(void)
{
	for (int i = 0; i < WORLD_CLUSTERS; i++)
		w.clusters[i] = WORLD_UP;
	if (!socket_open)
		mux_on_open(m, w.now_ns), socket_open = true;
	for (int quiet = 0, rounds = 0; quiet < 4; rounds++) {
		assert_true(rounds < 20000);
		bool moved = transmit();
		w.now_ns = w.busy_until_ns ? w.busy_until_ns : w.now_ns + WORLD_FORGET;
		moved |= world_serve(&w) || w.client_count;
		deliver();
		for (size_t i = 0; i < SUBS && !moved; i++)
			if (watches[i].wanted && watches[i].sub.state == MUX_SUB_IDLE) {
				want(&watches[i]);
				moved = true;
			}
		quiet = moved ? 0 : quiet + 1;
	}
}

static void nothing_is_missing_and_nothing_too_much(void)
{
	size_t wanted = 0;
	for (size_t i = 0; i < SUBS; i++) {
		const struct watch *x = &watches[i];
		char of[64];
		size_t open = 0;
		snprintf(of, sizeof of, "tag=%s&", x->tag);
		for (size_t k = 0; k < w.key_count; k++)
			open += strstr(w.keys[k].query, of) && !strcmp(w.keys[k].path, x->path) &&
			        !strcmp(w.keys[k].cluster, x->cluster);
		wanted += x->wanted;
		assert_int_equal(open, x->wanted);
		assert_int_equal(x->sub.state, x->wanted ? MUX_SUB_OPEN : MUX_SUB_IDLE);
	}
	assert_int_equal(w.key_count, wanted);
	assert_int_equal(mux_deadline(m), UINT64_MAX);
}

static void random_schedules_settle(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		close_world(state);
		open_world(state);
		mux_free(&m);
		m = mux_new(seed);
		struct prng r = {seed};
		memset(watches, 0, sizeof watches);
		socket_open = false;
		for (size_t i = 0; i < SUBS; i++) {
			snprintf(watches[i].cluster, 8, "c%u",
			        (unsigned)prng_below(&r, WORLD_CLUSTERS));
			snprintf(watches[i].path, 16, "/p%u", (unsigned)prng_below(&r, PATHS));
		}
		for (int phase = 0; phase < 4; phase++) {
			for (int i = 0; i < 600; i++)
				step(&r);
			settle();
			nothing_is_missing_and_nothing_too_much();
		}
		assert_true(w.documents > 10);
		for (size_t i = 0; i < SUBS; i++)
			mux_unsubscribe(m, &watches[i].sub);
	}
}

/* A server that closes every watch at once: the requests are as many as the owners ask for, not as
 * many as the socket can carry. */
static void a_server_that_closes_at_once_is_not_stormed(void **state)
{
	(void)state;
	struct mux_sub s[2] = {{0}};
	open_two(s);
	size_t requests = 0;
	struct mux_event ev;
	for (int i = 0; i < 100; i++) {
		hear(STATUS("a", "/pods", "connected"));
		hear(STATUS("a", "/pods", "closed"));
		while (mux_next_event(m, &ev))
			;
		w.now_ns += MUX_FORGET_MS * (SECOND / 1000);
		while (*sent())
			requests += strstr(frame, "REQUEST") != NULL;
	}
	assert_int_equal(requests, 2);
	assert_int_equal(s[0].state, MUX_SUB_IDLE);
	assert_int_equal(s[1].state, MUX_SUB_IDLE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_request_waits_for_the_socket),
	        TEST(a_queued_one_goes_without_a_word),
	        TEST(what_cannot_be_sent_is_refused),
	        TEST(unknown_clusters_are_asked_one_at_a_time),
	        TEST(a_cluster_that_fails_waits_behind_the_others),
	        TEST(nobody_answers_a_request_that_was_not_sent),
	        TEST(a_cluster_whose_watch_ended_does_not_wait_for_a_dead_one),
	        TEST(a_close_overtakes_requests),
	        TEST(documents_go_to_the_user_that_they_name),
	        TEST(a_document_before_its_status_opens),
	        TEST(an_error_says_whose_it_is),
	        TEST(an_older_backend_names_the_cluster_only),
	        TEST(a_single_watch_that_ends_has_ended),
	        TEST(one_of_two_that_ends_is_asked_for_again),
	        TEST(an_assertion_that_fails_says_whose_it_was),
	        TEST(the_echo_of_our_own_close_ends_nobody),
	        TEST(an_answer_to_one_who_left_is_not_given_to_another),
	        TEST(several_ends_come_one_by_one),
	        TEST(a_frame_that_cannot_be_read_is_an_error),
	        TEST(a_lost_socket_ends_what_was_asked_or_open),
	        TEST(silence_is_noticed),
	        TEST(late_answer_is_noticed),
	        TEST(a_server_that_closes_at_once_is_not_stormed),
	        TEST(random_schedules_settle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
