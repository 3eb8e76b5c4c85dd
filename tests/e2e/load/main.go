// load changes objects on a kube-apiserver at random, the same way for the same seed.
//
// Usage: load --server URL --pki DIR [--seed N] [--workers N]
//
// It takes commands on stdin, one a line, and answers on stdout. The last line of each answer begins with "= ".
//
//	run N    N random changes; "at K" lines on the way, every 50; then "= ok N"
//	mark     one more object of each kind, the last change to that kind; "= ok pods=RV configmaps=RV ..."
//
// At the end of stdin it prints what it did. A request that fails because the server is away is sent again, and an answer
// that says "it was done already" (409, 404) counts as done. Each worker has objects of its own, so what is done to an object
// depends on the seed alone.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	namespaces   = 4
	progressStep = 50
	retryPause   = 50 * time.Millisecond
	retryLimit   = 90 * time.Second // longer than any restart of the server in the tests
)

// server sends requests until they are answered.
type server struct {
	url    string
	client *http.Client
	counts counts
}

type counts struct{ create, patch, delete, recreate, retries, bytes atomic.Int64 }

func newServer(url, pki string) *server {
	pair, err := tls.LoadX509KeyPair(filepath.Join(pki, "admin.crt"), filepath.Join(pki, "admin.key"))
	if err != nil {
		fail("%v", err)
	}
	ca, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		fail("%v", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &server{url: url, client: &http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
			MaxIdleConnsPerHost: 16,
		},
	}}
}

// send returns the object in the answer, or nil if the answer was the status in done.
func (s *server) send(method, path string, body []byte, done int) map[string]any {
	for start := time.Now(); ; time.Sleep(retryPause) {
		status, answer, err := s.try(method, path, body)
		if err == nil && status/100 == 2 {
			s.counts.bytes.Add(int64(len(body)))
			object := map[string]any{}
			if err := json.Unmarshal(answer, &object); err != nil {
				fail("%s %s: %v", method, path, err)
			}
			return object
		}
		if err == nil && status == done {
			return nil
		}
		if err == nil && status < 500 && status != http.StatusTooManyRequests {
			fail("%s %s: %d %.300s", method, path, status, answer)
		}
		if time.Since(start) > retryLimit {
			fail("%s %s: no success in %v: %d %v", method, path, retryLimit, status, err)
		}
		s.counts.retries.Add(1)
	}
}

func (s *server) try(method, path string, body []byte) (int, []byte, error) {
	request, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// worker makes changes, one after the other, to objects that nobody else touches.
type worker struct {
	*server
	id, made int
	random   *rand.Rand
	live     [][]string // for each kind: paths of what exists
}

func (w *worker) step(workers int) {
	k := w.pickKind()
	if len(w.live[k]) < kinds[k].floor/workers {
		w.create(k)
		return
	}
	switch roll := w.random.IntN(100); {
	case roll < 30:
		w.create(k)
	case roll < 70:
		w.patch(k)
	case roll < 85:
		w.delete(k)
	default:
		w.recreate(k)
	}
}

func (w *worker) pickKind() int {
	roll := w.random.IntN(100)
	for k := range kinds {
		if roll -= kinds[k].weight; roll < 0 {
			return k
		}
	}
	return 0
}

func (w *worker) create(k int) {
	w.made++
	path := fmt.Sprintf("/namespaces/load-%d/%s/w%d-%d", w.random.IntN(namespaces), kinds[k].resource, w.id, w.made)
	w.post(k, path)
	w.live[k] = append(w.live[k], path)
	w.counts.create.Add(1)
}

func (w *worker) post(k int, path string) {
	part := strings.Split(path, "/") // "", "namespaces", NAMESPACE, RESOURCE, NAME
	object := kinds[k].newObject(w.random, part[2], part[4])
	w.send(http.MethodPost, kinds[k].root+strings.Join(part[:4], "/"), encode(object), http.StatusConflict)
}

func (w *worker) patch(k int) {
	i := w.random.IntN(len(w.live[k]))
	suffix, change := kinds[k].newPatch(w.random)
	w.send(http.MethodPatch, kinds[k].root+w.live[k][i]+suffix, encode(change), 0)
	w.counts.patch.Add(1)
}

func (w *worker) delete(k int) {
	i := w.random.IntN(len(w.live[k]))
	w.send(http.MethodDelete, kinds[k].root+w.live[k][i]+"?gracePeriodSeconds=0", nil, http.StatusNotFound)
	w.live[k][i] = w.live[k][len(w.live[k])-1]
	w.live[k] = w.live[k][:len(w.live[k])-1]
	w.counts.delete.Add(1)
}

// recreate deletes an object and makes another of the same name at once: a new uid in an old place.
func (w *worker) recreate(k int) {
	path := w.live[k][w.random.IntN(len(w.live[k]))]
	w.send(http.MethodDelete, kinds[k].root+path+"?gracePeriodSeconds=0", nil, http.StatusNotFound)
	w.post(k, path)
	w.counts.recreate.Add(1)
}

func run(workers []*worker, total int, out *bufio.Writer) {
	var left, done atomic.Int64
	left.Store(int64(total))
	progress := make(chan int64)
	var group sync.WaitGroup
	for i, w := range workers {
		share := (total + i) / len(workers)
		group.Go(func() {
			for range share {
				w.step(len(workers))
				if n := done.Add(1); n%progressStep == 0 {
					progress <- n
				}
			}
		})
	}
	go func() { group.Wait(); close(progress) }()
	for n := range progress {
		fmt.Fprintf(out, "at %d\n", n)
		out.Flush()
	}
	fmt.Fprintf(out, "= ok %d\n", total)
}

func mark(s *server, number int, out *bufio.Writer) {
	random := rand.New(rand.NewPCG(0, uint64(number)))
	fmt.Fprint(out, "= ok")
	for _, kind := range kinds {
		object := kind.newObject(random, "load-1", fmt.Sprintf("mark-%d", number))
		metadata(object)["labels"] = map[string]any{"stage": "in", "mark": strconv.Itoa(number)}
		path := kind.root + "/namespaces/load-1/" + kind.resource
		made := s.send(http.MethodPost, path, encode(object), http.StatusConflict)
		if made == nil {
			made = s.send(http.MethodGet, path+fmt.Sprintf("/mark-%d", number), nil, 0)
		}
		fmt.Fprintf(out, " %s=%s", kind.resource, metadata(made)["resourceVersion"])
	}
	fmt.Fprintln(out)
}

func prepare(s *server) {
	for n := range namespaces {
		namespace := map[string]any{"metadata": map[string]any{"name": fmt.Sprintf("load-%d", n)}}
		s.send(http.MethodPost, "/api/v1/namespaces", encode(namespace), http.StatusConflict)
	}
	definitions := "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	s.send(http.MethodPost, definitions, encode(widgetDefinition), http.StatusConflict)
	deadline := time.Now().Add(retryLimit)
	for {
		if status, _, err := s.try(http.MethodGet, widgetRoot+"/widgets", nil); err == nil && status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			fail("the custom resource is still not served")
		}
		time.Sleep(retryPause)
	}
}

func encode(object map[string]any) []byte {
	text, err := json.Marshal(object)
	if err != nil {
		fail("%v", err)
	}
	return text
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "load: "+format+"\n", arguments...)
	os.Exit(1)
}

func main() {
	url := flag.String("server", "", "https://HOST:PORT")
	pki := flag.String("pki", "", "the folder that servers/certs made")
	seed := flag.Uint64("seed", 1, "decides every change")
	count := flag.Int("workers", 4, "connections that write side by side")
	flag.Parse()
	s := newServer(*url, *pki)
	prepare(s)
	var workers []*worker
	for id := range *count {
		random := rand.New(rand.NewPCG(*seed, uint64(id)))
		workers = append(workers, &worker{server: s, id: id, random: random, live: make([][]string, len(kinds))})
	}
	out, marks, busy := bufio.NewWriter(os.Stdout), 0, time.Duration(0)
	fmt.Fprintln(out, "= ok")
	out.Flush()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); out.Flush() {
		start := time.Now()
		verb, word, _ := strings.Cut(in.Text(), " ")
		total, err := strconv.Atoi(word)
		switch {
		case verb == "run" && err == nil && total > 0:
			run(workers, total, out)
		case verb == "mark":
			mark(s, marks, out)
			marks++
		default:
			fail("unknown command %q", in.Text())
		}
		busy += time.Since(start)
	}
	c := &s.counts
	writes := c.create.Load() + c.patch.Load() + c.delete.Load() + 2*c.recreate.Load()
	fmt.Fprintf(out, "= ok creates %d patches %d deletes %d recreates %d marks %d",
		c.create.Load(), c.patch.Load(), c.delete.Load(), c.recreate.Load(), marks)
	fmt.Fprintf(out, " retries %d MiB %d writes %d per second %.0f\n",
		c.retries.Load(), c.bytes.Load()>>20, writes, float64(writes)/busy.Seconds())
	out.Flush()
}
