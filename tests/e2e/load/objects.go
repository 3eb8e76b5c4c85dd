package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// kind is a resource with how its objects are made and changed. Weights are in percent of all changes; below its floor a
// kind is only created: configmaps get more than one page of a paged list.
type kind struct {
	resource, root string
	weight, floor  int
	newObject      func(r *rand.Rand, namespace, name string) map[string]any
	newPatch       func(r *rand.Rand) (string, map[string]any) // suffix of the path, and a merge patch
}

const widgetRoot = "/apis/kubering.test/v1"

var kinds = []kind{
	{"configmaps", "/api/v1", 45, 620, newConfigMap, patchConfigMap},
	{"pods", "/api/v1", 25, 120, newPod, patchPod},
	{"deployments", "/apis/apps/v1", 10, 40, newDeployment, patchDeployment},
	{"events", "/api/v1", 10, 60, newEvent, patchEvent},
	{"widgets", widgetRoot, 10, 60, newWidget, patchWidget},
}

const mebibyte = 1 << 20

// Letters of one to four bytes, and everything that JSON or HTML escapes: the server writes <, >, & and U+2028 as \uXXXX.
var letters = []rune("abcdefghijklmnopqrstuvwxyz0123456789 \n\t\"\\/<>&'{}[]:,\x00\x01\x1f\x7fäßλЖ中\u2028\u2029\ufeff😀𝕂")

func text(r *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size-4 {
		b.WriteRune(letters[r.IntN(len(letters))])
	}
	for b.Len() < size {
		b.WriteByte('.')
	}
	return b.String()
}

// size of an object's payload: most are small, one in a hundred up to 128 KiB, one in 400 as large as `most` lets it be.
func size(r *rand.Rand, most int) int {
	switch roll := r.IntN(400); {
	case roll == 0:
		return most
	case roll < 5:
		return min(most, 16384+r.IntN(114688))
	default:
		return 16 + r.IntN(4000)
	}
}

func stage(r *rand.Rand) string { return []string{"in", "out"}[r.IntN(2)] }

func metadata(object map[string]any) map[string]any { return object["metadata"].(map[string]any) }

func object(r *rand.Rand, name string, annotation int) map[string]any {
	return map[string]any{"metadata": map[string]any{
		"name":        name,
		"labels":      map[string]any{"stage": stage(r), "tier": fmt.Sprint("t", r.IntN(5))},
		"annotations": map[string]any{"kubering.test/note": text(r, annotation)},
	}}
}

// A third of all patches moves the object in or out of the selector stage=in.
func patch(r *rand.Rand, change map[string]any) map[string]any {
	if r.IntN(3) == 0 {
		return map[string]any{"metadata": map[string]any{"labels": map[string]any{"stage": stage(r)}}}
	}
	return change
}

func newConfigMap(r *rand.Rand, _, name string) map[string]any {
	o := object(r, name, 8)
	o["data"] = map[string]any{"text": text(r, size(r, mebibyte-16)), "n": "0"} // all values together may have 1 MiB
	return o
}

func patchConfigMap(r *rand.Rand) (string, map[string]any) {
	return "", patch(r, map[string]any{"data": map[string]any{"n": fmt.Sprint(r.Uint32())}})
}

func container(r *rand.Rand) map[string]any {
	return map[string]any{"name": "c", "image": fmt.Sprintf("registry.test/image:%d", r.IntN(100)),
		"env":       []any{map[string]any{"name": "TEXT", "value": text(r, 16+r.IntN(500))}},
		"resources": map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "64Mi"}}}
}

func newPod(r *rand.Rand, _, name string) map[string]any {
	o := object(r, name, size(r, 250000)) // all annotations together may have 256 KiB
	o["spec"] = map[string]any{"containers": []any{container(r)}}
	return o
}

func patchPod(r *rand.Rand) (string, map[string]any) {
	if r.IntN(2) == 0 {
		return "/status", map[string]any{"status": map[string]any{"phase": "Pending", "message": text(r, 16+r.IntN(200))}}
	}
	note := map[string]any{"n": fmt.Sprint(r.Uint32())}
	return "", patch(r, map[string]any{"metadata": map[string]any{"annotations": note}})
}

func newDeployment(r *rand.Rand, _, name string) map[string]any {
	o := object(r, name, size(r, 250000))
	app := map[string]any{"app": name}
	o["spec"] = map[string]any{
		"replicas": r.IntN(10),
		"selector": map[string]any{"matchLabels": app},
		"template": map[string]any{
			"metadata": map[string]any{"labels": app},
			"spec":     map[string]any{"containers": []any{container(r)}},
		},
	}
	return o
}

func patchDeployment(r *rand.Rand) (string, map[string]any) {
	return "", patch(r, map[string]any{"spec": map[string]any{"replicas": r.IntN(10)}})
}

func newEvent(r *rand.Rand, namespace, name string) map[string]any {
	o := object(r, name, 8)
	o["involvedObject"] = map[string]any{"kind": "Pod", "namespace": namespace, "name": name}
	o["reason"], o["type"], o["count"], o["message"] = "Tested", "Normal", 1, text(r, 16+r.IntN(900))
	return o
}

func patchEvent(r *rand.Rand) (string, map[string]any) {
	return "", patch(r, map[string]any{"count": r.IntN(1000)})
}

func newWidget(r *rand.Rand, _, name string) map[string]any {
	o := object(r, name, 8)
	o["apiVersion"], o["kind"] = "kubering.test/v1", "Widget"
	o["spec"] = map[string]any{"text": text(r, size(r, mebibyte)), "whole": r.Int64(), "real": r.NormFloat64() * 1e-7,
		"huge": 1e21 * r.Float64(), "list": []any{nil, true, map[string]any{}, []any{}, -1, ""}}
	return o
}

func patchWidget(r *rand.Rand) (string, map[string]any) {
	return "", patch(r, map[string]any{"spec": map[string]any{"real": r.Float64(), "more": map[string]any{"a": r.IntN(9)}}})
}

var widgetDefinition = map[string]any{
	"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
	"metadata": map[string]any{"name": "widgets.kubering.test"},
	"spec": map[string]any{
		"group": "kubering.test", "scope": "Namespaced",
		"names": map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": []any{"wd"}},
		"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
			"additionalPrinterColumns": []any{map[string]any{"name": "Real", "type": "number", "jsonPath": ".spec.real"}},
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
				"spec": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}},
	},
}
