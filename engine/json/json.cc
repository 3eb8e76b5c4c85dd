/* json.cc - the only C++ file: simdjson behind the C functions of simd.h.
 *
 * It exists because simdjson is a C++ library. Nothing that crosses this border is C++: no type, no
 * exception, no allocation that could throw. It is compiled with -fno-exceptions -fno-rtti and
 * SIMDJSON_EXCEPTIONS=0, and a test looks for unwinder symbols in the object.
 *
 * What is taken from the library: stage 1 (the structural index, chosen for the CPU at run time) as
 * the ground of the portable kernel in tokens.c, the UTF-8 check, and On-Demand as a second reader
 * that the scanner in scan.c is audited with. Why On-Demand is not the first reader: it checks only
 * what it visits, and what we keep is served again to others; visiting everything costs what a DOM
 * costs (bench/micro/json_bench.c). */
#include "json/simd.h"

#include <charconv>
#include <memory>
#include <new>
#include <string_view>

#include <simdjson.h>

using namespace simdjson;

static_assert(SIMD_PADDING == SIMDJSON_PADDING, "callers promise what simdjson needs");

struct simd {
	std::unique_ptr<internal::dom_parser_implementation> stage1;
	ondemand::parser audit;
};

extern "C" {

struct simd *simd_new(void)
{
	simd *s = new (std::nothrow) simd;
	if (!s)
		return nullptr;
	/* 4 bytes per byte of capacity: it grows when the portable kernel is really used. */
	if (get_active_implementation()->create_dom_parser_implementation(0, 1, s->stage1)) {
		delete s;
		return nullptr;
	}
	return s;
}

void simd_free(struct simd **s)
{
	delete *s;
	*s = nullptr;
}

enum simd_result simd_index(
        struct simd *s, const char *doc, size_t n, const uint32_t **offsets, uint32_t *count)
{
	if (n >= s->stage1->capacity()) {
		size_t capacity = n < 4096 ? 4096 : n + n / 2;
		if (s->stage1->set_capacity(capacity))
			return SIMD_NO_MEMORY;
	}
	auto bytes = reinterpret_cast<const uint8_t *>(doc);
	if (s->stage1->stage1(bytes, n, stage1_mode::regular))
		return SIMD_SYNTAX;
	*offsets = s->stage1->structural_indexes.get();
	*count = s->stage1->n_structural_indexes;
	return SIMD_OK;
}

bool simd_utf8(const char *p, size_t n)
{
	return validate_utf8(p, n);
}

double simd_double(const char *p, size_t n)
{
	double d = 0;
	std::from_chars(p, p + n, d);
	return d;
}

} /* extern "C" */

static bool same(std::string_view a, const char *p, size_t n)
{
	return a == std::string_view(p ? p : "", n);
}

/* Absent, null and empty are the same to us. */
static bool same_member(ondemand::object &from, const char *key, const char *p, size_t n)
{
	ondemand::value v;
	if (from[key].get(v))
		return n == 0;
	bool null;
	if (v.is_null().get(null))
		return false;
	std::string_view text;
	return null ? n == 0 : !v.get_string().get(text) && same(text, p, n);
}

static bool object_agrees(ondemand::document &d, const char *doc, const simd_claim &claim)
{
	static const char *const keys[4] = {"name", "namespace", "uid", "resourceVersion"};
	ondemand::object object, metadata;
	if (claim.type ? d["object"].get_object().get(object) : d.get_object().get(object))
		return false;
	std::string_view raw;
	if (object.raw_json().get(raw) || object.reset().error())
		return false;
	if (raw.data() != doc + claim.object_at || raw.size() < claim.object_bytes)
		return false;
	if (object["metadata"].get_object().get(metadata))
		return false;
	for (int i = 0; i < 4; i++)
		if (!same_member(metadata, keys[i], claim.text[i], claim.text_bytes[i]))
			return false;
	return true;
}

extern "C" bool simd_agrees(
        struct simd *s, const char *doc, size_t n, const struct simd_claim *claim)
{
	ondemand::document d;
	std::string_view type;
	if (s->audit.iterate(doc, n, n + SIMDJSON_PADDING).get(d))
		return false;
	if (claim->type &&
	        (d["type"].get_string().get(type) || !same(type, claim->type, claim->type_bytes)))
		return false;
	return !claim->has_object || object_agrees(d, doc, *claim);
}
