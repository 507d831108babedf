#include "capture/core/thread.h"

#if defined(VMT_THREAD_ON_STACK)
#include "base/atomic.h"

#define PLACES_BITS 12
#define PLACES (1u << PLACES_BITS)
#define PROBES 16u

/* A thread, by its pointer; 0: nobody. Once taken a place is never given up: another thread that
 * gets the same pointer goes on with it. */
struct place {
	uint64_t pointer;
	struct vmt_thread thread;
};

static struct place places[PLACES];

enum vmt_thread_base vmt_thread_base;
struct vmt_thread_stacks vmt_thread_stacks;

static bool
takes(struct place *place, uint64_t pointer)
{
	uint64_t owner = vmt_atomic_load_relaxed(&place->pointer);

	return owner == pointer ||
	       (owner == 0 &&
		(vmt_atomic_cas(&place->pointer, &owner, pointer) || owner == pointer));
}

struct vmt_thread *
vmt_thread_find(void)
{
	uint64_t pointer = vmt_thread_pointer();
	uint64_t first = pointer * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PLACES_BITS);

	if (pointer == 0)
		return NULL;
	for (uint64_t i = 0; i < PROBES; i++) {
		struct place *place = &places[(first + i) % PLACES];

		if (takes(place, pointer))
			return &place->thread;
	}
	return NULL;
}

bool
vmt_thread_is_any_inside(void)
{
	for (uint32_t i = 0; i < PLACES; i++)
		if (places[i].thread.depth != 0 || places[i].thread.heap_depth != 0)
			return true;
	return false;
}
#else
__thread struct vmt_thread vmt_thread_state __attribute__((tls_model("initial-exec")));
#endif
