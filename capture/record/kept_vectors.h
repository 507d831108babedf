/*
 * kept_vectors.h: what handlers call leaves vector registers as they were
 *
 * A function of the program that is led to a handler (heap_entries.h) may be known to its callers
 * as one that touches no vector register. The library is compiled with them and calls a C library
 * that uses them; so what a handler calls of it is called here with all of them saved, as far as
 * the processor and the kernel have them: xmm, ymm, zmm and mask registers. What is put into a
 * process from outside is compiled without, and needs none of this.
 *
 * Included before the headers that declare these functions: they are then called by other names.
 * Only on the long ways: most calls of malloc and free take none. Up to 2.8 KiB of stack.
 */
#ifndef VMT_KEPT_VECTORS_H
#define VMT_KEPT_VECTORS_H

#if defined(__x86_64__) && !defined(VMT_THREAD_ON_STACK)

#define VMT_KEPT_VECTORS_CALLS(X)                                                                  \
	X(vmt_heap_begin_realloc)                                                                  \
	X(vmt_heap_enter_slow)                                                                     \
	X(vmt_heap_is_outermost_slow)                                                              \
	X(vmt_heap_record)                                                                         \
	X(vmt_heap_release_slow)                                                                   \
	X(vmt_heap_undo_realloc)                                                                   \
	X(vmt_sampler_take_slow)

#if !defined(VMT_KEPT_VECTORS_MAKES)
#define vmt_heap_begin_realloc vmt_heap_begin_realloc_kept
#define vmt_heap_enter_slow vmt_heap_enter_slow_kept
#define vmt_heap_is_outermost_slow vmt_heap_is_outermost_slow_kept
#define vmt_heap_record vmt_heap_record_kept
#define vmt_heap_release_slow vmt_heap_release_slow_kept
#define vmt_heap_undo_realloc vmt_heap_undo_realloc_kept
#define vmt_sampler_take_slow vmt_sampler_take_slow_kept
#endif

/* Set-up: learns which registers there are. Before the first call of a handler. */
void vmt_kept_vectors_set_up(void);

#endif

#endif
