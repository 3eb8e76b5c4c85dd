#include "config/server_url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

static bool server_url_is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool server_url_is_host(struct span name)
{
	if (name.n == 0 || name.n > SERVER_URL_HOST_MAX || name.p[0] == '.' || name.p[0] == '-')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool dots = c == '.' && i + 1 < name.n && name.p[i + 1] == '.';
		if (dots || (!server_url_is_alnum(c) && c != '-' && c != '_' && c != '.'))
			return false;
	}
	return true;
}

bool server_url_is_address6(const char *text)
{
	struct in6_addr ignored;
	return inet_pton(AF_INET6, text, &ignored) == 1;
}

static bool server_url_is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 3986 3.3: pchar and '/'. */
static bool server_url_is_path(struct span path)
{
	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];
		if (c == '%') {
			if (i + 2 >= path.n || !server_url_is_hex(path.p[i + 1]) ||
			        !server_url_is_hex(path.p[i + 2]))
				return false;
			i += 2;
		} else if (!server_url_is_alnum(c) &&
		           (c == '\0' || !strchr("-._~!$&'()*+,;=:@/", c))) {
			return false;
		}
	}
	return true;
}

static const char *server_url_port(struct span digits, struct server_url *out)
{
	unsigned port = 0;
	if (digits.n == 0 || digits.n > 5)
		return "the port must be a number from 1 to 65535";
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return "the port must be a number from 1 to 65535";
		port = port * 10 + (unsigned)(digits.p[i] - '0');
	}
	if (port == 0 || port > 65535)
		return "the port must be a number from 1 to 65535";
	out->port = (uint16_t)port;
	return NULL;
}

static const char *server_url_address6(
        struct span authority, struct arena *arena, struct server_url *out, struct span *rest)
{
	const char *end = memchr(authority.p, ']', authority.n);
	if (!end)
		return "'[' without ']'";
	struct span inside = {authority.p + 1, (size_t)(end - authority.p) - 1};
	out->host = arena_copy(arena, inside);
	if (!out->host)
		return "out of memory";
	if (strlen(out->host) != inside.n || !server_url_is_address6(out->host))
		return "what is in brackets is no IPv6 address (zones are not supported)";
	out->host_is_address = true;
	*rest = (struct span){end + 1, authority.n - inside.n - 2};
	return NULL;
}

static const char *server_url_name(
        struct span authority, struct arena *arena, struct server_url *out, struct span *rest)
{
	const char *colon = memchr(authority.p, ':', authority.n);
	struct span host = authority;
	if (colon)
		host.n = (size_t)(colon - authority.p);
	*rest = (struct span){authority.p + host.n, authority.n - host.n};
	if (colon && memchr(colon + 1, ':', rest->n - 1))
		return "an IPv6 address must be in brackets";
	if (host.n == 0)
		return "no host";
	if (!server_url_is_host(host))
		return "not a host name (letters, digits, '-', '_' and '.')";
	struct in_addr ignored;
	out->host = arena_copy(arena, host);
	if (!out->host)
		return "out of memory";
	out->host_is_address = inet_pton(AF_INET, out->host, &ignored) == 1;
	return NULL;
}

static const char *server_url_authority(
        struct span authority, struct arena *arena, struct server_url *out)
{
	struct span rest = SPAN_NONE;
	if (memchr(authority.p, '@', authority.n))
		return "user and password in the URL are not supported; use the user entry";
	const char *wrong = authority.n > 0 && authority.p[0] == '['
	                            ? server_url_address6(authority, arena, out, &rest)
	                            : server_url_name(authority, arena, out, &rest);
	if (wrong)
		return wrong;
	unsigned own_port = out->tls ? 443 : 80;
	out->port = (uint16_t)own_port;
	if (rest.n > 0 && rest.p[0] != ':')
		return "something follows the closing bracket";
	if (rest.n > 0)
		wrong = server_url_port((struct span){rest.p + 1, rest.n - 1}, out);
	if (wrong)
		return wrong;
	bool v6 = authority.p[0] == '[';
	char port[8] = "";
	if (out->port != own_port)
		snprintf(port, sizeof port, ":%u", (unsigned)out->port);
	out->authority =
	        arena_format(arena, "%s%s%s%s", v6 ? "[" : "", out->host, v6 ? "]" : "", port);
	return out->authority ? NULL : "out of memory";
}

const char *server_url_parse(
        const char *text, bool tls_by_default, struct arena *arena, struct server_url *out)
{
	*out = (struct server_url){.tls = tls_by_default};
	if (text[0] == '\0')
		return "is empty";
	if (strnlen(text, SERVER_URL_BYTES_MAX + 1) > SERVER_URL_BYTES_MAX)
		return "is too long";
	const char *scheme_end = strstr(text, "://");
	size_t head = strcspn(text, "/?#");
	bool scheme = scheme_end && (size_t)(scheme_end - text) < head;
	if (scheme) {
		size_t n = (size_t)(scheme_end - text);
		out->tls = n == 5 && strncasecmp(text, "https", n) == 0;
		if (!out->tls && !(n == 4 && strncasecmp(text, "http", n) == 0))
			return "only http and https are supported";
		text = scheme_end + 3;
		head = strcspn(text, "/?#");
	}
	const char *wrong = server_url_authority((struct span){text, head}, arena, out);
	if (wrong)
		return wrong;
	struct span path = {text + head, strcspn(text + head, "?#")};
	while (path.n > 0 && path.p[path.n - 1] == '/')
		path.n--;
	if (path.n > 0 && !scheme)
		return "a path needs a scheme before the host (https://...)";
	if (!server_url_is_path(path))
		return "the path has characters that must be percent-encoded";
	out->path = arena_copy(arena, path);
	out->text = out->path ? arena_format(arena, "http%s://%s%s", out->tls ? "s" : "",
	                                out->authority, out->path)
	                      : NULL;
	return out->text ? NULL : "out of memory";
}
