/*
 * One pass over the mappings of a process, into the payload of a chunk.
 * Over 500 lines: all steps work on the one struct of the pass.
 */
#include "collect/snapshot.h"

#include "base/assert.h"
#include "base/procfs.h"
#include "base/text.h"
#include "base/ticks.h"
#include "collect/hugetlb.h"
#include "collect/kernel_counters.h"
#include "collect/trace_clock.h"
#include "format/codec.h"

#include <errno.h>
#include <string.h>

/* Text of half a million mappings; the kernel's default limit is 65530. */
#define MAPS_MAX_BYTES (UINT64_C(64) << 20)

/* All of them fit a chunk beside 100,000 mappings. */
#define MAX_RUNS 1500000u

#define PAYLOAD_MIN_BYTES (UINT64_C(1) << 20)

/* Payload room kept free for one more mapping with the longest path, and its runs packed. */
#define MAPPING_ROOM_BYTES (VMT_CODEC_MAPPING_MAX_BYTES + UINT16_MAX + 32 * VMT_CODEC_RUN_MAX_BYTES)

/* Bits of a run's kind: it has 64 values. */
#define RUN_KINDS 128u

/* Mappings are scanned by one call where they are alike and this near each other, with whatever
 * lies in between: a call costs as much as some hundred pages. */
#define GROUP_MAPPINGS 64u
#define GROUP_BYTES (UINT64_C(1) << 30)
/* Of private anonymous mappings beside those of files: the question whether a page is a file's is
 * in vain for them, and makes it four times as dear. */
#define GROUP_ASKED_BYTES (UINT64_C(512) << 10)

struct take {
	const struct vmt_snapshot_job *job;
	struct vmt_snapshot_head *head;
	struct vmt_encoder encoder;
	uint32_t runs_left;
	bool coarse;
	int error;
	uint64_t previous_end; /* of the mapping before, 0 at the start */
	/* Mappings that wait for their scan, in rising order: */
	struct vmt_mapping group[GROUP_MAPPINGS];
	uint32_t group_count;
	struct vmt_hugetlb hugetlb;
	bool nothing_swapped;
	enum vmt_residency_files group_files;
	uint64_t group_plain_bytes; /* of its private anonymous mappings */
	/* Of the one whose runs are coming in: */
	uint32_t at; /* in group */
	struct vmt_run *runs;
	uint32_t run_count;
	uint64_t packed_bytes[RUN_KINDS]; /* past the limit: sums only */
	bool packed;
};

static int
read_maps(const struct vmt_snapshot_job *job, size_t *length)
{
	struct vmt_buffer *buffer = &job->scratch->maps;
	size_t wanted = 256 * 1024;
	long got;

	for (;;) {
		if (!vmt_buffer_reserve(buffer, wanted))
			return -ENOMEM;
		got = vmt_procfs_read(job->maps_fd, (char *)buffer->bytes, buffer->capacity);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return -ESRCH;
		if ((size_t)got < buffer->capacity || buffer->capacity >= MAPS_MAX_BYTES)
			break;
		wanted = buffer->capacity * 2;
	}
	*length = (size_t)got;
	return 0;
}

static uint64_t
statm_rss_bytes(const struct vmt_snapshot_job *job)
{
	struct vmt_procfs_statm statm;

	if (job->statm_fd < 0 || !vmt_procfs_read_statm(job->statm_fd, &statm))
		return VMT_FIGURE_UNKNOWN;
	return statm.resident_pages * job->residency.page_bytes;
}

static void
count_run(struct vmt_snapshot_head *head, const struct vmt_run *run)
{
	if ((run->kind & VMT_RUN_PRESENT) && !(run->kind & VMT_RUN_ZERO)) {
		head->resident_bytes += run->bytes;
		if (run->kind & VMT_RUN_HUGE)
			head->huge_bytes += run->bytes;
		if (run->kind & VMT_RUN_SHARED)
			head->shared_rss_bytes += run->bytes;
	}
	if (run->kind & VMT_RUN_SWAPPED)
		head->swap_bytes += run->bytes;
}

/* Adds a run to the mapping in hand. */
static void
keep_run(struct take *take, const struct vmt_run *run)
{
	struct vmt_buffer *buffer = &take->job->scratch->runs;

	vmt_assert(run->bytes != 0 && take->at < take->group_count);
	vmt_assert(run->kind < RUN_KINDS);
	count_run(take->head, run);
	if (take->packed || take->run_count >= take->runs_left ||
	    !vmt_buffer_reserve(buffer, (take->run_count + 1) * sizeof(*run))) {
		take->packed = true;
		take->packed_bytes[run->kind % RUN_KINDS] += run->bytes;
		return;
	}
	vmt_assert((take->run_count + 1) * sizeof(*run) <= buffer->capacity);
	take->runs = (struct vmt_run *)(void *)buffer->bytes;
	take->runs[take->run_count++] = *run;
}

/* Replaces the mapping's runs by one of each kind, with the same sums, from its start on. */
static void
pack_runs(struct take *take, const struct vmt_mapping *mapping)
{
	uint64_t at = mapping->start;
	struct vmt_run *runs;

	for (uint32_t i = 0; i < take->run_count; i++)
		take->packed_bytes[take->runs[i].kind % RUN_KINDS] += take->runs[i].bytes;
	take->run_count = 0;
	take->coarse = true;
	if (!vmt_buffer_reserve(&take->job->scratch->runs, RUN_KINDS * sizeof(*runs)))
		return;
	take->runs = runs = (struct vmt_run *)(void *)take->job->scratch->runs.bytes;
	for (uint32_t kind = 0; kind < RUN_KINDS; kind++) {
		uint64_t bytes = take->packed_bytes[kind];

		if (bytes == 0)
			continue;
		vmt_assert(bytes <= mapping->end - at);
		runs[take->run_count++] =
		    (struct vmt_run){.start = at, .bytes = bytes, .kind = kind};
		at += bytes;
	}
}

static size_t
room(const struct take *take)
{
	vmt_assert(take->encoder.at <= take->encoder.end);
	return (size_t)(take->encoder.end - take->encoder.at);
}

static void
write_mapping(struct take *take, const struct vmt_mapping *mapping)
{
	vmt_assert(mapping->start < mapping->end);
	if (take->packed ||
	    room(take) < MAPPING_ROOM_BYTES + (size_t)take->run_count * VMT_CODEC_RUN_MAX_BYTES)
		pack_runs(take, mapping);
	if (room(take) < MAPPING_ROOM_BYTES ||
	    !vmt_codec_put_mapping(&take->encoder, mapping, take->run_count)) {
		take->coarse = true;
		return;
	}
	vmt_assert(room(take) >= (size_t)take->run_count * VMT_CODEC_RUN_MAX_BYTES);
	for (uint32_t i = 0; i < take->run_count; i++)
		(void)vmt_codec_put_run(&take->encoder, &take->runs[i]);
	take->head->mappings++;
	take->head->runs += take->run_count;
	take->runs_left -= take->run_count < take->runs_left ? take->run_count : take->runs_left;
}

/* Writes the mapping in hand and goes on to the group's next. */
static void
end_mapping(struct take *take)
{
	vmt_assert(take->at < take->group_count);
	write_mapping(take, &take->group[take->at++]);
	take->run_count = 0;
	if (take->packed)
		memset(take->packed_bytes, 0, sizeof(take->packed_bytes));
	take->packed = false;
}

/* A run may go over several of the group's mappings, or lie where none of them is. */
static bool
take_run(void *context, const struct vmt_run *run)
{
	struct take *take = context;
	uint64_t start = run->start;
	uint64_t end = run->start + run->bytes;

	vmt_assert(start < end);
	while (start < end && take->at < take->group_count) {
		const struct vmt_mapping *mapping = &take->group[take->at];
		struct vmt_run part = {.start = start, .kind = run->kind};

		if (start >= mapping->end) {
			end_mapping(take);
			continue;
		}
		if (part.start < mapping->start)
			part.start = mapping->start;
		start = end < mapping->end ? end : mapping->end;
		if (part.start >= start)
			break;
		part.bytes = start - part.start;
		vmt_assert(part.start >= mapping->start && start <= mapping->end);
		if (mapping->hugetlb)
			part.kind = VMT_RUN_HUGETLB;
		keep_run(take, &part);
	}
	return true;
}

static bool
path_begins(const struct vmt_mapping *mapping, const char *prefix)
{
	struct vmt_text path = vmt_text_of(mapping->path, mapping->path_bytes);

	return vmt_text_skip_string(&path, prefix);
}

static enum vmt_residency_files
files_of(const struct vmt_mapping *mapping)
{
	if (mapping->shared)
		return VMT_RESIDENCY_FILES_ALL;
	return mapping->inode ? VMT_RESIDENCY_FILES_ASK : VMT_RESIDENCY_FILES_NONE;
}

/* Scans the group's mappings and writes them. What an error kept from being seen is not written. */
static void
end_group(struct take *take)
{
	const struct vmt_residency_sink sink = {take_run, take};
	struct vmt_residency_reader residency = take->job->residency;

	residency.nothing_swapped = take->nothing_swapped;
	if (take->group_count == 0)
		return;
	residency.files = take->group_files;
	if (residency.source != VMT_RESIDENCY_NONE)
		take->error = vmt_residency_scan(&residency, take->group[0].start,
						 take->group[take->group_count - 1].end, &sink);
	while (take->at < take->group_count && !take->error)
		end_mapping(take);
	vmt_assert(take->error || take->at == take->group_count);
	take->group_count = take->at = take->run_count = 0;
	take->group_plain_bytes = 0;
}

static uint64_t
plain_bytes(const struct vmt_mapping *mapping)
{
	return files_of(mapping) == VMT_RESIDENCY_FILES_NONE ? mapping->end - mapping->start : 0;
}

/* Whether one question suits both. */
static bool
asks_alike(const struct take *take, const struct vmt_mapping *mapping)
{
	enum vmt_residency_files files = files_of(mapping);

	if (files == take->group_files)
		return true;
	return files != VMT_RESIDENCY_FILES_ALL && take->group_files != VMT_RESIDENCY_FILES_ALL &&
	       take->group_plain_bytes + plain_bytes(mapping) <= GROUP_ASKED_BYTES;
}

/* Only where a hole costs nothing. */
static bool
joins_group(const struct take *take, const struct vmt_mapping *mapping)
{
	if (take->group_count == 0)
		return true;
	return take->group_count < GROUP_MAPPINGS && asks_alike(take, mapping) &&
	       take->job->residency.source == VMT_RESIDENCY_PAGEMAP_SCAN &&
	       mapping->end - take->group[0].start <= GROUP_BYTES;
}

/*
 * The part of a mapping that lies behind the one before it; false when nothing does. The kernel
 * holds no lock between two reads of maps: a mapping that grew or merged meanwhile comes back with
 * pages that have been counted.
 */
static bool
clip(struct take *take, const struct vmt_mapping *mapping, struct vmt_mapping *clipped)
{
	*clipped = *mapping;
	if (mapping->end <= take->previous_end)
		return false;
	if (mapping->start < take->previous_end) {
		clipped->start = take->previous_end;
		if (mapping->inode)
			clipped->file_offset += clipped->start - mapping->start;
	}
	vmt_assert(clipped->start < clipped->end && clipped->start >= take->previous_end);
	take->previous_end = mapping->end;
	return true;
}

static bool
take_mapping(void *context, const struct vmt_mapping *whole)
{
	struct take *take = context;
	struct vmt_mapping mapping;

	if (path_begins(whole, "[vsyscall]") || !clip(take, whole, &mapping))
		return true;
	mapping.hugetlb = vmt_hugetlb_has(&take->hugetlb, &mapping);
	if (!joins_group(take, &mapping))
		end_group(take);
	take->head->virtual_bytes += mapping.end - mapping.start;
	if (take->group_count == 0 || files_of(&mapping) != VMT_RESIDENCY_FILES_NONE)
		take->group_files = files_of(&mapping);
	take->group_plain_bytes += plain_bytes(&mapping);
	vmt_assert(take->group_count < GROUP_MAPPINGS);
	vmt_assert(take->group_count == 0 ||
		   mapping.start >= take->group[take->group_count - 1].end);
	take->group[take->group_count++] = mapping;
	return take->error == 0;
}

static void
keep_status(struct take *take, const struct vmt_procfs_status *status)
{
	struct vmt_kernel_figures *kernel = &take->head->kernel;
	uint64_t error_pages = vmt_kernel_counters_own_error_pages(status->threads);

	kernel->anonymous_bytes = status->anonymous_bytes;
	kernel->file_bytes = status->file_bytes;
	kernel->shared_memory_bytes = status->shared_memory_bytes;
	kernel->swap_bytes = status->swap_bytes;
	kernel->page_table_bytes = status->page_table_bytes;
	kernel->locked_bytes = status->locked_bytes;
	kernel->hugetlb_bytes = status->hugetlb_bytes;
	if (error_pages != VMT_FIGURE_UNKNOWN)
		kernel->rss_error_bytes = error_pages * take->job->residency.page_bytes;
}

/* What the kernel itself counts: some of it tells what an entry of a page table may be. */
static void
read_status(struct take *take)
{
	const struct vmt_snapshot_job *job = take->job;
	struct vmt_procfs_status status;
	int fd = vmt_procfs_open(job->pid, "status");

	memset(&status, 0xff, sizeof(status)); /* VMT_FIGURE_UNKNOWN */
	memset(&take->head->kernel, 0xff, sizeof(take->head->kernel));
	if (fd >= 0) {
		(void)vmt_procfs_read_status(fd, &status);
		vmt_sys_close(fd);
	}
	keep_status(take, &status);
	take->head->peak_rss_bytes = status.peak_rss_bytes;
	take->nothing_swapped = status.swap_bytes == 0;
	take->hugetlb = (struct vmt_hugetlb){.maps_fd = job->maps_fd,
					     .pid = job->pid,
					     .page_bytes = job->residency.page_bytes,
					     .held_bytes = status.hugetlb_bytes};
}

/*
 * Figures that only the kernel's own sum over the page tables gives. RSS is one: statm's counters
 * lag behind, by 64 pages a thread and kind before Linux 6.2, by a batch for each CPU before 6.16.
 */
static void
read_rollup(const struct vmt_snapshot_job *job, struct vmt_snapshot_head *head)
{
	struct vmt_procfs_rollup rollup;

	head->lazyfree_bytes = head->proportional_anonymous_bytes = VMT_FIGURE_UNKNOWN;
	if (job->residency.source != VMT_RESIDENCY_PAGEMAP_SCAN)
		head->huge_bytes = VMT_FIGURE_UNKNOWN;
	if (job->rollup_fd < 0 || !vmt_procfs_read_rollup(job->rollup_fd, &rollup))
		return;
	head->rss_before_bytes = head->rss_after_bytes = rollup.rss_bytes;
	head->lazyfree_bytes = rollup.lazyfree_bytes;
	head->kernel.proportional_bytes = rollup.proportional_bytes;
	head->proportional_anonymous_bytes = rollup.proportional_anonymous_bytes;
	head->kernel.private_bytes = rollup.private_bytes;
	head->kernel.shared_bytes = rollup.shared_bytes;
	head->kernel.anonymous_huge_bytes = rollup.anonymous_huge_bytes;
	head->kernel.locked_rss_bytes = rollup.locked_rss_bytes;
	if (job->residency.source != VMT_RESIDENCY_PAGEMAP_SCAN)
		head->huge_bytes = rollup.huge_bytes;
}

/* No more than a run for each page, and what the kernel says of the mappings; a quarter more, as
 * the process goes on. Where overcommit is forbidden, room that is not needed is still taken from
 * all. */
static size_t
most_payload(const struct vmt_snapshot_job *job, size_t maps_bytes)
{
	struct vmt_procfs_statm statm;
	uint64_t bytes;

	if (job->statm_fd < 0 || !vmt_procfs_read_statm(job->statm_fd, &statm) ||
	    statm.virtual_pages == 0 ||
	    __builtin_mul_overflow(statm.virtual_pages, VMT_CODEC_RUN_MAX_BYTES, &bytes) ||
	    bytes > VMT_CHUNK_MAX_BYTES)
		return VMT_CHUNK_MAX_BYTES;
	bytes += bytes / 4 + 4 * (uint64_t)maps_bytes + PAYLOAD_MIN_BYTES;
	return bytes < VMT_CHUNK_MAX_BYTES ? bytes : VMT_CHUNK_MAX_BYTES;
}

/* Room for all of it, or for what a limit on address space leaves: then the pages of a mapping are
 * told by their sums. */
static bool
reserve_payload(struct vmt_buffer *payload, size_t wanted, size_t *room_bytes)
{
	while (wanted >= PAYLOAD_MIN_BYTES && !vmt_buffer_reserve(payload, wanted))
		wanted /= 2;
	*room_bytes = wanted;
	return wanted >= PAYLOAD_MIN_BYTES;
}

/* Writes the payload but for its head; the payload's length or negative errno. */
static int
scan_mappings(struct take *take, size_t maps_bytes, size_t *payload_bytes)
{
	struct vmt_buffer *payload = &take->job->scratch->payload;
	size_t room_bytes;

	if (!reserve_payload(payload, most_payload(take->job, maps_bytes), &room_bytes))
		return -ENOMEM;
	vmt_codec_begin_encode(&take->encoder, payload->bytes + sizeof(*take->head),
			       room_bytes - sizeof(*take->head));
	vmt_procfs_each_mapping((const char *)take->job->scratch->maps.bytes, maps_bytes,
				take_mapping, take);
	if (!take->error)
		end_group(take);
	vmt_assert(take->error || take->group_count == 0);
	*payload_bytes = (size_t)(take->encoder.at - payload->bytes);
	vmt_assert(*payload_bytes >= sizeof(*take->head) && *payload_bytes <= room_bytes);
	/* An address space that went away half-way leaves a snapshot of nothing. */
	return take->error && take->head->mappings < 2 ? take->error : 0;
}

/* statm shows zeros once the address space, or the first thread, is gone. */
static bool
is_known(uint64_t rss_bytes)
{
	return rss_bytes != 0 && rss_bytes != VMT_FIGURE_UNKNOWN;
}

static int
append(const struct take *take, struct vmt_writer *writer, size_t payload_bytes)
{
	struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_SNAPSHOT,
	    .flags = take->coarse || take->error ? VMT_CHUNK_COARSE : 0,
	    .record_bytes = sizeof(*take->head),
	    .time_min = take->head->time,
	    .time_max = take->head->time,
	};
	unsigned char *payload = take->job->scratch->payload.bytes;

	vmt_assert(take->head->resident_bytes >= take->head->huge_bytes ||
		   take->head->huge_bytes == VMT_FIGURE_UNKNOWN ||
		   take->job->residency.source != VMT_RESIDENCY_PAGEMAP_SCAN);
	memcpy(payload, take->head, sizeof(*take->head));
	return vmt_writer_append(writer, &chunk, payload, payload_bytes);
}

int
vmt_snapshot_take(const struct vmt_snapshot_job *job, struct vmt_writer *writer,
		  struct vmt_snapshot_head *head)
{
	uint64_t cpu_before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	struct take take = {
	    .job = job, .head = head, .runs_left = job->max_runs ? job->max_runs : MAX_RUNS};
	size_t maps_bytes = 0, payload_bytes = 0;
	int result;

	*head = (struct vmt_snapshot_head){.source = (uint16_t)job->residency.source,
					   .reason = (uint16_t)job->reason,
					   .index = job->index};
	head->monotonic_ns = vmt_ticks_monotonic_ns();
	head->rss_before_bytes = statm_rss_bytes(job);
	read_status(&take);
	result = read_maps(job, &maps_bytes);
	if (result < 0)
		return result;
	head->time = vmt_trace_clock_now(job->clock);
	result = scan_mappings(&take, maps_bytes, &payload_bytes);
	if (result < 0)
		return result;
	head->rss_after_bytes = statm_rss_bytes(job);
	if (!vmt_residency_knows_shares(&job->residency))
		head->shared_rss_bytes = VMT_FIGURE_UNKNOWN;
	/* statm may show a successor's by now. */
	if (!vmt_procfs_is_mapped(job->maps_fd) ||
	    (is_known(head->rss_before_bytes) && !is_known(head->rss_after_bytes)))
		return -ESRCH; /* the address space went away under the scan */
	read_rollup(job, head);
	head->duration_ns = vmt_ticks_monotonic_ns() - head->monotonic_ns;
	head->cpu_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_before_ns;
	return append(&take, writer, payload_bytes);
}

void
vmt_snapshot_release(struct vmt_snapshot_scratch *scratch)
{
	vmt_buffer_free(&scratch->maps);
	vmt_buffer_free(&scratch->payload);
	vmt_buffer_free(&scratch->runs);
}
