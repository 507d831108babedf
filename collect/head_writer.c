#include "collect/head_writer.h"

#include "base/assert.h"
#include "base/sys.h"
#include "collect/drain.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int
vmt_head_writer_open(struct vmt_head_writer *writer)
{
	void *copy = vmt_sys_mmap(NULL, writer->layout->chunks_offset, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (vmt_sys_failed(copy))
		return (int)(intptr_t)copy;
	writer->copy = copy;
	return 0;
}

void
vmt_head_writer_close(struct vmt_head_writer *writer)
{
	if (writer->copy)
		vmt_sys_munmap(writer->copy, writer->layout->chunks_offset);
	writer->copy = NULL;
}

/* Writes [start, end) of the copy. */
static int
write_copy(const struct vmt_head_writer *writer, uint64_t start, uint64_t end)
{
	vmt_assert(start <= end && end <= writer->layout->chunks_offset);
	while (start < end) {
		long result = vmt_sys_call4(SYS_pwrite64, writer->fd, writer->copy + start,
					    end - start, start);

		if (result == -EINTR)
			continue;
		if (result <= 0)
			return result < 0 ? (int)result : -EIO;
		start += (uint64_t)result;
	}
	return 0;
}

/* Brings a page of the copy up to date; whether the file needs it. */
static bool
take_page(const struct vmt_head_writer *writer, uint64_t at)
{
	if (!writer->uncertain &&
	    memcmp(writer->copy + at, writer->base + at, VMT_PAGE_LEAST_BYTES) == 0)
		return false;
	vmt_assert(at % VMT_PAGE_LEAST_BYTES == 0);
	vmt_assert(at + VMT_PAGE_LEAST_BYTES <= writer->layout->chunks_offset);
	memcpy(writer->copy + at, writer->base + at, VMT_PAGE_LEAST_BYTES);
	return true;
}

/* Writes the pages of [start, end) that differ. Regions begin at pages, and their last page is
 * theirs alone. */
static int
write_pages(const struct vmt_head_writer *writer, uint64_t start, uint64_t end)
{
	start &= ~(uint64_t)(VMT_PAGE_LEAST_BYTES - 1);
	while (start < end) {
		uint64_t stop = start;
		int result;

		while (stop < end && take_page(writer, stop))
			stop += VMT_PAGE_LEAST_BYTES;
		result = write_copy(writer, start, stop);
		if (result < 0)
			return result;
		start = stop + VMT_PAGE_LEAST_BYTES;
	}
	return 0;
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int
write_tables(const struct vmt_head_writer *writer)
{
	const struct vmt_head *layout = writer->layout;
	const struct vmt_head *head = (const struct vmt_head *)(const void *)writer->base;
	uint64_t words =
	    smaller(vmt_atomic_load_acquire(&head->stack_words_used), layout->stack_words);
	uint64_t modules =
	    smaller(vmt_atomic_load_acquire(&head->modules_used), layout->modules_bytes);
	int result = write_pages(writer, layout->stack_words_offset,
				 layout->stack_words_offset + words * sizeof(uint64_t));

	if (result < 0)
		return result;
	return write_pages(writer, layout->modules_offset, layout->modules_offset + modules);
}

static struct vmt_ring *
control_of(const struct vmt_head_writer *writer, uint32_t ring)
{
	unsigned char *controls = writer->copy + writer->layout->controls_offset;

	vmt_assert(ring < writer->drain->count);
	return (struct vmt_ring *)(void *)controls + ring;
}

/* The head and the control words. */
static int
write_head(const struct vmt_head_writer *writer, bool with_remains)
{
	const struct vmt_drain *drain = writer->drain;

	const struct vmt_head *layout = writer->layout;
	uint64_t controls = layout->controls_offset;
	uint64_t controls_end = controls + drain->count * sizeof(struct vmt_ring);
	int result;

	memcpy(writer->copy, writer->base, sizeof(*layout));
	memcpy(writer->copy + controls, writer->base + controls, controls_end - controls);
	for (uint32_t i = 0; i < drain->count && !with_remains; i++)
		control_of(writer, i)->head = drain->rings[i].debt.filed;
	result = write_copy(writer, controls, controls_end);
	return result < 0 ? result : write_copy(writer, 0, sizeof(*layout));
}

int
vmt_head_writer_write(struct vmt_head_writer *writer)
{
	int result = write_tables(writer);

	if (result == 0)
		result = write_head(writer, false);
	writer->uncertain = result < 0;
	return result;
}

static int
write_remains(const struct vmt_head_writer *writer)
{
	int result = 0;

	for (uint32_t i = 0; i < writer->drain->count && result == 0; i++) {
		const struct vmt_drain_ring *ring = &writer->drain->rings[i];
		uint64_t start = (uint64_t)(ring->view.slots - writer->base);
		uint64_t bytes = (uint64_t)ring->view.capacity * ring->view.slot_bytes;

		if (!vmt_drain_is_empty(ring))
			result = write_pages(writer, start, start + bytes);
	}
	return result;
}

/* Remains that can't be written are counted by whoever reads the rings. */
int
vmt_head_writer_finish(struct vmt_head_writer *writer)
{
	int tables = write_tables(writer);
	int remains = write_remains(writer);
	int head = write_head(writer, true);

	return tables < 0 ? tables : remains < 0 ? remains : head;
}
