/*
 * model_atomic.h: what takes the place of base/atomic.h while interleavings are explored?
 *
 * Included before anything else, it keeps base/atomic.h out. Every access to a shared word first
 * hands control to the scheduler (model.h), which thereby decides what happens between any two
 * accesses. Memory is sequentially consistent here: docs/ring.md argues for the orders.
 *
 * model_mutation changes what the accesses do, so that a test can show that the search finds what
 * such a defect would cause. Sequence words are told from head and tail by their size.
 */
#ifndef VMT_ATOMIC_H
#define VMT_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

enum model_mutation {
	MUTATION_NONE,
	/* defects of the accesses themselves */
	MUTATION_SEQUENCE_SWAP_TORN,   /* compare and swap of a sequence in two steps */
	MUTATION_SEQUENCE_SWAP_STORES, /* it stores whatever it finds */
	MUTATION_HEAD_SWAP_TORN,       /* that of head and tail in two steps */
	MUTATION_HEAD_SWAP_STORES,     /* it stores whatever it finds */
	MUTATION_GIVEN_UP_IS_FREE,     /* a given-up slot goes straight into the next lap */
	MUTATION_DEAD_IS_FREE,	       /* a reader frees a dead slot without its writer */
	/* defects of those who use the ring, acted out by the test */
	MUTATION_COMMIT_BEFORE_CONTENT,
	MUTATION_RELEASE_BEFORE_COPY,
	MUTATION_NO_SECOND_LOOK,
	MUTATION_NO_TAKING_BACK,
	MUTATION_RELEASE_BEFORE_FILE,
	MUTATION_ALONE_BESIDE_DISCARDS, /* releases without swaps though producers discard */
	MUTATION_TAKEN_FROM_THE_LIVING, /* discards though a collector releases without swaps */
	MUTATIONS,
};

extern enum model_mutation model_mutation;
extern uint32_t model_capacity;

/* Lets any other thread of the model go first. */
void model_yield(void);

static inline uint64_t
model_mutate_desired(uint64_t bytes, uint64_t expected, uint64_t desired)
{
	uint64_t step = desired - expected;

	if (bytes != sizeof(uint32_t))
		return desired;
	step &= UINT32_MAX;
	if (model_mutation == MUTATION_GIVEN_UP_IS_FREE && step == model_capacity + 2)
		return desired - 2;
	if (model_mutation == MUTATION_DEAD_IS_FREE && step == model_capacity)
		return desired - 2;
	return desired;
}

static inline bool
model_swap_torn(uint64_t bytes)
{
	return model_mutation ==
	       (bytes == sizeof(uint32_t) ? MUTATION_SEQUENCE_SWAP_TORN : MUTATION_HEAD_SWAP_TORN);
}

static inline bool
model_swap_stores(uint64_t bytes)
{
	return model_mutation == (bytes == sizeof(uint32_t) ? MUTATION_SEQUENCE_SWAP_STORES
							    : MUTATION_HEAD_SWAP_STORES);
}

#define vmt_atomic_load_relaxed(pointer) (model_yield(), *(pointer))
#define vmt_atomic_load_acquire(pointer) (model_yield(), *(pointer))
#define vmt_atomic_store_relaxed(pointer, value) (model_yield(), (void)(*(pointer) = (value)))
#define vmt_atomic_store_release(pointer, value) (model_yield(), (void)(*(pointer) = (value)))
#define vmt_atomic_add_relaxed(pointer, value)                                                     \
	(model_yield(), (void)(*(pointer) += (__typeof__(*(pointer)))(value)))
#define vmt_atomic_fence_acquire() ((void)0)

#define vmt_atomic_cas(pointer, expected, desired)                                                 \
	({                                                                                         \
		__typeof__(*(pointer)) model_found;                                                \
		bool model_same;                                                                   \
                                                                                                   \
		model_yield();                                                                     \
		model_found = *(pointer);                                                          \
		model_same = model_found == *(expected);                                           \
		if (model_same && model_swap_torn(sizeof(model_found)))                            \
			model_yield();                                                             \
		if (model_same || model_swap_stores(sizeof(model_found)))                          \
			*(pointer) = (__typeof__(model_found))model_mutate_desired(                \
			    sizeof(model_found), *(expected), (desired));                          \
		if (!model_same)                                                                   \
			*(expected) = model_found;                                                 \
		model_same || model_swap_stores(sizeof(model_found));                              \
	})

#endif
