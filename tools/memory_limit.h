/*
 * memory_limit.h: bounds how much memory untrusted input may cost.
 *
 * A small file can ask for much: by compression, by counts, by what libraries make of it. Past the
 * bound malloc fails, which everything here survives, and nobody else's memory is needed.
 */
#ifndef VMT_MEMORY_LIMIT_H
#define VMT_MEMORY_LIMIT_H

#include <stdint.h>

/* This many bytes more than by now, unless a limit stands lower already. */
void vmt_memory_limit_set(uint64_t bytes);

/* Writable memory of this process's own that the limit counts; 0 where /proc does not tell. */
uint64_t vmt_memory_limit_present(void);

/* What this process could have at the most: the machine's memory, or the limit of its cgroup. */
uint64_t vmt_memory_limit_available(void);

/* Three quarters of that, the rest being for those who look up symbols. */
void vmt_memory_limit_set_machine(void);

#endif
