/*
 * heap_functions.h: by which handler is each function of an allocator recorded?
 *
 * The contract between who changes such functions at their entry (inject/) and the handlers
 * (capture/record/heap_entries.h). VMT_HEAP_ENTRIES(X): X(ENTRY, event, form). An entry's number is
 * of one build alone.
 */
#ifndef VMT_HEAP_FUNCTIONS_H
#define VMT_HEAP_FUNCTIONS_H

/* Forms, by what the arguments are: ACQUIRE_1, ACQUIRE_2: the size is the first or the second;
 * ACQUIRE_PRODUCT: of both; CHANGE_2: a block and its new size; CHANGE_PRODUCT: ... and two factors
 * of it; RELEASE: a block; ACQUIRE_AT: where the block goes, an alignment, the size; INSIDE: what
 * it calls of the family is the allocator's own, and no event is written; OR_ELSE: the first is the
 * size of a block that the allocator's malloc makes; only where that has none the function itself
 * runs, as if it had not been led anywhere: it may throw. */
#define VMT_HEAP_ENTRIES(X)                                                                        \
	X(MALLOC, MALLOC, ACQUIRE_1)                                                               \
	X(CALLOC, CALLOC, ACQUIRE_PRODUCT)                                                         \
	X(REALLOC, REALLOC, CHANGE_2)                                                              \
	X(REALLOCARRAY, REALLOCARRAY, CHANGE_PRODUCT)                                              \
	X(FREE, FREE, RELEASE)                                                                     \
	X(POSIX_MEMALIGN, POSIX_MEMALIGN, ACQUIRE_AT)                                              \
	X(ALIGNED_ALLOC, ALIGNED_ALLOC, ACQUIRE_2)                                                 \
	X(MEMALIGN, MEMALIGN, ACQUIRE_2)                                                           \
	X(VALLOC, VALLOC, ACQUIRE_1)                                                               \
	X(PVALLOC, PVALLOC, ACQUIRE_1)                                                             \
	X(CLEANUP, FREE, INSIDE)                                                                   \
	X(NEW, NEW, NEW)                                                                           \
	X(NEW_NOTHROW, NEW, ACQUIRE_1)                                                             \
	X(NEW_OR_ELSE, NEW, OR_ELSE)                                                               \
	X(DELETE, DELETE, RELEASE)

#define VMT_HEAP_ENTRY_NAME(entry, event, form) VMT_HEAP_ENTRY_##entry,
enum vmt_heap_entry { VMT_HEAP_ENTRIES(VMT_HEAP_ENTRY_NAME) VMT_HEAP_ENTRIES_COUNT };
#undef VMT_HEAP_ENTRY_NAME

#endif
