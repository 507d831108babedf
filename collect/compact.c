#include "collect/compact.h"

#include "base/assert.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/ticks.h"
#include "collect/exit_status.h"
#include "format/stack_table.h"

#include <linux/magic.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* The kernel writes what is older to the disk by itself (vm.dirty_expire_centisecs): only then does
 * a trace lose something when the machine fails right after it was written anew. */
#define OLD_NS UINT64_C(30000000000)

#define WORDS_STEP 512u /* a page */

static bool
is_drained(const struct vmt_traced *process)
{
	for (uint32_t i = 0; i < process->drain.count; i++)
		if (!vmt_drain_is_empty(&process->drain.rings[i]))
			return false;
	return true;
}

bool
vmt_compact_is_named(const struct vmt_traced *process, const struct vmt_trace_dir *dir)
{
	struct stat opened;

	return vmt_sys_call2(SYS_fstat, process->trace_fd, &opened) == 0 &&
	       vmt_trace_dir_has(dir, dir->name, opened.st_dev, opened.st_ino);
}

static uint64_t
bounded(uint64_t used, uint64_t least, uint64_t step, uint64_t most)
{
	uint64_t wanted = used < least ? least : used;

	if (wanted >= most)
		return most;
	wanted = (wanted + step - 1) / step * step;
	return wanted < most ? wanted : most;
}

/* The head as it stands, its regions of the least size. What the process says of sizes is checked
 * against the layout that it began with. */
static void
shrink(const struct vmt_traced *process, struct vmt_head *small)
{
	const struct vmt_head *layout = &process->layout;

	memcpy(small, process->base, sizeof(*small));
	small->shards = layout->shards;
	small->heap_capacity = VMT_RING_MIN_CAPACITY;
	small->map_capacity = VMT_RING_MIN_CAPACITY;
	small->stack_index_entries = VMT_STACK_MIN_ENTRIES;
	small->stack_words = bounded(small->stack_words_used, 1, WORDS_STEP, layout->stack_words);
	small->modules_bytes = bounded(small->modules_used, 8, 8, layout->modules_bytes);
	small->mapped_bytes = layout->chunks_offset;
	vmt_head_lay_out(small);
	vmt_assert(small->chunks_offset <= layout->chunks_offset);
}

static bool
write_all(int fd, const void *bytes, uint64_t count, uint64_t offset)
{
	const unsigned char *from = bytes;

	while (count > 0) {
		long written = vmt_sys_call4(SYS_pwrite64, fd, from, count, offset);

		if (written <= 0)
			return false;
		from += written;
		offset += (uint64_t)written;
		count -= (uint64_t)written;
	}
	return true;
}

static bool
write_controls(const struct vmt_traced *process, const struct vmt_head *small, int fd)
{
	const struct vmt_head *layout = &process->layout;
	uint64_t controls = (uint64_t)layout->shards * VMT_RING_CLASSES * sizeof(struct vmt_ring);

	return write_all(fd, process->base + layout->controls_offset, controls,
			 small->controls_offset);
}

static bool
write_tables(const struct vmt_traced *process, const struct vmt_head *small, int fd)
{
	const struct vmt_head *layout = &process->layout;
	const unsigned char *base = process->base;

	return write_all(fd, base + layout->stack_words_offset,
			 small->stack_words * sizeof(uint64_t), small->stack_words_offset) &&
	       write_all(fd, base + layout->modules_offset, small->modules_bytes,
			 small->modules_offset);
}

static bool
copy_chunks(const struct vmt_traced *process, const struct vmt_head *small, int fd, void *scratch,
	    size_t scratch_bytes)
{
	uint64_t from = process->layout.chunks_offset;
	uint64_t to = small->chunks_offset;

	vmt_assert(process->writer.end_bytes >= from);
	while (from < process->writer.end_bytes) {
		uint64_t left = process->writer.end_bytes - from;
		size_t wanted = left < scratch_bytes ? (size_t)left : scratch_bytes;
		long got = vmt_sys_pread(process->trace_fd, scratch, wanted, from);

		if (got <= 0 || !write_all(fd, scratch, (uint64_t)got, to))
			return false;
		from += (uint64_t)got;
		to += (uint64_t)got;
	}
	return true;
}

/* As the trace is: whoever may read the one may read the other. */
static bool
give_owner(const struct vmt_traced *process, int fd)
{
	struct stat old;
	struct stat fresh;

	if (vmt_sys_call2(SYS_fstat, process->trace_fd, &old) < 0 ||
	    vmt_sys_call2(SYS_fstat, fd, &fresh) < 0)
		return false;
	if ((old.st_uid != fresh.st_uid || old.st_gid != fresh.st_gid) &&
	    vmt_sys_call3(SYS_fchown, fd, old.st_uid, old.st_gid) < 0)
		return false;
	return vmt_sys_call2(SYS_fchmod, fd, old.st_mode & 07777) == 0;
}

static bool
is_old(const struct vmt_traced *process)
{
	return vmt_ticks_monotonic_ns() - process->layout.clock_start.monotonic_ns >= OLD_NS;
}

static bool
settle(const struct vmt_traced *process, int fd)
{
	return !is_old(process) || vmt_sys_call1(SYS_fdatasync, fd) == 0;
}

static bool
write_file(const struct vmt_traced *process, const struct vmt_head *small, int fd, void *scratch,
	   size_t scratch_bytes)
{
	return give_owner(process, fd) &&
	       vmt_sys_call2(SYS_ftruncate, fd, small->chunks_offset) == 0 &&
	       write_controls(process, small, fd) && write_tables(process, small, fd) &&
	       copy_chunks(process, small, fd, scratch, scratch_bytes) &&
	       write_all(fd, small, sizeof(*small), 0) && settle(process, fd);
}

static uint64_t
small_bytes(const struct vmt_traced *process, const struct vmt_head *small)
{
	return small->chunks_offset + process->writer.end_bytes - process->layout.chunks_offset;
}

/* Into the slots that the chunks account for, and the index, which no reader needs: what is left of
 * them between the new tables is as good as a hole. What changes of the head is in its first page,
 * which is written at once, whenever this process is killed: before that the file is the trace as
 * it was, behind it the small one, with something at its end. */
static bool
write_in_place(const struct vmt_traced *process, const struct vmt_head *small, void *scratch,
	       size_t scratch_bytes)
{
	int fd = process->trace_fd;

	_Static_assert(offsetof(struct vmt_head, stack_words_used) <= VMT_PAGE_LEAST_BYTES,
		       "all that a smaller layout changes is in the first page");
	if (small->controls_offset != process->layout.controls_offset ||
	    small_bytes(process, small) > process->layout.stack_words_offset)
		return false;
	if (!write_tables(process, small, fd) ||
	    !copy_chunks(process, small, fd, scratch, scratch_bytes) ||
	    !write_all(fd, small, VMT_PAGE_LEAST_BYTES, 0))
		return false;
	vmt_sys_call2(SYS_ftruncate, fd, small_bytes(process, small));
	return true;
}

/* Whether a lease knows of everybody who has the file open: who reads it through another client, or
 * from below an overlay, is not known to these alone. */
static bool
is_local(int fd)
{
	struct statfs where;

	if (vmt_sys_call2(SYS_fstatfs, fd, &where) < 0)
		return false;
	switch ((uint32_t)where.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
		return true;
	default:
		return false;
	}
}

/* Where nobody else has the trace open, and nobody can open it meanwhile. Not that of a process
 * that lived for long: what is on the disk of it stays until the small one is there as well, and to
 * wait for the disk is not for the time of a lease. */
static bool
compact_in_place(const struct vmt_traced *process, const struct vmt_head *small, void *scratch,
		 size_t scratch_bytes)
{
	bool done;

	if (is_old(process) || !is_local(process->trace_fd) ||
	    !vmt_exit_status_take_lease(process->trace_fd))
		return false;
	done = write_in_place(process, small, scratch, scratch_bytes);
	vmt_exit_status_end_lease(process->trace_fd);
	return done;
}

/* Exchanged, not replaced: meanwhile the trace may have been removed, and another process may have
 * made one of the same name. *unclear: that one may now have the name of `part`. */
static bool
take_name(const struct vmt_traced *process, const struct vmt_trace_dir *dir, const char *part,
	  bool *unclear)
{
	struct vmt_trace_dir moved = {dir->directory, part};

	if (vmt_trace_dir_exchange(dir, part, dir->name) < 0)
		return false;
	if (vmt_compact_is_named(process, &moved))
		return true;
	*unclear = vmt_trace_dir_exchange(dir, part, dir->name) < 0;
	return false;
}

static bool
compact_by_copy(const struct vmt_traced *process, const struct vmt_head *small,
		const struct vmt_trace_dir *dir, void *scratch, size_t scratch_bytes)
{
	char part[VMT_SESSION_PATH_BYTES + sizeof(".part")];
	struct vmt_text_out out = vmt_text_out_begin(part, sizeof(part));
	bool unclear = false;
	bool done;
	int fd;

	vmt_text_put(&out, dir->name);
	vmt_text_put(&out, ".part");
	fd = out.overflow ? -1 : vmt_trace_dir_make(dir, part);
	if (fd < 0)
		return false;
	done = write_file(process, small, fd, scratch, scratch_bytes) &&
	       take_name(process, dir, part, &unclear);
	vmt_sys_close(fd);
	if (!unclear)
		vmt_trace_dir_remove(dir, part);
	return done;
}

bool
vmt_compact(const struct vmt_traced *process, const struct vmt_trace_dir *dir, void *scratch,
	    size_t scratch_bytes)
{
	struct vmt_head small;

	if (process->head_writer.copy || !is_drained(process) ||
	    !vmt_compact_is_named(process, dir) ||
	    process->writer.end_bytes - process->layout.chunks_offset > VMT_COMPACT_MOST_BYTES)
		return false;
	shrink(process, &small);
	return compact_in_place(process, &small, scratch, scratch_bytes) ||
	       compact_by_copy(process, &small, dir, scratch, scratch_bytes);
}
