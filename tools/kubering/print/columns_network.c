/* columns_network.c - services and what they lead to. */
#include <inttypes.h>

#include "kubering/print/columns.h"

enum {
	SHOWN_MAX = 3,       /* endpoints, hosts */
	BALANCER_CHARS = 16, /* of load-balancer addresses */
};

static void shorten(struct text *out, size_t at)
{
	if (out->n - at <= BALANCER_CHARS)
		return;
	out->n = at + BALANCER_CHARS - 3;
	out->p[out->n] = '\0';
	text_add(out, SPAN("..."));
}

/* Addresses of status.loadBalancer, hostnames where there is no IP. */
static bool balancer(struct json_node object, struct text *out)
{
	struct json_iter it = {0};
	struct json_node v;
	struct cell_list l = {0};
	size_t at = out->n;
	while (json_dom_next(json_dom_path(object, "status.loadBalancer.ingress"), &it, NULL, &v)) {
		struct span ip = json_dom_string(json_dom_get(v, "ip"));
		if (cell_list_next(&l, out))
			text_add(out, ip.n > 0 ? ip : json_dom_string(json_dom_get(v, "hostname")));
	}
	shorten(out, at);
	return l.n > 0;
}

static void external_ip(struct json_node object, int64_t now, struct text *out)
{
	struct span type = json_dom_string(json_dom_path(object, "spec.type"));
	struct json_node ips = json_dom_path(object, "spec.externalIPs"), v;
	struct json_iter it = {0};
	struct cell_list l = {0};
	(void)now;
	if (span_is(type, "ExternalName")) {
		text_add(out, json_dom_string(json_dom_path(object, "spec.externalName")));
		return;
	}
	bool lb = span_is(type, "LoadBalancer");
	if (lb && balancer(object, out))
		l.n = 1;
	while (json_dom_next(ips, &it, NULL, &v))
		if (cell_list_next(&l, out))
			text_add(out, json_dom_string(v));
	cell_list_end(&l, out, lb ? "<pending>" : "<none>");
}

static void service_ports(struct json_node object, int64_t now, struct text *out)
{
	struct json_iter it = {0};
	struct json_node v;
	struct cell_list l = {0};
	(void)now;
	while (json_dom_next(json_dom_path(object, "spec.ports"), &it, NULL, &v)) {
		int64_t node = json_dom_int(json_dom_get(v, "nodePort"), 0);
		if (!cell_list_next(&l, out))
			continue;
		text_printf(out, "%" PRId64, json_dom_int(json_dom_get(v, "port"), 0));
		if (node > 0)
			text_printf(out, ":%" PRId64, node);
		text_add_char(out, '/');
		cell_text(out, json_dom_get(v, "protocol"), "TCP");
	}
	cell_list_end(&l, out, "<none>");
}

static const struct column services[] = {COLUMN_NAME, {"TYPE", CELL_TEXT, "spec.type", NULL, NULL},
        {"CLUSTER-IP", CELL_TEXT, "spec.clusterIP", "<none>", NULL},
        {"EXTERNAL-IP", CELL_WRITE, NULL, NULL, external_ip},
        {"PORT(S)", CELL_WRITE, NULL, NULL, service_ports}, COLUMN_AGE, COLUMN_END};

/* --- endpoints ----------------------------------------------------------------------- */

static void add_endpoint(struct cell_list *l, struct text *out, struct span ip, int64_t port)
{
	if (!cell_list_next(l, out))
		return;
	bool six = memchr(ip.p, ':', ip.n) != NULL;
	if (port < 0)
		text_printf(out, "%.*s", SPAN_ARG(ip));
	else
		text_printf(out, six ? "[%.*s]:%" PRId64 : "%.*s:%" PRId64, SPAN_ARG(ip), port);
}

static void add_subset(struct cell_list *l, struct text *out, struct json_node subset, int64_t port)
{
	struct json_iter it = {0};
	struct json_node a;
	while (json_dom_next(json_dom_get(subset, "addresses"), &it, NULL, &a)) {
		struct span ip = json_dom_string(json_dom_get(a, "ip"));
		if (ip.n > 0)
			add_endpoint(l, out, ip, port);
	}
}

static void endpoints_of(struct json_node object, int64_t now, struct text *out)
{
	struct json_iter it = {0};
	struct json_node subset, p;
	struct cell_list l = {.most = SHOWN_MAX};
	(void)now;
	while (json_dom_next(json_dom_get(object, "subsets"), &it, NULL, &subset)) {
		struct json_iter ports = {0};
		bool any = false;
		while (json_dom_next(json_dom_get(subset, "ports"), &ports, NULL, &p)) {
			any = true;
			add_subset(&l, out, subset, json_dom_int(json_dom_get(p, "port"), 0));
		}
		if (!any)
			add_subset(&l, out, subset, -1);
	}
	cell_list_end(&l, out, "<none>");
}

static void slice_ports(struct json_node object, int64_t now, struct text *out)
{
	struct json_iter it = {0};
	struct json_node p;
	struct cell_list l = {.most = SHOWN_MAX};
	(void)now;
	while (json_dom_next(json_dom_get(object, "ports"), &it, NULL, &p))
		if (cell_list_next(&l, out))
			cell_text(out, json_dom_get(p, "port"), "*");
	cell_list_end(&l, out, "<unset>");
}

static void slice_endpoints(struct json_node object, int64_t now, struct text *out)
{
	struct json_iter it = {0};
	struct json_node e, a;
	struct cell_list l = {.most = SHOWN_MAX};
	(void)now;
	while (json_dom_next(json_dom_get(object, "endpoints"), &it, NULL, &e)) {
		struct json_iter at = {0};
		while (json_dom_next(json_dom_get(e, "addresses"), &at, NULL, &a))
			if (cell_list_next(&l, out))
				text_add(out, json_dom_string(a));
	}
	cell_list_end(&l, out, "<unset>");
}

static const struct column endpoints[] = {
        COLUMN_NAME, {"ENDPOINTS", CELL_WRITE, NULL, NULL, endpoints_of}, COLUMN_AGE, COLUMN_END};

static const struct column slices[] = {COLUMN_NAME,
        {"ADDRESSTYPE", CELL_TEXT, "addressType", NULL, NULL},
        {"PORTS", CELL_WRITE, NULL, NULL, slice_ports},
        {"ENDPOINTS", CELL_WRITE, NULL, NULL, slice_endpoints}, COLUMN_AGE, COLUMN_END};

/* --- ingresses, policies ------------------------------------------------------------- */

static void ingress_hosts(struct json_node object, int64_t now, struct text *out)
{
	struct json_iter it = {0};
	struct json_node r;
	struct cell_list l = {.most = SHOWN_MAX};
	(void)now;
	while (json_dom_next(json_dom_path(object, "spec.rules"), &it, NULL, &r)) {
		struct span host = json_dom_string(json_dom_get(r, "host"));
		if (host.n > 0 && cell_list_next(&l, out))
			text_add(out, host);
	}
	cell_list_end(&l, out, "*");
}

static void ingress_address(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	(void)balancer(object, out);
}

static void ingress_ports(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	text_add(out,
	        cell_count(json_dom_path(object, "spec.tls")) > 0 ? SPAN("80, 443") : SPAN("80"));
}

static const struct column ingresses[] = {COLUMN_NAME,
        {"CLASS", CELL_TEXT, "spec.ingressClassName", "<none>", NULL},
        {"HOSTS", CELL_WRITE, NULL, NULL, ingress_hosts},
        {"ADDRESS", CELL_WRITE, NULL, NULL, ingress_address},
        {"PORTS", CELL_WRITE, NULL, NULL, ingress_ports}, COLUMN_AGE, COLUMN_END};

static void class_parameters(struct json_node object, int64_t now, struct text *out)
{
	struct json_node p = json_dom_path(object, "spec.parameters");
	struct span group = json_dom_string(json_dom_get(p, "apiGroup"));
	(void)now;
	if (!json_dom_exists(p)) {
		text_add(out, SPAN("<none>"));
		return;
	}
	cell_text(out, json_dom_get(p, "kind"), NULL);
	if (group.n > 0)
		text_printf(out, ".%.*s", SPAN_ARG(group));
	text_add_char(out, '/');
	cell_text(out, json_dom_get(p, "name"), NULL);
}

static const struct column classes[] = {COLUMN_NAME,
        {"CONTROLLER", CELL_TEXT, "spec.controller", NULL, NULL},
        {"PARAMETERS", CELL_WRITE, NULL, NULL, class_parameters}, COLUMN_AGE, COLUMN_END};

static const struct column cidrs[] = {
        COLUMN_NAME, {"CIDRS", CELL_JOIN, "spec.cidrs", NULL, NULL}, COLUMN_AGE, COLUMN_END};

const struct column_set columns_network[] = {
        {"services", services},
        {"endpoints", endpoints},
        {"endpointslices.discovery.k8s.io", slices},
        {"ingresses.networking.k8s.io", ingresses},
        {"ingressclasses.networking.k8s.io", classes},
        {"servicecidrs.networking.k8s.io", cidrs},
        {NULL, NULL},
};
