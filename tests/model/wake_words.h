/* wake_words.h - the seam between the shipped C code of waking up and the model checker. */
#ifndef KR_MODEL_WAKE_WORDS_H
#define KR_MODEL_WAKE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What stands in the place of the words and calls of waiting.h and wait.c. */
uint32_t wake_load(int order);
void wake_store(uint32_t v, int order);
uint32_t wake_exchange(uint32_t v, int order);
void wake_fence(const char *function);
long wake_drain(void);
int wake_sleep(void);

/* The shipped code. */
void shipped_arm(void);
void shipped_disarm(void);
void shipped_block(void); /* wait_block: sleeps, disarms */
void shipped_fence(void);
bool shipped_take(void);

#ifdef __cplusplus
}
#endif

#endif
