#include "collect/releases.h"

#include "base/sys.h"

#include <linux/futex.h>

_Static_assert(VMT_RING_RELEASER_DIED == FUTEX_OWNER_DIED, "the kernel writes it");
_Static_assert(VMT_RING_CONTESTED == FUTEX_WAITERS, "no thread's id");

/* Empty. The word that is being taken, or was, stands as the pending one: the kernel looks at it
 * where it holds the thread's id. */
static struct robust_list_head list = {.list = {&list.list}};
static uint32_t listed_thread;

static bool
is_listed(uint32_t thread)
{
	if (listed_thread != thread && vmt_sys_call2(SYS_set_robust_list, &list, sizeof(list)) == 0)
		listed_thread = thread;
	return listed_thread == thread;
}

/* Before the word is taken, as the thread may be killed in between. */
static void
set_pending(uint32_t *word)
{
	vmt_atomic_store_release(&list.list_op_pending, (struct robust_list *)(void *)word);
}

bool
vmt_releases_begin(const struct vmt_ring_view *ring)
{
	uint32_t thread = (uint32_t)vmt_sys_call0(SYS_gettid);

	if (!is_listed(thread))
		return false;
	set_pending(&ring->control->releaser);
	if (vmt_ring_begin_release(ring, thread))
		return true;
	set_pending(NULL);
	return false;
}

void
vmt_releases_end(const struct vmt_ring_view *ring)
{
	vmt_ring_end_release(ring);
	set_pending(NULL);
}
