#include "capture/record/shortage.h"

#include "base/pages.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define UNKNOWN UINT64_MAX

/* What an allocator asks for on top of a block: glibc maps a MiB at the least where the break
 * cannot grow (malloc/malloc.c, MMAP_AS_MORECORE_SIZE and top_pad). */
#define HEAP_STEP_BYTES (UINT64_C(2) << 20)

/* What overcommit keeps for the administrator, and of one process: admin_reserve_kbytes and
 * user_reserve_kbytes, as they usually are (mm/util.c). */
#define RESERVE_BYTES (UINT64_C(136) << 20)

#define TEXT_BYTES 512u

/* The linker's name for the end of what the library has of its file. From the next page on there
 * is a mapping of memory that was zero. */
extern const char edata[] __asm__("_edata") __attribute__((visibility("hidden")));

/* A line of a file of /proc: "Name:   number kB". */
struct figure {
	const char *name;
	uint64_t bytes;
};

static void
take_line(struct vmt_text line, struct figure *figures, uint32_t count)
{
	struct vmt_text name;
	uint64_t number;

	if (!vmt_text_take_until(&line, ':', &name))
		return;
	vmt_text_skip_blanks(&line);
	if (!vmt_text_take_decimal(&line, &number))
		return;
	for (uint32_t i = 0; i < count; i++)
		if (vmt_text_equals(&name, figures[i].name))
			figures[i].bytes = number << 10;
}

/* Takes the whole lines of a text and moves the rest to its front; returns that one's length. A
 * line longer than the buffer (a list of groups) is no figure. */
static size_t
take_lines(char *text, size_t length, struct figure *figures, uint32_t count)
{
	const char *line = text;
	const char *end;

	while ((end = vmt_text_find_byte(line, length, '\n')) != NULL) {
		take_line(vmt_text_of(line, (size_t)(end - line)), figures, count);
		length -= (size_t)(end + 1 - line);
		line = end + 1;
	}
	memmove(text, line, length);
	return length < TEXT_BYTES ? length : 0;
}

static bool
read_figures(const char *path, struct figure *figures, uint32_t count)
{
	int fd = vmt_sys_open(path, O_RDONLY, 0);
	char text[TEXT_BYTES];
	size_t kept = 0;
	long got;

	for (uint32_t i = 0; i < count; i++)
		figures[i].bytes = UNKNOWN;
	if (fd < 0)
		return false;
	while ((got = vmt_sys_read(fd, text + kept, sizeof(text) - kept)) > 0)
		kept = take_lines(text, kept + (size_t)got, figures, count);
	vmt_sys_close(fd);
	for (uint32_t i = 0; i < count; i++)
		if (figures[i].bytes == UNKNOWN)
			return false;
	return true;
}

/* UNKNOWN: none. An RLIMIT_DATA of 0 stands for the hard one. */
static uint64_t
limit_of(int resource)
{
	struct rlimit limit;

	if (vmt_sys_call4(SYS_prlimit64, 0, resource, NULL, &limit) < 0)
		return UNKNOWN;
	if (resource == RLIMIT_DATA && limit.rlim_cur == 0)
		limit.rlim_cur = limit.rlim_max;
	return limit.rlim_cur == RLIM_INFINITY ? UNKNOWN : limit.rlim_cur;
}

bool
vmt_shortage_is_limited(void)
{
	return limit_of(RLIMIT_AS) != UNKNOWN || limit_of(RLIMIT_DATA) != UNKNOWN;
}

/* Whether a limit was exceeded with what is the tracer's, and would not be without. What was there
 * a moment ago may be less by now, and an allocator may have asked for more than its caller. */
static bool
is_for_own(const struct vmt_shortage_call *call, uint64_t used, uint64_t limit, uint64_t own)
{
	uint64_t most = call->most;

	if (!call->exact)
		most += own + HEAP_STEP_BYTES;
	return used + most > limit && used + call->least <= limit + own;
}

static enum vmt_stop
find_limit(const struct vmt_shortage_call *call, const struct vmt_shortage_own *own)
{
	struct figure used[] = {{"VmSize", 0}, {"VmData", 0}};
	uint64_t space = call->space ? limit_of(RLIMIT_AS) : UNKNOWN;
	uint64_t data = call->data ? limit_of(RLIMIT_DATA) : UNKNOWN;
	bool told;

	if (space == UNKNOWN && data == UNKNOWN)
		return VMT_STOP_NONE;
	told = read_figures("/proc/self/status", used, 2);
	if (space != UNKNOWN && (!told || is_for_own(call, used[0].bytes, space, own->bytes)))
		return VMT_STOP_ADDRESS_SPACE;
	if (data != UNKNOWN && (!told || is_for_own(call, used[1].bytes, data, own->private_bytes)))
		return VMT_STOP_DATA;
	return VMT_STOP_NONE;
}

static bool
is_never_overcommitted(void)
{
	int fd = vmt_sys_open("/proc/sys/vm/overcommit_memory", O_RDONLY, 0);
	char mode = '0';

	if (fd < 0)
		return false;
	(void)vmt_sys_read(fd, &mode, 1);
	vmt_sys_close(fd);
	return mode == '2';
}

/* The kernel's sums lag by what each CPU has not yet told, and some of the limit is kept from those
 * who ask: so a refusal near it is taken for one. */
static bool
is_commitment(const struct vmt_shortage_call *call, const struct vmt_shortage_own *own)
{
	struct figure sums[] = {{"CommitLimit", 0}, {"Committed_AS", 0}};
	struct figure process[] = {{"VmData", 0}};
	struct vmt_shortage_call near = *call;

	if (!call->committed || !is_never_overcommitted() ||
	    !read_figures("/proc/meminfo", sums, 2))
		return false;
	if (call->copy && read_figures("/proc/self/status", process, 1)) {
		near.most = process[0].bytes;
		near.least = near.most - own->private_bytes;
	}
	near.most += RESERVE_BYTES;
	return is_for_own(&near, sums[1].bytes, sums[0].bytes, own->private_bytes);
}

/* Neither private nor shared: -EINVAL, but -ENOMEM where there are too many already. */
static bool
is_one_too_many(void)
{
	return vmt_sys_call6(SYS_mmap, 0, (long)vmt_page_bytes, PROT_NONE, MAP_ANONYMOUS, -1, 0) ==
	       -ENOMEM;
}

/* At a mapping's beginning: one cut, one mapping more. */
static bool
can_split(void)
{
	uint64_t page = ((uint64_t)(uintptr_t)edata + vmt_page_bytes - 1) & ~(vmt_page_bytes - 1);
	long result = vmt_sys_call3(SYS_madvise, page, vmt_page_bytes, MADV_DONTDUMP);

	if (result == 0)
		vmt_sys_call3(SYS_madvise, page, vmt_page_bytes, MADV_DODUMP);
	return result != -EAGAIN;
}

/* The first of two pages cannot grow where it is. */
static bool
can_move(void)
{
	char *pages = vmt_sys_mmap(NULL, 2 * vmt_page_bytes, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	long moved;

	if (vmt_sys_failed(pages))
		return false;
	moved = vmt_sys_call6(SYS_mremap, (long)pages, (long)vmt_page_bytes,
			      2 * (long)vmt_page_bytes, MREMAP_MAYMOVE, 0, 0);
	if (!vmt_sys_failed((void *)moved)) {
		vmt_sys_call2(SYS_munmap, moved, 2 * vmt_page_bytes);
		pages += vmt_page_bytes;
		return vmt_sys_munmap(pages, vmt_page_bytes) == 0;
	}
	vmt_sys_munmap(pages, 2 * vmt_page_bytes);
	return moved != -ENOMEM;
}

static bool
are_mappings_short(enum vmt_shortage_mappings mappings)
{
	switch (mappings) {
	case VMT_MAPPINGS_NEW:
		return is_one_too_many();
	case VMT_MAPPINGS_SPLIT:
		return is_one_too_many() || !can_split();
	case VMT_MAPPINGS_MOVED:
		return is_one_too_many() || !can_move();
	case VMT_MAPPINGS_SAME:
		break;
	}
	return false;
}

enum vmt_stop
vmt_shortage_find(const struct vmt_shortage_call *call, const struct vmt_shortage_own *own)
{
	enum vmt_stop limit = find_limit(call, own);

	if (limit != VMT_STOP_NONE)
		return limit;
	if (are_mappings_short(call->mappings))
		return VMT_STOP_MAPPINGS;
	return is_commitment(call, own) ? VMT_STOP_MEMORY : VMT_STOP_NONE;
}
