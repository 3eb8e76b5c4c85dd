/* brackets.h - where does this value end? The inner loop of the list splitter.
 *
 * It counts brackets outside of strings, 64 bytes at a time, and can stop and go on anywhere. It
 * checks nothing else: who gets the value reads it with tokens.h. Three kernels (AVX-512, AVX2,
 * plain C) give the same answers; the best one is chosen at run time.
 */
#ifndef KR_JSON_BRACKETS_H
#define KR_JSON_BRACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum brackets_result {
	BRACKETS_MORE,   /* all n bytes were taken, the value goes on */
	BRACKETS_CLOSED, /* the last byte taken is the bracket that closes the value */
	BRACKETS_DEEP,   /* the last byte taken opens one level too many */
};

enum brackets_kernel {
	BRACKETS_KERNEL_BEST,
	BRACKETS_KERNEL_PLAIN,
	BRACKETS_KERNEL_AVX2,
	BRACKETS_KERNEL_AVX512
};

/* Owner: a splitter. Zero, except for depth_max and run, before the bracket that opens a value;
 * whole and zero again when it is closed. */
struct brackets {
	uint64_t in_string; /* all ones: inside a string */
	uint64_t escaped;   /* 1: the next byte is escaped */
	uint32_t depth, depth_max;
	enum brackets_result (*run)(struct brackets *b, const char *p, size_t n, size_t *taken);
};

/* false: this CPU has not that kernel. */
bool brackets_init(struct brackets *b, uint32_t depth_max, enum brackets_kernel kernel);

/* Reads on. The first byte of a value must be its opening bracket. n > 0. */
static inline enum brackets_result brackets_run(
        struct brackets *b, const char *p, size_t n, size_t *taken)
{
	return b->run(b, p, n, taken);
}

#endif
