#include "collect/shared.h"

#include "base/ticks.h"

#include <sys/mman.h>

int
vmt_shared_begin(struct vmt_shared *shared, const struct vmt_collector_host *host,
		 struct vmt_session *session)
{
	struct vmt_residency_choice choice;
	void *scratch = vmt_sys_mmap(NULL, VMT_RESIDENCY_SCRATCH_BYTES, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (vmt_sys_failed(scratch))
		return (int)(intptr_t)scratch;
	shared->residency_scratch = scratch;
	shared->host = host;
	shared->session = session;
	choice = vmt_residency_choose(host->residency_source, false);
	shared->source = choice.source;
	shared->knows_guards = choice.knows_guards;
	if (shared->source == VMT_RESIDENCY_PAGEMAP)
		shared->zero_frame = vmt_residency_zero_frame();
	vmt_cpu_budget_begin(&shared->credit, vmt_ticks_monotonic_ns());
	return 0;
}

void
vmt_shared_end(struct vmt_shared *shared)
{
	if (shared->residency_scratch)
		vmt_sys_munmap(shared->residency_scratch, VMT_RESIDENCY_SCRATCH_BYTES);
	vmt_snapshot_release(&shared->snapshot_scratch);
	vmt_buffer_free(&shared->drain_scratch.payload);
	vmt_buffer_free(&shared->packed);
	vmt_buffer_free(&shared->retained);
}
