/* Which member is which field: the numbers of k8s.io/api/core/v1, apimachinery's meta/v1 and
 * api/resource. In the order in which the members are printed, which is where they are looked for
 * first. */
#include "base/check.h"
#include "model/model_proto.h"

#define ROW(name, number, type)                                                                    \
	{                                                                                          \
		name, sizeof(name) - 1, number, 0, MODEL_PROTO_##type, NULL                        \
	}
#define SUB(name, number, message)                                                                 \
	{                                                                                          \
		name, sizeof(name) - 1, number, 0, MODEL_PROTO_MESSAGE, &message##_message         \
	}
/* Of an embedded struct, which is field via. */
#define VIA(name, via, number, type, message)                                                      \
	{                                                                                          \
		name, sizeof(name) - 1, number, via, MODEL_PROTO_##type, message                   \
	}
#define MESSAGE(name)                                                                              \
	{                                                                                          \
		name##_fields, ARRAY_LEN(name##_fields)                                            \
	}

typedef const struct model_proto_field fields;
typedef const struct model_proto_message message;

/* --- meta/v1 --- */

static fields owner_fields[] = {ROW("apiVersion", 5, STRING), ROW("kind", 1, STRING),
        ROW("name", 3, STRING), ROW("uid", 4, STRING), ROW("controller", 6, BOOL),
        ROW("blockOwnerDeletion", 7, BOOL)};
static message owner_message = MESSAGE(owner);

static fields managed_fields[] = {ROW("manager", 1, STRING), ROW("operation", 2, STRING),
        ROW("apiVersion", 3, STRING), ROW("time", 4, TIME), ROW("fieldsType", 6, STRING),
        ROW("fieldsV1", 7, RAW), ROW("subresource", 8, STRING)};
static message managed_message = MESSAGE(managed);

static fields meta_fields[] = {ROW("name", 1, STRING), ROW("generateName", 2, STRING),
        ROW("namespace", 3, STRING), ROW("selfLink", 4, STRING), ROW("uid", 5, STRING),
        ROW("resourceVersion", 6, STRING), ROW("generation", 7, INT),
        ROW("creationTimestamp", 8, TIME), ROW("deletionTimestamp", 9, TIME),
        ROW("deletionGracePeriodSeconds", 10, INT), ROW("labels", 11, MAP),
        ROW("annotations", 12, MAP), SUB("ownerReferences", 13, owner),
        ROW("finalizers", 14, STRING), SUB("managedFields", 17, managed)};
message model_proto_object_meta = MESSAGE(meta);
#define meta_message model_proto_object_meta

static fields list_meta_fields[] = {ROW("selfLink", 1, STRING), ROW("resourceVersion", 2, STRING),
        ROW("continue", 3, STRING), ROW("remainingItemCount", 4, INT)};
static message list_meta_message = MESSAGE(list_meta);

static fields cause_fields[] = {
        ROW("reason", 1, STRING), ROW("message", 2, STRING), ROW("field", 3, STRING)};
static message cause_message = MESSAGE(cause);

static fields details_fields[] = {ROW("name", 1, STRING), ROW("group", 2, STRING),
        ROW("kind", 3, STRING), ROW("uid", 6, STRING), SUB("causes", 4, cause),
        ROW("retryAfterSeconds", 5, INT)};
static message details_message = MESSAGE(details);

static fields status_fields[] = {ROW("kind", 0, ELSEWHERE), ROW("apiVersion", 0, ELSEWHERE),
        SUB("metadata", 1, list_meta), ROW("status", 2, STRING), ROW("message", 3, STRING),
        ROW("reason", 4, STRING), SUB("details", 5, details), ROW("code", 6, INT)};
message model_proto_status = MESSAGE(status);

/* --- core/v1: a Pod --- */

static fields key_path_fields[] = {
        ROW("key", 1, STRING), ROW("path", 2, STRING), ROW("mode", 3, INT)};
static message key_path_message = MESSAGE(key_path);

static fields source_token_fields[] = {
        ROW("audience", 1, STRING), ROW("expirationSeconds", 2, INT), ROW("path", 3, STRING)};
static message source_token_message = MESSAGE(source_token);

static fields source_map_fields[] = {
        VIA("name", 1, 1, STRING, NULL), SUB("items", 2, key_path), ROW("optional", 4, BOOL)};
static message source_map_message = MESSAGE(source_map);

static fields source_fields[] = {
        SUB("serviceAccountToken", 4, source_token), SUB("configMap", 3, source_map)};
static message source_message = MESSAGE(source);

static fields projected_fields[] = {SUB("sources", 1, source), ROW("defaultMode", 2, INT)};
static message projected_message = MESSAGE(projected);

static fields volume_fields[] = {
        ROW("name", 1, STRING), VIA("projected", 2, 26, MESSAGE, &projected_message)};
static message volume_message = MESSAGE(volume);

static fields port_fields[] = {ROW("name", 1, STRING), ROW("hostPort", 2, INT),
        ROW("containerPort", 3, INT), ROW("protocol", 4, STRING), ROW("hostIP", 5, STRING)};
static message port_message = MESSAGE(port);

static fields env_fields[] = {ROW("name", 1, STRING), ROW("value", 2, STRING)};
static message env_message = MESSAGE(env);

static fields resources_fields[] = {
        ROW("limits", 1, MAP_QUANTITY), ROW("requests", 2, MAP_QUANTITY)};
static message resources_message = MESSAGE(resources);

static fields container_fields[] = {ROW("name", 1, STRING), ROW("image", 2, STRING),
        ROW("command", 3, STRING), ROW("args", 4, STRING), ROW("workingDir", 5, STRING),
        SUB("ports", 6, port), SUB("env", 7, env), SUB("resources", 8, resources),
        ROW("terminationMessagePath", 13, STRING), ROW("terminationMessagePolicy", 20, STRING),
        ROW("imagePullPolicy", 14, STRING)};
static message container_message = MESSAGE(container);

static fields security_fields[] = {ROW("runAsUser", 2, INT), ROW("runAsNonRoot", 3, BOOL),
        ROW("fsGroup", 5, INT), ROW("runAsGroup", 6, INT)};
static message security_message = MESSAGE(security);

static fields toleration_fields[] = {ROW("key", 1, STRING), ROW("operator", 2, STRING),
        ROW("value", 3, STRING), ROW("effect", 4, STRING), ROW("tolerationSeconds", 5, INT)};
static message toleration_message = MESSAGE(toleration);

static fields spec_fields[] = {SUB("volumes", 1, volume), SUB("initContainers", 20, container),
        SUB("containers", 2, container), ROW("restartPolicy", 3, STRING),
        ROW("terminationGracePeriodSeconds", 4, INT), ROW("dnsPolicy", 6, STRING),
        ROW("nodeSelector", 7, MAP), ROW("serviceAccountName", 8, STRING),
        ROW("serviceAccount", 9, STRING), ROW("nodeName", 10, STRING), ROW("hostNetwork", 11, BOOL),
        SUB("securityContext", 14, security), ROW("hostname", 16, STRING),
        ROW("schedulerName", 19, STRING), SUB("tolerations", 22, toleration),
        ROW("priorityClassName", 24, STRING), ROW("priority", 25, INT),
        ROW("enableServiceLinks", 30, BOOL), ROW("preemptionPolicy", 31, STRING)};
static message spec_message = MESSAGE(spec);

static fields condition_fields[] = {ROW("type", 1, STRING), ROW("observedGeneration", 7, INT),
        ROW("status", 2, STRING), ROW("lastProbeTime", 3, TIME), ROW("lastTransitionTime", 4, TIME),
        ROW("reason", 5, STRING), ROW("message", 6, STRING)};
static message condition_message = MESSAGE(condition);

static fields ip_fields[] = {ROW("ip", 1, STRING)};
static message ip_message = MESSAGE(ip);

static fields running_fields[] = {ROW("startedAt", 1, TIME)};
static message running_message = MESSAGE(running);

static fields state_fields[] = {SUB("running", 2, running)};
static message state_message = MESSAGE(state);

static fields container_status_fields[] = {ROW("name", 1, STRING), SUB("state", 2, state),
        SUB("lastState", 3, state), ROW("ready", 4, BOOL), ROW("restartCount", 5, INT),
        ROW("image", 6, STRING), ROW("imageID", 7, STRING), ROW("containerID", 8, STRING),
        ROW("started", 9, BOOL)};
static message container_status_message = MESSAGE(container_status);

static fields pod_status_fields[] = {ROW("observedGeneration", 17, INT), ROW("phase", 1, STRING),
        SUB("conditions", 2, condition), ROW("message", 3, STRING), ROW("reason", 4, STRING),
        ROW("hostIP", 5, STRING), SUB("hostIPs", 16, ip), ROW("podIP", 6, STRING),
        SUB("podIPs", 12, ip), ROW("startTime", 7, TIME),
        SUB("containerStatuses", 8, container_status), ROW("qosClass", 9, STRING)};
static message pod_status_message = MESSAGE(pod_status);

static fields pod_fields[] = {ROW("kind", 0, ELSEWHERE), ROW("apiVersion", 0, ELSEWHERE),
        SUB("metadata", 1, meta), SUB("spec", 2, spec), SUB("status", 3, pod_status)};
static message pod_message = MESSAGE(pod);

static fields pod_list_fields[] = {ROW("kind", 0, ELSEWHERE), ROW("apiVersion", 0, ELSEWHERE),
        SUB("metadata", 1, list_meta), SUB("items", 2, pod)};
static message pod_list_message = MESSAGE(pod_list);

static bool is_pod(const struct model_kind *k)
{
	return !k->custom && k->shape == MODEL_SHAPE_POD && k->group[0] == 0;
}

const struct model_proto_message *model_proto_of(const struct model_kind *k)
{
	return is_pod(k) ? &pod_message : NULL;
}

const struct model_proto_message *model_proto_list_of(const struct model_kind *k)
{
	return is_pod(k) ? &pod_list_message : NULL;
}
