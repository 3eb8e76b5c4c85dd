#include "model/model_kind.h"

#include "base/check.h"

#include <stdio.h>

#define POD_TEMPLATE "\"template\":{\"metadata\":{},\"spec\":{\"containers\":null}}"
#define NODE_INFO                                                                                  \
	"\"nodeInfo\":{\"machineID\":\"\",\"systemUUID\":\"\",\"bootID\":\"\",\"kernelVersion\":"  \
	"\"\",\"osImage\":\"\",\"containerRuntimeVersion\":\"\",\"kubeletVersion\":\"\","          \
	"\"kubeProxyVersion\":\"\",\"operatingSystem\":\"\",\"architecture\":\"\"}"

#define SPEC_STATUS ",\"spec\":{},\"status\":{}"

#define KIND(g, v, r, s, k, ...)                                                                   \
	{                                                                                          \
		.group = (g), .version = (v), .resource = (r), .singular = (s), .kind = (k),       \
		.short_names = "", .categories = "", .subresources = "", .hash = "", .zero = "",   \
		.selectable = "", .shape = MODEL_SHAPE_PLAIN, .namespaced = true, .custom = false, \
		__VA_ARGS__                                                                        \
	}

#pragma GCC diagnostic ignored "-Woverride-init" /* KIND sets defaults, its rows override them */
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
const struct model_kind model_kinds[] = {
        KIND("", "v1", "configmaps", "configmap", "ConfigMap", .short_names = "cm",
                .hash = "qFsyl6wFWjQ=", .shape = MODEL_SHAPE_CONFIGMAP),
        KIND("", "v1", "endpoints", "endpoints", "Endpoints", .short_names = "ep",
                .hash = "fWeeMqaN/OA="),
        KIND("", "v1", "events", "event", "Event", .short_names = "ev",
                .hash = "r2yiGXH7wu8=", .shape = MODEL_SHAPE_EVENT,
                .zero = ",\"involvedObject\":{},\"source\":{},\"firstTimestamp\":null,"
                        "\"lastTimestamp\":null,"
                        "\"eventTime\":null,\"reportingComponent\":\"\",\"reportingInstance\":"
                        "\"\""),
        KIND("", "v1", "limitranges", "limitrange", "LimitRange", .short_names = "limits",
                .hash = "EBKMFVe6cwo=", .zero = ",\"spec\":{\"limits\":null}"),
        KIND("", "v1", "namespaces", "namespace", "Namespace", .short_names = "ns",
                .hash = "Q3oi5N2YM8M=", .subresources = "finalize,status", .namespaced = false,
                .shape = MODEL_SHAPE_NAMESPACE, .zero = SPEC_STATUS),
        KIND("", "v1", "nodes", "node", "Node", .short_names = "no", .hash = "XwShjMxG9Fs=",
                .subresources = "status", .namespaced = false, .shape = MODEL_SHAPE_NODE,
                .zero = ",\"spec\":{},\"status\":{\"daemonEndpoints\":{\"kubeletEndpoint\":{"
                        "\"Port\":0}}," NODE_INFO "}"),
        KIND("", "v1", "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim",
                .short_names = "pvc", .hash = "QWTyNDq0dC4=", .subresources = "status",
                .zero = ",\"spec\":{\"resources\":{}},\"status\":{}"),
        KIND("", "v1", "persistentvolumes", "persistentvolume", "PersistentVolume",
                .short_names = "pv", .hash = "HN/zwEC+JgM=", .subresources = "status",
                .namespaced = false, .zero = SPEC_STATUS),
        KIND("", "v1", "pods", "pod", "Pod", .short_names = "po", .categories = "all",
                .hash = "xPOwRZ+Yhw8=", .subresources = "log,status", .shape = MODEL_SHAPE_POD,
                .zero = ",\"spec\":{\"containers\":null},\"status\":{}"),
        KIND("", "v1", "replicationcontrollers", "replicationcontroller", "ReplicationController",
                .short_names = "rc", .categories = "all", .hash = "Jond2If31h0=",
                .subresources = "scale,status", .zero = ",\"spec\":{},\"status\":{\"replicas\":0}"),
        KIND("", "v1", "resourcequotas", "resourcequota", "ResourceQuota", .short_names = "quota",
                .hash = "8uhSgffRX6w=", .subresources = "status", .zero = SPEC_STATUS),
        KIND("", "v1", "secrets", "secret", "Secret",
                .hash = "S6u1pOWzb84=", .shape = MODEL_SHAPE_SECRET),
        KIND("", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount", .short_names = "sa",
                .hash = "pbx9ZvyFpBE="),
        KIND("", "v1", "services", "service", "Service", .short_names = "svc", .categories = "all",
                .hash = "0/CO1lhkEBI=", .subresources = "status", .shape = MODEL_SHAPE_SERVICE,
                .zero = ",\"spec\":{},\"status\":{\"loadBalancer\":{}}"),
        KIND("apps", "v1", "controllerrevisions", "controllerrevision", "ControllerRevision",
                .hash = "85nkx63pcBU=", .zero = ",\"data\":null,\"revision\":0"),
        KIND("apps", "v1", "daemonsets", "daemonset", "DaemonSet", .short_names = "ds",
                .categories = "all", .hash = "dd7pWHUlMKQ=", .subresources = "status",
                .zero = ",\"spec\":{\"selector\":null," POD_TEMPLATE
                        ",\"updateStrategy\":{}},\"status\":{\"currentNumberScheduled\":0,"
                        "\"numberMisscheduled\":0,"
                        "\"desiredNumberScheduled\":0,\"numberReady\":0}"),
        KIND("apps", "v1", "deployments", "deployment", "Deployment", .short_names = "deploy",
                .categories = "all", .hash = "8aSe+NMegvE=", .subresources = "scale,status",
                .shape = MODEL_SHAPE_DEPLOYMENT,
                .zero = ",\"spec\":{\"replicas\":0,\"selector\":null," POD_TEMPLATE
                        ",\"strategy\":{}},\"status\":{}"),
        KIND("apps", "v1", "replicasets", "replicaset", "ReplicaSet", .short_names = "rs",
                .categories = "all", .hash = "P1RzHs8/mWQ=", .subresources = "scale,status",
                .zero = ",\"spec\":{\"replicas\":0,\"selector\":null," POD_TEMPLATE
                        "},\"status\":{\"replicas\":0}"),
        KIND("apps", "v1", "statefulsets", "statefulset", "StatefulSet", .short_names = "sts",
                .categories = "all", .hash = "H+vl74LkKdo=", .subresources = "scale,status",
                .zero = ",\"spec\":{\"replicas\":0,\"selector\":null," POD_TEMPLATE
                        ",\"serviceName\":\"\",\"updateStrategy\":{}},\"status\":{\"replicas\":0,"
                        "\"availableReplicas\":0}"),
        KIND("autoscaling", "v2", "horizontalpodautoscalers", "horizontalpodautoscaler",
                "HorizontalPodAutoscaler", .short_names = "hpa", .categories = "all",
                .hash = "qwQve8ut294=", .subresources = "status",
                .zero = ",\"spec\":{\"scaleTargetRef\":{\"kind\":\"\",\"name\":\"\"},"
                        "\"maxReplicas\":0},"
                        "\"status\":{\"desiredReplicas\":0,\"currentMetrics\":null}"),
        KIND("batch", "v1", "cronjobs", "cronjob", "CronJob", .short_names = "cj",
                .categories = "all", .hash = "sd5LIXh4Fjs=", .subresources = "status",
                .zero = ",\"spec\":{\"schedule\":\"\",\"jobTemplate\":{\"metadata\":{},\"spec\":"
                        "{" POD_TEMPLATE "}}},\"status\":{}"),
        KIND("batch", "v1", "jobs", "job", "Job", .categories = "all", .hash = "mudhfqk/qZY=",
                .subresources = "status", .zero = ",\"spec\":{" POD_TEMPLATE "},\"status\":{}"),
        KIND("networking.k8s.io", "v1", "ingresses", "ingress", "Ingress", .short_names = "ing",
                .hash = "39NQlfNR+bo=", .subresources = "status",
                .zero = ",\"spec\":{},\"status\":{\"loadBalancer\":{}}"),
        KIND("networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy",
                .short_names = "netpol",
                .hash = "YpfwF18m1G8=", .zero = ",\"spec\":{\"podSelector\":{}}"),
        KIND("policy", "v1", "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget",
                .short_names = "pdb", .hash = "EVWiDmWqyJw=", .subresources = "status",
                .zero = ",\"spec\":{},\"status\":{\"disruptionsAllowed\":0,\"currentHealthy\":0,"
                        "\"desiredHealthy\":0,\"expectedPods\":0}"),
        KIND("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "clusterrolebinding",
                "ClusterRoleBinding", .hash = "48tpQ8gZHFc=", .namespaced = false,
                .zero = ",\"roleRef\":{\"apiGroup\":\"\",\"kind\":\"\",\"name\":\"\"}"),
        KIND("rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", "ClusterRole",
                .hash = "bYE5ZWDrJ44=", .namespaced = false, .zero = ",\"rules\":null"),
        KIND("rbac.authorization.k8s.io", "v1", "rolebindings", "rolebinding", "RoleBinding",
                .hash = "eGsCzGH6b1g=",
                .zero = ",\"roleRef\":{\"apiGroup\":\"\",\"kind\":\"\",\"name\":\"\"}"),
        KIND("rbac.authorization.k8s.io", "v1", "roles", "role", "Role",
                .hash = "7FuwZcIIItM=", .zero = ",\"rules\":null"),
        KIND("storage.k8s.io", "v1", "storageclasses", "storageclass", "StorageClass",
                .short_names = "sc", .hash = "K+m6uJwbjGY=", .namespaced = false,
                .zero = ",\"provisioner\":\"\""),
        KIND("apiextensions.k8s.io", "v1", "customresourcedefinitions", "customresourcedefinition",
                "CustomResourceDefinition", .short_names = "crd,crds",
                .categories = "api-extensions", .hash = "jfWCUB31mvA=", .subresources = "status",
                .namespaced = false,
                .zero = ",\"spec\":{\"group\":\"\",\"names\":{\"plural\":\"\",\"kind\":\"\"},"
                        "\"scope\":\"\","
                        "\"versions\":null},\"status\":{\"conditions\":null,\"acceptedNames\":{"
                        "\"plural\":\"\","
                        "\"kind\":\"\"},\"storedVersions\":null}"),
        KIND("coordination.k8s.io", "v1", "leases", "lease", "Lease",
                .hash = "gqkMMb/YqFM=", .zero = ",\"spec\":{}"),
        KIND("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice",
                .hash = "qgS0xkrxYAI=",
                .zero = ",\"addressType\":\"\",\"endpoints\":null,\"ports\":null"),
};
const size_t model_kind_count = ARRAY_LEN(model_kinds);

const struct model_kind *model_kind_find(
        struct span group, struct span version, struct span resource)
{
	for (size_t i = 0; i < ARRAY_LEN(model_kinds); i++) {
		const struct model_kind *k = &model_kinds[i];
		if (span_is(resource, k->resource) && span_is(group, k->group) &&
		        (version.n == 0 || span_is(version, k->version)))
			return k;
	}
	return NULL;
}

size_t model_kind_api_version(const struct model_kind *k, char *buf, size_t buf_bytes)
{
	int n = snprintf(buf, buf_bytes, "%s%s%s", k->group, k->group[0] ? "/" : "", k->version);
	CHECK(n > 0 && (size_t)n < buf_bytes);
	return (size_t)n;
}
