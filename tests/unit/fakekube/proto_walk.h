/* proto_walk.h - the same Pod read twice, as JSON and off the protobuf wire, into lines
 * "path=value" in the order in which they stand. The wire is read by a list of its own, so that the
 * table of the encoder is not tested against itself. */
#ifndef KR_UNIT_FAKEKUBE_PROTO_WALK_H
#define KR_UNIT_FAKEKUBE_PROTO_WALK_H

#include "drive.h"

/* Field numbers, path, and how the leaf is read: s text, i number, b true or false, t time. A map's
 * entries are fields 1 and 2. */
static const struct walk_row {
	const char *numbers, *path;
	char leaf;
} walk_rows[] = {{"1.1", "metadata.name", 's'}, {"1.3", "metadata.namespace", 's'},
        {"1.5", "metadata.uid", 's'}, {"1.6", "metadata.resourceVersion", 's'},
        {"1.7", "metadata.generation", 'i'}, {"1.8.1", "metadata.creationTimestamp", 't'},
        {"1.11.1", "metadata.labels.key", 's'}, {"1.11.2", "metadata.labels.value", 's'},
        {"1.12.1", "metadata.annotations.key", 's'}, {"1.12.2", "metadata.annotations.value", 's'},
        {"1.17.1", "metadata.managedFields.manager", 's'},
        {"1.17.2", "metadata.managedFields.operation", 's'},
        {"1.17.3", "metadata.managedFields.apiVersion", 's'},
        {"1.17.4.1", "metadata.managedFields.time", 't'},
        {"1.17.6", "metadata.managedFields.fieldsType", 's'},
        {"1.17.7.1", "metadata.managedFields.fieldsV1", 's'},
        {"1.17.8", "metadata.managedFields.subresource", 's'}, {"2.1.1", "spec.volumes.name", 's'},
        {"2.1.2.26.1.4.2", "spec.volumes.projected.sources.serviceAccountToken.expirationSeconds",
                'i'},
        {"2.1.2.26.1.4.3", "spec.volumes.projected.sources.serviceAccountToken.path", 's'},
        {"2.1.2.26.1.3.1.1", "spec.volumes.projected.sources.configMap.name", 's'},
        {"2.1.2.26.1.3.2.1", "spec.volumes.projected.sources.configMap.items.key", 's'},
        {"2.1.2.26.1.3.2.2", "spec.volumes.projected.sources.configMap.items.path", 's'},
        {"2.1.2.26.2", "spec.volumes.projected.defaultMode", 'i'},
        {"2.2.1", "spec.containers.name", 's'}, {"2.2.2", "spec.containers.image", 's'},
        {"2.2.6.3", "spec.containers.ports.containerPort", 'i'},
        {"2.2.6.4", "spec.containers.ports.protocol", 's'},
        {"2.2.7.1", "spec.containers.env.name", 's'}, {"2.2.7.2", "spec.containers.env.value", 's'},
        {"2.2.8.1.1", "spec.containers.resources.limits.key", 's'},
        {"2.2.8.1.2.1", "spec.containers.resources.limits.value", 's'},
        {"2.2.8.2.1", "spec.containers.resources.requests.key", 's'},
        {"2.2.8.2.2.1", "spec.containers.resources.requests.value", 's'},
        {"2.2.13", "spec.containers.terminationMessagePath", 's'},
        {"2.2.20", "spec.containers.terminationMessagePolicy", 's'},
        {"2.2.14", "spec.containers.imagePullPolicy", 's'}, {"2.3", "spec.restartPolicy", 's'},
        {"2.4", "spec.terminationGracePeriodSeconds", 'i'}, {"2.6", "spec.dnsPolicy", 's'},
        {"2.8", "spec.serviceAccountName", 's'}, {"2.9", "spec.serviceAccount", 's'},
        {"2.10", "spec.nodeName", 's'}, {"2.14", "spec.securityContext", 'm'},
        {"2.19", "spec.schedulerName", 's'}, {"2.22.1", "spec.tolerations.key", 's'},
        {"2.22.2", "spec.tolerations.operator", 's'}, {"2.22.4", "spec.tolerations.effect", 's'},
        {"2.22.5", "spec.tolerations.tolerationSeconds", 'i'}, {"2.25", "spec.priority", 'i'},
        {"2.30", "spec.enableServiceLinks", 'b'}, {"3.1", "status.phase", 's'},
        {"3.2.1", "status.conditions.type", 's'}, {"3.2.2", "status.conditions.status", 's'},
        {"3.2.4.1", "status.conditions.lastTransitionTime", 't'}, {"3.5", "status.hostIP", 's'},
        {"3.6", "status.podIP", 's'}, {"3.12.1", "status.podIPs.ip", 's'},
        {"3.7.1", "status.startTime", 't'}, {"3.8.1", "status.containerStatuses.name", 's'},
        {"3.8.2.2.1.1", "status.containerStatuses.state.running.startedAt", 't'},
        {"3.8.3", "status.containerStatuses.lastState", 'm'},
        {"3.8.4", "status.containerStatuses.ready", 'b'},
        {"3.8.5", "status.containerStatuses.restartCount", 'i'},
        {"3.8.6", "status.containerStatuses.image", 's'},
        {"3.8.7", "status.containerStatuses.imageID", 's'},
        {"3.8.8", "status.containerStatuses.containerID", 's'},
        {"3.8.9", "status.containerStatuses.started", 'b'}, {"3.9", "status.qosClass", 's'}};

/* --- the wire --- */

struct wire {
	const unsigned char *p, *end;
};

static inline uint64_t wire_varint(struct wire *w)
{
	uint64_t v = 0;
	for (unsigned shift = 0;; shift += 7) {
		assert_true(w->p < w->end && shift < 64);
		v |= (uint64_t)(*w->p & 127) << shift;
		if (!(*w->p++ & 128))
			return v;
	}
}

/* A field: its number; value (varint) or bytes. False: the end. */
static inline bool wire_next(struct wire *w, unsigned *number, uint64_t *value, struct span *bytes)
{
	*bytes = SPAN_NONE;
	if (w->p == w->end)
		return false;
	uint64_t tag = wire_varint(w);
	*number = (unsigned)(tag >> 3);
	*value = wire_varint(w);
	if ((tag & 7) == 2) {
		assert_true(*value <= (uint64_t)(w->end - w->p));
		*bytes = (struct span){(const char *)w->p, (size_t)*value};
		w->p += *value;
	} else {
		assert_int_equal(tag & 7, 0);
	}
	return true;
}

static inline struct wire wire_of(struct span s)
{
	return (struct wire){(const unsigned char *)s.p, (const unsigned char *)s.p + s.n};
}

static inline const struct walk_row *walk_find(const char *numbers)
{
	for (size_t i = 0; i < sizeof walk_rows / sizeof *walk_rows; i++)
		if (strcmp(walk_rows[i].numbers, numbers) == 0)
			return &walk_rows[i];
	return NULL;
}

static inline void walk_wire(struct span message, const char *prefix, struct model_text *out)
{
	struct wire w = wire_of(message);
	unsigned number;
	uint64_t value;
	struct span bytes;
	while (wire_next(&w, &number, &value, &bytes)) {
		char path[64];
		snprintf(path, sizeof path, "%s%s%u", prefix, *prefix ? "." : "", number);
		const struct walk_row *row = walk_find(path);
		if (!row) {
			if (!bytes.p || strlen(path) > 40)
				fail_msg("field %s is in no Pod", path);
			walk_wire(bytes, path, out);
			continue;
		}
		model_text_printf(out, "%s=", row->path);
		if (row->leaf == 's')
			model_text_span(out, bytes);
		else if (row->leaf == 't')
			model_text_time(out, (int64_t)value);
		else if (row->leaf == 'b')
			model_text_str(out, value ? "true" : "false");
		else if (row->leaf == 'i')
			model_text_u64(out, value);
		TEXT_LIT(out, "\n");
	}
}

/* --- JSON, compact --- */

static inline bool walk_is_map(const char *path)
{
	size_t n = strlen(path);
	return strcmp(path, "metadata.labels") == 0 || strcmp(path, "metadata.annotations") == 0 ||
	       (n > 6 && strcmp(path + n - 6, "limits") == 0) ||
	       (n > 8 && strcmp(path + n - 8, "requests") == 0);
}

static inline const char *walk_string(const char *p, struct model_text *out)
{
	assert_int_equal(*p, '"');
	for (p++; *p != '"'; p++) {
		if (*p != '\\') {
			model_text_put(out, p, 1);
			continue;
		}
		p++;
		if (*p == 'u') { /* generated Pods have ASCII there */
			char hex[5] = {p[1], p[2], p[3], p[4], 0};
			char c = (char)strtoul(hex, NULL, 16);
			model_text_put(out, &c, 1);
			p += 4;
		} else {
			assert_non_null(strchr("\"\\/", *p));
			model_text_put(out, p, 1);
		}
	}
	return p + 1;
}

static inline const char *walk_skip(const char *p)
{
	int depth = 0;
	bool text = false;
	do {
		if (*p == '\\')
			p++;
		else if (*p == '"')
			text = !text;
		else if (!text)
			depth += (*p == '{') - (*p == '}');
		p++;
	} while (depth);
	return p;
}

static const char *walk_json(const char *p, const char *path, struct model_text *out);

static inline const char *walk_members(const char *p, const char *path, struct model_text *out)
{
	for (p++; *p != '}'; p += *p == ',') {
		struct model_text key = {0};
		char sub[256];
		p = walk_string(p, &key);
		TEXT_LIT(&key, "\0");
		if (walk_is_map(path)) {
			model_text_printf(out, "%s.key=%s\n", path, key.p);
			snprintf(sub, sizeof sub, "%s.value", path);
		} else {
			snprintf(sub, sizeof sub, "%s%s%s", path, *path ? "." : "", key.p);
		}
		model_text_fini(&key);
		p = walk_json(p + 1, sub, out);
	}
	return p + 1;
}

static const char *walk_json(const char *p, const char *path, struct model_text *out)
{
	const char *raw = strstr(path, "fieldsV1");
	if (*p == '{' && !raw && p[1] != '}')
		return walk_members(p, path, out);
	if (*p == '[') {
		for (p++; *p != ']'; p += *p == ',')
			p = walk_json(p, path, out);
		return p + 1;
	}
	if (strncmp(p, "null", 4) == 0)
		return p + 4;
	bool head = strcmp(path, "kind") == 0 || strcmp(path, "apiVersion") == 0;
	struct model_text value = {0};
	if (*p == '"')
		p = walk_string(p, &value);
	else if (*p == '{' && raw) {
		const char *end = walk_skip(p);
		model_text_put(&value, p, (size_t)(end - p));
		p = end;
	} else if (*p == '{')
		p += 2; /* an empty message */
	else
		for (; !strchr(",}]", *p); p++)
			model_text_put(&value, p, 1);
	if (!head) {
		model_text_printf(out, "%s=", path);
		model_text_span(out, model_text_as_span(&value));
		TEXT_LIT(out, "\n");
	}
	model_text_fini(&value);
	return p;
}

#endif
