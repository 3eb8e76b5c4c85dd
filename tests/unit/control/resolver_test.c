/* resolver_test.c - names that a server on the loopback knows or does not know, and a resolv.conf
 * that changes under a running daemon. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/resolver.h"

enum { TURNS = 400 };
#define MS 1000000ull

struct asked {
	int calls;
	uint32_t id;
	struct resolver_answer answer;
};

static void on_answer(void *arg, uint32_t id, const struct resolver_answer *a)
{
	struct asked *k = arg;
	k->calls++;
	k->id = id;
	k->answer = *a;
}

struct rig {
	struct loop *loop;
	struct resolver *resolver;
	char conf[64];
	struct asked asked;
};

static void write_conf(const struct rig *g, const char *text)
{
	char beside[96];
	snprintf(beside, sizeof beside, "%s.new", g->conf);
	FILE *f = fopen(beside, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(beside, g->conf), 0); /* as resolvconf(8) and DHCP clients do */
}

static void rig_init(struct rig *g, const char *conf)
{
	*g = (struct rig){0};
	snprintf(g->conf, sizeof g->conf, "/tmp/kr-resolv-XXXXXX");
	int fd = mkstemp(g->conf);
	assert_true(fd >= 0);
	close(fd);
	write_conf(g, conf);
	assert_int_equal(loop_new(&g->loop), ERR_OK);
	assert_int_equal(
	        resolver_new(g->loop, g->conf, on_answer, &g->asked, &g->resolver), ERR_OK);
}

static void rig_fini(struct rig *g)
{
	resolver_free(&g->resolver);
	loop_free(&g->loop);
	unlink(g->conf);
}

/* The server of the new file gets the question: this is what it hears of a name. */
static int listen_dns(char *line, size_t size)
{
	struct sockaddr_in a = {
	        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
	a.sin_port = htons(53);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		close(fd);
		return -1;
	}
	snprintf(line, size, "nameserver 127.0.0.2\noptions timeout:1 attempts:1\n");
	return fd;
}

/* Answers what it is asked: A with 192.0.2.7, anything else with nothing. */
static int serve(int fd)
{
	unsigned char p[512];
	struct sockaddr_in from;
	socklen_t size = sizeof from;
	ssize_t n = recvfrom(fd, p, sizeof p - 16, 0, (struct sockaddr *)&from, &size);
	if (n < 12)
		return 0;
	static const unsigned char answer[] = {
	        0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7};
	ssize_t end = 12;
	while (end < n && p[end])
		end += p[end] + 1;
	end += 5;
	if (end > n)
		return 0;
	bool v4 = p[end - 3] == 1;
	p[2] = 0x81, p[3] = 0x80;
	p[6] = 0, p[7] = v4;
	memset(p + 8, 0, 4);
	if (v4)
		memcpy(p + end, answer, sizeof answer);
	(void)!sendto(
	        fd, p, (size_t)end + (v4 ? sizeof answer : 0), 0, (struct sockaddr *)&from, size);
	return 1;
}

static void turn_until(struct rig *g, int calls, int dns)
{
	for (int i = 0; i < TURNS && g->asked.calls < calls; i++) {
		loop_turn(g->loop, loop_now_ns(g->loop) + 20 * MS);
		while (dns >= 0 && serve(dns))
			continue;
	}
	assert_int_equal(g->asked.calls, calls);
}

static void literals_are_no_questions(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g, "nameserver 127.0.0.1\n");
	resolver_ask(g.resolver, 5, "192.0.2.1", 443);
	assert_int_equal(g.asked.calls, 1);
	assert_int_equal(g.asked.id, 5);
	assert_int_equal(g.asked.answer.count, 1);
	resolver_ask(g.resolver, 6, "2001:db8::1", 443);
	assert_int_equal(g.asked.calls, 2);
	assert_int_equal(g.asked.answer.bytes[0], sizeof(struct sockaddr_in6));
	rig_fini(&g);
}

/* A daemon that starts before the network is up, or a laptop that moves. */
static void a_new_resolv_conf_is_used(void **state)
{
	struct rig g;
	char conf[128];
	(void)state;
	int dns = listen_dns(conf, sizeof conf);
	if (dns < 0)
		skip(); /* port 53 of 127.0.0.2 is for root only, or taken */
	rig_init(&g, "nameserver 127.0.0.3\noptions timeout:1 attempts:1\n"); /* nobody there */
	resolver_ask(g.resolver, 1, "api.example.net", 443);
	turn_until(&g, 1, dns);
	assert_int_equal(g.asked.answer.err, ERR_DNS);
	assert_non_null(strstr(g.asked.answer.text, "api.example.net"));
	write_conf(&g, conf);
	resolver_ask(g.resolver, 2, "api.example.net", 443);
	turn_until(&g, 2, dns);
	assert_int_equal(g.asked.id, 2);
	assert_int_equal(g.asked.answer.err, ERR_OK);
	assert_int_equal(g.asked.answer.count, 1);
	const struct sockaddr_in *a = (const void *)&g.asked.answer.at[0];
	assert_int_equal(ntohl(a->sin_addr.s_addr), 0xC0000207);
	assert_int_equal(ntohs(a->sin_port), 443);
	close(dns);
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(literals_are_no_questions),
	        cmocka_unit_test(a_new_resolv_conf_is_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
