/* model_main.h - the program of a model: MODEL MUTANT [ITERATIONS]. Behind relacy/relacy.hpp. */
#ifndef KR_TESTS_MODEL_MAIN_H
#define KR_TESTS_MODEL_MAIN_H

#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <streambuf>

/* What Relacy says. It replaces operator new, so this one must not allocate. */
struct quiet_buffer : std::streambuf {
	long left;
	explicit quiet_buffer(long bytes) : left(bytes) {}
	int overflow(int c) override
	{
		if (left-- > 0)
			fputc(c, stderr);
		return c;
	}
};

template <typename model>
static int model_main(const char *name, int mutants, int *mutant, int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s MUTANT(0..%d) [ITERATIONS]\n", name, mutants - 1);
		return 2;
	}
	*mutant = atoi(argv[1]);
	if (*mutant < 0 || *mutant >= mutants)
		return 2;
	quiet_buffer said(*mutant ? 0 : 40000);
	std::ostream stream(&said);
	rl::test_params p;
	p.iteration_count = argc > 2 ? (rl::iteration_t)atoll(argv[2]) : 100000;
	p.search_type = rl::sched_random;
	p.execution_depth_limit = 20000;
	p.output_stream = &stream;
	p.progress_stream = &stream;
	bool ok = rl::simulate<model>(p);
	printf("%s mutant %d: %s after %u executions\n", name, *mutant,
	        ok ? "no error" : "ERROR FOUND", (unsigned)p.stop_iteration);
	return ok ? 0 : 1;
}

#endif
