// witness keeps lists with client-go's informers, the reference client, and says what they hold: the second opinion on
// kubering's mirror.
//
// Usage: witness --kubeconfig FILE VIEW...
// A VIEW is NAME|GROUP|VERSION|RESOURCE|KIND|NAMESPACE|SELECTOR (the last two may be empty).
//
// It takes commands on stdin, one a line, and answers on stdout. The last line of each answer begins with "= ".
//
//	wait NAME RV SECONDS   until the list has seen resourceVersion RV: "= ok" or "= timeout at RV"
//	dump NAME              one canonical line per object, sorted, then "= ok RV"
//
// The canonical line is written down in ../kit/canon.py; both must print the same bytes.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// view is one list as an informer keeps it. The version is that of the newest event handled, not the informer's own
// LastSyncResourceVersion: that one moves before the store does.
type view struct {
	name, apiVersion, kind string
	store                  cache.Store
	mu                     sync.Mutex
	version                uint64
}

func (v *view) saw(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	version, err := strconv.ParseUint(object.(*unstructured.Unstructured).GetResourceVersion(), 10, 64)
	if err != nil {
		fail("%s: %v", v.name, err)
	}
	v.mu.Lock()
	v.version = max(v.version, version)
	v.mu.Unlock()
}

func (v *view) wait(version uint64, limit time.Duration) (uint64, bool) {
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		v.mu.Lock()
		now := v.version
		v.mu.Unlock()
		if now >= version || time.Now().After(deadline) {
			return now, now >= version
		}
	}
}

func (v *view) dump(out *bufio.Writer) {
	var lines []string
	for _, item := range v.store.List() {
		lines = append(lines, v.line(item.(*unstructured.Unstructured)))
	}
	sort.Strings(lines)
	for _, line := range lines {
		out.WriteString(line)
	}
}

func (v *view) line(object *unstructured.Unstructured) string {
	object = object.DeepCopy()
	unstructured.RemoveNestedField(object.Object, "metadata", "managedFields")
	if object.GetKind() == "" {
		object.SetKind(v.kind)
	}
	if object.GetAPIVersion() == "" {
		object.SetAPIVersion(v.apiVersion)
	}
	sum := sha256.Sum256(appendCanonical(nil, object.Object))
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\n", object.GetNamespace(), object.GetName(), object.GetUID(),
		object.GetResourceVersion(), hex.EncodeToString(sum[:]))
}

// appendCanonical writes JSON as Python's json.dumps(sort_keys=True, separators=(",", ":"), ensure_ascii=False) does, a
// number with a fraction or an exponent as a string: "\0float:" + the digits that the server sent.
func appendCanonical(b []byte, value any) []byte {
	switch value := value.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, value)
	case int64:
		return strconv.AppendInt(b, value, 10)
	case float64:
		return appendString(b, "\x00float:"+serverFloat(value))
	case string:
		return appendString(b, value)
	case []any:
		b = append(b, '[')
		for i, item := range value {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, item)
		}
		return append(b, ']')
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		b = append(b, '{')
		for i, key := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, key), ':')
			b = appendCanonical(b, value[key])
		}
		return append(b, '}')
	}
	fail("a value of type %T", value)
	return nil
}

// serverFloat writes a number as the server, a Go program too, wrote it: as ECMAScript does.
func serverFloat(f float64) string {
	format := byte('f')
	if abs := max(f, -f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	text := strconv.FormatFloat(f, format, -1, 64)
	if n := len(text); format == 'e' && n >= 4 && text[n-4:n-1] == "e-0" {
		text = text[:n-2] + text[n-1:] // e-09 is written e-9
	}
	return text
}

var shortEscapes = map[byte]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\f': `\f`, '\b': `\b`}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if escape, ok := shortEscapes[s[i]]; ok {
			b = append(b, escape...)
		} else if s[i] < 0x20 {
			b = fmt.Appendf(b, `\u%04x`, s[i])
		} else {
			b = append(b, s[i])
		}
	}
	return append(b, '"')
}

func start(client dynamic.Interface, spec string) *view {
	part := strings.Split(spec, "|")
	if len(part) != 7 {
		fail("a view has seven parts, NAME|GROUP|VERSION|RESOURCE|KIND|NAMESPACE|SELECTOR, not %q", spec)
	}
	resource := schema.GroupVersionResource{Group: part[1], Version: part[2], Resource: part[3]}
	informer := dynamicinformer.NewFilteredDynamicInformer(client, resource, part[5], 0, cache.Indexers{},
		func(options *metav1.ListOptions) { options.LabelSelector = part[6] }).Informer()
	v := &view{name: part[0], apiVersion: resource.GroupVersion().String(), kind: part[4], store: informer.GetStore()}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    v.saw,
		UpdateFunc: func(_, object any) { v.saw(object) },
		DeleteFunc: v.saw,
	})
	if err != nil {
		fail("%s: %v", v.name, err)
	}
	go informer.RunWithContext(context.Background())
	return v
}

func answer(views map[string]*view, command []string, out *bufio.Writer) {
	if len(command) < 2 || views[command[1]] == nil {
		fail("a command that names no view: %q", command)
	}
	v := views[command[1]]
	switch {
	case command[0] == "dump" && len(command) == 2:
		v.dump(out)
		version, _ := v.wait(0, 0)
		fmt.Fprintf(out, "= ok %d\n", version)
	case command[0] == "wait" && len(command) == 4:
		version, errVersion := strconv.ParseUint(command[2], 10, 64)
		seconds, errSeconds := strconv.ParseFloat(command[3], 64)
		if errVersion != nil || errSeconds != nil {
			fail("not numbers: %q", command)
		}
		if at, ok := v.wait(version, time.Duration(seconds*float64(time.Second))); ok {
			fmt.Fprintln(out, "= ok")
		} else {
			fmt.Fprintf(out, "= timeout at %d\n", at)
		}
	default:
		fail("unknown command %q", command)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "witness: "+format+"\n", arguments...)
	os.Exit(1)
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "the server and its credentials")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fail("%v", err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		fail("%v", err)
	}
	views := map[string]*view{}
	for _, spec := range flag.Args() {
		v := start(client, spec)
		views[v.name] = v
	}
	out := bufio.NewWriter(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); out.Flush() {
		answer(views, strings.Fields(in.Text()), out)
	}
}
