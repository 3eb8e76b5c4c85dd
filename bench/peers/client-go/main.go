// client-go KUBECONFIG MODE: a client-go informer over the Pods of all namespaces; bench/peers/README.md says what it answers.
//
// MODE: protobuf (typed, as client-go asks by default), json (typed), dynamic or metadata; then ",drop" for a transform that drops
// managedFields, ",stream" for a streaming list (WatchList) in place of LIST.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const stampKey = "fakekube.io/sent-ns"

var (
	began = time.Now()
	epoch = monotonic() // CLOCK_MONOTONIC at began, the clock of the stamps

	adds, updates, deletes, lists atomic.Uint64
	content                       atomic.Value // what the server answered the last list or watch in
	latencies                     [1024]atomic.Uint64
)

func monotonic() int64 {
	var t syscall.Timespec
	const clockMonotonic = 1
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "client-go:", err)
		os.Exit(1)
	}
}

// bucket: 16 per power of two.
func bucket(v uint64) int {
	if v < 16 {
		return int(v)
	}
	e := bits.Len64(v) - 1
	return (e-3)*16 + int(v>>(e-4)&15)
}

func lowest(b int) uint64 {
	if b < 16 {
		return uint64(b)
	}
	return uint64(16+b%16) << (b/16 - 1)
}

func stampOf(obj any) string {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		s, _, _ := unstructured.NestedString(u.Object, "metadata", "annotations", stampKey)
		return s
	}
	if o, err := meta.Accessor(obj); err == nil {
		return o.GetAnnotations()[stampKey]
	}
	return ""
}

type handler struct{}

func (handler) OnAdd(obj any, _ bool) {
	adds.Add(1)
	if stampOf(obj) == "" {
		fail(fmt.Errorf("an object without %s", stampKey))
	}
}

func (handler) OnUpdate(_, obj any) {
	if sent, err := strconv.ParseInt(stampOf(obj), 10, 64); err == nil {
		latencies[bucket(uint64(max(0, epoch+int64(time.Since(began))-sent)))].Add(1)
	}
	updates.Add(1)
}

func (handler) OnDelete(any) { deletes.Add(1) }

// counted counts lists and notes which encoding the server chose.
type counted struct{ next http.RoundTripper }

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.next.RoundTrip(r)
	if err == nil && answer.StatusCode == 200 && strings.HasSuffix(r.URL.Path, "/pods") {
		q := r.URL.Query()
		if (q.Get("watch") == "" || q.Get("sendInitialEvents") == "true") && q.Get("continue") == "" {
			lists.Add(1)
		}
		content.Store(answer.Header.Get("Content-Type"))
	}
	return answer, err
}

func dropManaged(obj any) (any, error) {
	if o, err := meta.Accessor(obj); err == nil {
		o.SetManagedFields(nil)
	}
	return obj, nil
}

func informer(config *rest.Config, kind string) (cache.SharedIndexInformer, error) {
	pods := schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	switch kind {
	case "protobuf", "json":
		if kind == "json" {
			config.ContentType = "application/json"
		}
		client, err := kubernetes.NewForConfig(config)
		return informers.NewSharedInformerFactory(client, 0).Core().V1().Pods().Informer(), err
	case "dynamic":
		client, err := dynamic.NewForConfig(config)
		return dynamicinformer.NewDynamicSharedInformerFactory(client, 0).ForResource(pods).Informer(), err
	case "metadata":
		client, err := metadata.NewForConfig(config)
		return metadatainformer.NewSharedInformerFactory(client, 0).ForResource(pods).Informer(), err
	}
	return nil, fmt.Errorf("no mode %q", kind)
}

func cpu() uint64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return uint64(u.Utime.Nano() + u.Stime.Nano())
}

func count(phase string) map[string]any {
	a, u, d := adds.Load(), updates.Load(), deletes.Load()
	c, _ := content.Load().(string)
	return map[string]any{"phase": phase, "events": a + u + d, "adds": a, "updates": u, "deletes": d, "lists": lists.Load(),
		"cpu_ns": cpu(), "content": c}
}

func kibibytes(out map[string]any, file, field, key string) {
	text, _ := os.ReadFile(file)
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == field {
			n, _ := strconv.ParseUint(f[1], 10, 64)
			out[key] = n * 1024
		}
	}
}

func stat(phase string) map[string]any {
	out := count(phase)
	kibibytes(out, "/proc/self/smaps_rollup", "Pss:", "pss")
	kibibytes(out, "/proc/self/smaps_rollup", "Rss:", "rss")
	kibibytes(out, "/proc/self/status", "VmHWM:", "hwm")
	return out
}

func digest(store cache.Store) map[string]any {
	var sum uint64
	objects := store.List()
	for _, obj := range objects {
		o, err := meta.Accessor(obj)
		fail(err)
		h := fnv.New64a()
		io.WriteString(h, o.GetNamespace()+"/"+o.GetName()+"/"+o.GetResourceVersion())
		sum += h.Sum64()
	}
	return map[string]any{"phase": "digest", "objects": len(objects), "digest": fmt.Sprintf("%016x", sum)}
}

func latency() map[string]any {
	out := map[string]any{"phase": "latency"}
	var n, sum uint64
	var got [len(latencies)]uint64
	for i := range latencies {
		got[i] = latencies[i].Swap(0)
		n += got[i]
	}
	out["count"] = n
	b := -1
	for _, p := range []struct {
		name  string
		share float64
	}{{"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"max_ns", 1}} {
		for n > 0 && float64(sum) < p.share*float64(n) {
			b++
			sum += got[b]
		}
		out[p.name] = lowest(max(b, 0))
	}
	return out
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: client-go KUBECONFIG MODE"))
	}
	words := strings.Split(os.Args[2], ",")
	has := func(w string) bool { return strings.Contains(","+os.Args[2]+",", ","+w+",") }
	os.Setenv("KUBE_FEATURE_WatchListClient", strconv.FormatBool(has("stream")))
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	fail(err)
	// Loopback: nobody here compresses. config.DisableCompression is not heeded without TLS, where client-go takes Go's default transport.
	plain := http.DefaultTransport.(*http.Transport).Clone()
	plain.DisableCompression = true
	config.Transport = plain
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counted{next} })
	i, err := informer(config, words[0])
	fail(err)
	if has("drop") {
		fail(i.SetTransform(dropManaged))
	}
	registration, err := i.AddEventHandler(handler{})
	fail(err)
	go i.Run(make(chan struct{}))
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "synced":
			for !registration.HasSynced() {
				time.Sleep(2 * time.Millisecond)
			}
			fail(out.Encode(map[string]any{"phase": "synced", "objects": len(i.GetStore().ListKeys()), "wall_ns": time.Since(began), "cpu_ns": cpu()}))
		case "count":
			fail(out.Encode(count("count")))
		case "stat":
			fail(out.Encode(stat("stat")))
		case "gc":
			runtime.GC()
			debug.FreeOSMemory()
			fail(out.Encode(stat("gc")))
		case "digest":
			fail(out.Encode(digest(i.GetStore())))
		case "latency":
			fail(out.Encode(latency()))
		}
	}
}
