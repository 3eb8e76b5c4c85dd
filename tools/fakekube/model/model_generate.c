/* What realistic objects look like, as templates. The fields and their order are those that
 * kube-apiserver prints. */
#include "model/model_template.h"

#include "base/check.h"

/* Containers of a pod: more of them as it grows, as real pods do. */
static unsigned containers_of(uint32_t bytes)
{
	return bytes < 8000 ? 1 : bytes < 40000 ? 3 : 6;
}

/* One env entry of a generated pod is about 100 bytes, or 4 KiB where a megabyte has to be filled.
 */
static size_t env_value_bytes(size_t pad)
{
	return pad > 100000 ? 4000 : 58;
}

static void gen_env(struct model_text *t, size_t pad, unsigned container)
{
	static const char filler[] = "postgres://svc.team.svc.cluster.local:5432/"
	                             "db?sslmode=require#\\\"q\\\"\\u003c\\u0026";
	size_t end = t->n + pad, value_bytes = env_value_bytes(pad);
	const char *sep = "";
	for (unsigned i = 0; t->n + 64 < end; i++, sep = ",") {
		model_text_printf(
		        t, "%s{\"name\":\"SETTING_%u_%u\",\"value\":\"", sep, container, i);
		size_t room = end - t->n > 4 ? end - t->n - 4 : 0;
		for (size_t left = value_bytes < room ? value_bytes : room; left;) {
			size_t n = left < sizeof filler - 1 ? left : sizeof filler - 1;
			if (n < sizeof filler - 1 && n > 62) /* never cut inside an escape */
				n = 62;
			model_text_put(t, filler, n);
			left -= n;
		}
		TEXT_LIT(t, "\"}");
	}
}

static void gen_managed_env(struct model_text *t, size_t pad, unsigned container)
{
	size_t end = t->n + pad;
	for (unsigned i = 0; t->n + 70 < end; i++)
		model_text_printf(t,
		        ",\"k:{\\\"name\\\":\\\"SETTING_%u_%u\\\"}\":{\".\":{},\"f:name\":{},\"f:"
		        "value\":{}}",
		        container, i);
}

static void gen_pod_managed(struct model_text *t, unsigned containers, size_t pad)
{
	TEXT_LIT(t,
	        "[{\"manager\":\"kube-controller-manager\",\"operation\":\"Update\",\"apiVersion\":"
	        "\"v1\","
	        "\"time\":\"" MODEL_SLOT
	        "w\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:metadata\":{"
	        "\"f:generateName\":{},\"f:labels\":{\".\":{},\"f:app\":{},\"f:pod-template-hash\":"
	        "{}},"
	        "\"f:ownerReferences\":{\".\":{},\"k:{\\\"uid\\\":\\\"" MODEL_SLOT "h\\\"}\":{}}},"
	        "\"f:spec\":{\"f:containers\":{");
	for (unsigned c = 0; c < containers; c++) {
		model_text_printf(t,
		        "%s\"k:{\\\"name\\\":\\\"c%u\\\"}\":{\".\":{},\"f:env\":{\".\":{}",
		        c ? "," : "", c);
		gen_managed_env(t, pad / containers, c);
		TEXT_LIT(t,
		        "},\"f:image\":{},\"f:imagePullPolicy\":{},\"f:name\":{},\"f:ports\":{\"."
		        "\":{},"
		        "\"k:{\\\"containerPort\\\":8080,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},"
		        "\"f:containerPort\":{},\"f:protocol\":{}}},\"f:resources\":{}}");
	}
	TEXT_LIT(t, "},\"f:dnsPolicy\":{},\"f:restartPolicy\":{},\"f:schedulerName\":{}}}},"
	            "{\"manager\":\"kubelet\",\"operation\":\"Update\",\"apiVersion\":\"v1\","
	            "\"time\":\"" MODEL_SLOT
	            "W\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:status\":{\"f:conditions\":{"
	            "\"k:{\\\"type\\\":\\\"Ready\\\"}\":{\".\":{},\"f:lastProbeTime\":{},\"f:"
	            "status\":{},\"f:type\":{}}},"
	            "\"f:containerStatuses\":{},\"f:hostIP\":{},\"f:phase\":{},\"f:podIP\":{}}},"
	            "\"subresource\":\"status\"}]");
}

static void gen_pod_status(struct model_text *t, unsigned containers)
{
	TEXT_LIT(t, ",\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\","
	            "\"status\":\"" MODEL_SLOT
	            "R\",\"lastProbeTime\":null,\"lastTransitionTime\":\"" MODEL_SLOT "W\"},"
	            "{\"type\":\"PodScheduled\",\"status\":\"True\",\"lastProbeTime\":null,"
	            "\"lastTransitionTime\":\"" MODEL_SLOT "w\"}],\"hostIP\":\"172.16.0." MODEL_SLOT
	            "N\",\"podIP\":\"" MODEL_SLOT "p\",\"podIPs\":[{\"ip\":\"" MODEL_SLOT
	            "p\"}],\"startTime\":\"" MODEL_SLOT "w\",\"containerStatuses\":[");
	for (unsigned c = 0; c < containers; c++)
		model_text_printf(t,
		        "%s{\"name\":\"c%u\",\"state\":{\"running\":{\"startedAt\":\"" MODEL_SLOT
		        "w\"}},\"lastState\":{},\"ready\":true,\"restartCount\":" MODEL_SLOT
		        "c,\"image\":\"registry.example.com/shop/"
		        "api:v1\",\"imageID\":\"\",\"containerID\":"
		        "\"containerd://" MODEL_SLOT "h" MODEL_SLOT "h" MODEL_SLOT "h" MODEL_SLOT
		        "h\",\"started\":true}",
		        c ? "," : "", c);
	TEXT_LIT(t, "],\"qosClass\":\"Burstable\"}");
}

static void gen_pod(const struct model_size *size, struct model_generated *out)
{
	unsigned containers = containers_of(size->bytes);
	TEXT_LIT(&out->annotations,
	        "\"kubectl.kubernetes.io/restartedAt\":\"2026-11-20T08:11:00+01:00\","
	        "\"note\":\"an \\\"escaped\\\" note, \\u003cé\\u003e {[}] \"");
	gen_pod_managed(&out->managed, containers, size->managed_pad);
	struct model_text *t = &out->members;
	TEXT_LIT(t, ",\"spec\":{\"volumes\":[{\"name\":\"kube-api-access-" MODEL_SLOT
	            "x\",\"projected\":{\"sources\":[{\"serviceAccountToken\":{"
	            "\"expirationSeconds\":3607,\"path\":"
	            "\"token\"}},{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":"
	            "\"ca.crt\",\"path\":"
	            "\"ca.crt\"}]}}],\"defaultMode\":420}}],\"containers\":[");
	for (unsigned c = 0; c < containers; c++) {
		model_text_printf(t,
		        "%s{\"name\":\"c%u\",\"image\":\"registry.example.com/shop/"
		        "api:v1@sha256:" MODEL_SLOT "h" MODEL_SLOT
		        "h\",\"ports\":[{\"containerPort\":8080,\"protocol\":\"TCP\"}],\"env\":[",
		        c ? "," : "", c);
		gen_env(t, size->pad / containers, c);
		TEXT_LIT(t, "],\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"512Mi\"},"
		            "\"requests\":{"
		            "\"cpu\":\"100m\",\"memory\":\"128Mi\"}},\"terminationMessagePath\":"
		            "\"/dev/"
		            "termination-log\",\"terminationMessagePolicy\":\"File\","
		            "\"imagePullPolicy\":"
		            "\"IfNotPresent\"}");
	}
	TEXT_LIT(t,
	        "],\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":"
	        "\"ClusterFirst\",\"serviceAccountName\":\"default\",\"serviceAccount\":"
	        "\"default\",\"nodeName\":"
	        "\"node-" MODEL_SLOT
	        "N\",\"securityContext\":{},\"schedulerName\":\"default-scheduler\","
	        "\"tolerations\":[{\"key\":\"node.kubernetes.io/"
	        "not-ready\",\"operator\":\"Exists\",\"effect\":"
	        "\"NoExecute\",\"tolerationSeconds\":300}],\"priority\":0,\"enableServiceLinks\":"
	        "true}");
	gen_pod_status(t, containers);
}

static void gen_managed(struct model_text *t, const char *field)
{
	model_text_printf(t,
	        "[{\"manager\":\"kubectl\",\"operation\":\"Update\",\"apiVersion\":\"v1\",\"time\":"
	        "\"" MODEL_SLOT "W\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:%s\":{}}}]",
	        field);
}

static void gen_data(size_t pad, bool secret, struct model_generated *out)
{
	struct model_text *t = &out->members;
	gen_managed(&out->managed, "data");
	model_text_printf(t, ",\"data\":{\"changes\":\"%s\"", secret ? "c2VjcmV0" : MODEL_SLOT "c");
	size_t end = t->n + pad;
	for (unsigned i = 0; t->n + 24 < end; i++) {
		model_text_printf(t, ",\"key-%06u\":\"", i);
		size_t room = end - t->n - 2, want = pad > 100000 ? 8000 : 80;
		for (size_t left = want < room ? want : room; left; left--)
			model_text_put(t, &"QUJDREVGR0hJSktMTU5P"[left % 20], 1);
		TEXT_LIT(t, "\"");
	}
	TEXT_LIT(t, "}");
	if (secret)
		TEXT_LIT(t, ",\"type\":\"Opaque\"");
}

static void gen_node(size_t pad, struct model_generated *out)
{
	struct model_text *t = &out->members;
	gen_managed(&out->managed, "status");
	TEXT_LIT(&out->annotations, "\"node.alpha.kubernetes.io/ttl\":\"0\"");
	TEXT_LIT(t,
	        ",\"spec\":{\"podCIDR\":\"" MODEL_SLOT "p/24\",\"providerID\":\"fake:///" MODEL_SLOT
	        "h\"},\"status\":{\"capacity\":{\"cpu\":\"32\",\"memory\":\"131072Mi\",\"pods\":"
	        "\"110\"},"
	        "\"allocatable\":{\"cpu\":\"31\",\"memory\":\"129024Mi\",\"pods\":\"110\"},"
	        "\"conditions\":["
	        "{\"type\":\"Ready\",\"status\":\"" MODEL_SLOT
	        "R\",\"lastHeartbeatTime\":\"" MODEL_SLOT "W\",\"lastTransitionTime\":\"" MODEL_SLOT
	        "w\",\"reason\":\"KubeletReady\",\"message\":"
	        "\"heartbeat " MODEL_SLOT
	        "c\"}],\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"" MODEL_SLOT
	        "p\"},{\"type\":\"Hostname\",\"address\":\"" MODEL_SLOT
	        "n\"}],\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":10250}},\"nodeInfo\":{"
	        "\"machineID\":\"" MODEL_SLOT "h\",\"systemUUID\":\"" MODEL_SLOT
	        "h\",\"bootID\":\"" MODEL_SLOT
	        "h\",\"kernelVersion\":\"6.1.0\",\"osImage\":\"Debian GNU/Linux 12 (bookworm)\","
	        "\"containerRuntimeVersion\":\"containerd://1.7.2\",\"kubeletVersion\":\"v1.37.2\","
	        "\"kubeProxyVersion\":\"\",\"operatingSystem\":\"linux\",\"architecture\":"
	        "\"amd64\"},\"images\":[");
	size_t end = t->n + pad;
	for (unsigned i = 0; t->n + 90 < end; i++)
		model_text_printf(t,
		        "%s{\"names\":[\"registry.example.com/shop/"
		        "image-%u:v1\"],\"sizeBytes\":%u}",
		        i ? "," : "", i, 1000000 + i * 7919);
	TEXT_LIT(t, "]}");
}

static void gen_event(size_t pad, struct model_generated *out)
{
	struct model_text *t = &out->members;
	gen_managed(&out->managed, "count");
	TEXT_LIT(t, ",\"involvedObject\":{\"kind\":\"Pod\",\"namespace\":\"" MODEL_SLOT
	            "s\",\"name\":\"checkout-api-" MODEL_SLOT
	            "h\",\"apiVersion\":\"v1\"},\"reason\":\"BackOff\","
	            "\"message\":\"Back-off restarting failed container ");
	for (size_t i = 0; i + 1 < pad; i++)
		model_text_put(t, &"lorem ipsum dolor sit "[i % 22], 1);
	TEXT_LIT(t, "\",\"source\":{\"component\":\"kubelet\",\"host\":\"node-" MODEL_SLOT
	            "N\"},\"firstTimestamp\":\"" MODEL_SLOT "w\",\"lastTimestamp\":\"" MODEL_SLOT
	            "W\",\"count\":" MODEL_SLOT
	            "c,\"type\":\"Warning\",\"eventTime\":null,\"reportingComponent\":"
	            "\"kubelet\",\"reportingInstance\":\"node-" MODEL_SLOT "N\"");
}

static void gen_service(struct model_generated *out)
{
	gen_managed(&out->managed, "spec");
	TEXT_LIT(&out->members,
	        ",\"spec\":{\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,"
	        "\"targetPort\":8080}],\"selector\":{\"app\":\"" MODEL_SLOT
	        "n\"},\"clusterIP\":\"" MODEL_SLOT "p\",\"clusterIPs\":[\"" MODEL_SLOT
	        "p\"],\"type\":\"ClusterIP\",\"sessionAffinity\":\"None\"},"
	        "\"status\":{\"loadBalancer\":{}}");
}

static void gen_deployment(size_t pad, struct model_generated *out)
{
	struct model_text *t = &out->members;
	gen_managed(&out->managed, "spec");
	TEXT_LIT(&out->annotations, "\"deployment.kubernetes.io/revision\":\"" MODEL_SLOT "g\"");
	TEXT_LIT(t, ",\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"app\":\"" MODEL_SLOT
	            "n\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"" MODEL_SLOT
	            "n\"}},\"spec\":{\"containers\":[{\"name\":\"c0\",\"image\":\"registry.example."
	            "com/shop/api:v" MODEL_SLOT "g\",\"env\":[");
	gen_env(t, pad, 0);
	TEXT_LIT(t, "],\"resources\":{},\"imagePullPolicy\":\"IfNotPresent\"}],\"restartPolicy\":"
	            "\"Always\"}},"
	            "\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{"
	            "\"maxUnavailable\":\"25%\",\"maxSurge\":"
	            "\"25%\"}},\"revisionHistoryLimit\":10,\"progressDeadlineSeconds\":600},"
	            "\"status\":{"
	            "\"observedGeneration\":" MODEL_SLOT
	            "g,\"replicas\":3,\"updatedReplicas\":3,\"readyReplicas\":3,"
	            "\"availableReplicas\":3,\"conditions\":[{\"type\":\"Available\",\"status\":"
	            "\"" MODEL_SLOT "R\",\"lastUpdateTime\":\"" MODEL_SLOT
	            "W\",\"lastTransitionTime\":\"" MODEL_SLOT
	            "w\",\"reason\":\"MinimumReplicasAvailable\",\"message\":\"change " MODEL_SLOT
	            "c\"}]}");
}

static void gen_custom(size_t pad, struct model_generated *out)
{
	struct model_text *t = &out->members;
	gen_managed(&out->managed, "spec");
	TEXT_LIT(t, ",\"spec\":{\"items\":[");
	size_t end = t->n + pad;
	for (unsigned i = 0; t->n + 40 < end; i++)
		model_text_printf(
		        t, "%s{\"id\":%u,\"on\":true,\"weight\":%u.5}", i ? "," : "", i, i % 90);
	TEXT_LIT(t, "],\"size\":" MODEL_SLOT "g},\"status\":{\"observed\":" MODEL_SLOT
	            "c,\"ready\":\"" MODEL_SLOT "R\"}");
}

void model_generate(
        const struct model_kind *kind, const struct model_size *size, struct model_generated *out)
{
	size_t pad = size->pad;
	switch (kind->shape) {
	case MODEL_SHAPE_POD: gen_pod(size, out); return;
	case MODEL_SHAPE_CONFIGMAP: gen_data(pad, false, out); return;
	case MODEL_SHAPE_SECRET: gen_data(pad, true, out); return;
	case MODEL_SHAPE_NODE: gen_node(pad, out); return;
	case MODEL_SHAPE_EVENT: gen_event(pad, out); return;
	case MODEL_SHAPE_SERVICE: gen_service(out); return;
	case MODEL_SHAPE_DEPLOYMENT: gen_deployment(pad, out); return;
	case MODEL_SHAPE_CUSTOM: gen_custom(pad, out); return;
	case MODEL_SHAPE_NAMESPACE:
		gen_managed(&out->managed, "metadata");
		TEXT_LIT(&out->members, ",\"spec\":{\"finalizers\":[\"kubernetes\"]},\"status\":{"
		                        "\"phase\":\"Active\"}");
		return;
	case MODEL_SHAPE_PLAIN:
	case MODEL_SHAPE_COUNT: break;
	}
	gen_managed(&out->managed, "metadata");
	model_text_str(&out->members, kind->zero);
}
