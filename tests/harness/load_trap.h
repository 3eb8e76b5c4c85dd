/* load_trap.h - a page of memory that calls the test at every load of it, before the load: to count
 * loads, or to change what they find as another process would. The page may not be read; who reads
 * it stops in a handler, which lets that one instruction by and locks the page again.
 *
 * x86-64 only (LOAD_TRAP): stepping is done in another way elsewhere. Owner: the test; one at a
 * time, one thread. */
#ifndef KR_HARNESS_LOAD_TRAP_H
#define KR_HARNESS_LOAD_TRAP_H

#ifdef __x86_64__
#define LOAD_TRAP 1

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

enum {
	LOAD_TRAP_BYTES = 4096,
	LOAD_TRAP_STEP = 1 << 8, /* the flag that traps behind one instruction */
};

static struct {
	uint8_t *page;           /* behind it lies one that nobody may ever read */
	void (*on_load)(size_t); /* where the load begins; may write to the page */
	struct sigaction before[2];
} load_trap;

static void load_trap_lock(int protection)
{
	if (mprotect(load_trap.page, LOAD_TRAP_BYTES, protection) != 0)
		abort();
}

static void load_trap_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	size_t at = (size_t)((uint8_t *)info->si_addr - load_trap.page);
	(void)sig;
	if (at >= LOAD_TRAP_BYTES) { /* over the end, or a defect elsewhere: as without us */
		signal(SIGSEGV, SIG_DFL);
		return;
	}
	load_trap_lock(PROT_READ | PROT_WRITE);
	load_trap.on_load(at);
	u->uc_mcontext.gregs[REG_EFL] |= LOAD_TRAP_STEP;
}

static void load_trap_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	(void)sig;
	(void)info;
	u->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)LOAD_TRAP_STEP;
	load_trap_lock(PROT_NONE);
}

/* NULL: no memory. */
static inline uint8_t *load_trap_page(void)
{
	uint8_t *at =
	        mmap(NULL, 2 * LOAD_TRAP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	load_trap.page = at;
	load_trap_lock(PROT_READ | PROT_WRITE);
	return at;
}

/* From here to load_trap_end every load of the page is told. */
static inline void load_trap_begin(void (*on_load)(size_t at))
{
	struct sigaction fault = {.sa_sigaction = load_trap_fault, .sa_flags = SA_SIGINFO};
	struct sigaction step = {.sa_sigaction = load_trap_step, .sa_flags = SA_SIGINFO};
	load_trap.on_load = on_load;
	if (sigaction(SIGSEGV, &fault, &load_trap.before[0]) != 0 ||
	        sigaction(SIGTRAP, &step, &load_trap.before[1]) != 0)
		abort();
	load_trap_lock(PROT_NONE);
}

static inline void load_trap_end(void)
{
	load_trap_lock(PROT_READ | PROT_WRITE);
	if (sigaction(SIGSEGV, &load_trap.before[0], NULL) != 0 ||
	        sigaction(SIGTRAP, &load_trap.before[1], NULL) != 0)
		abort();
}

#endif
#endif
