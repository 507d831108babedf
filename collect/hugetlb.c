#include "collect/hugetlb.h"

#include "base/assert.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define LEAST_HUGE_PAGE_BYTES (UINT64_C(64) << 10)
#define TEXT_BYTES 16384u

/* struct procmap_query of Linux 6.11. */
struct query {
	uint64_t size;
	uint64_t flags;
	uint64_t address;
	uint64_t start;
	uint64_t end;
	uint64_t vma_flags;
	uint64_t page_bytes;
	uint64_t offset;
	uint64_t inode;
	uint32_t device_major;
	uint32_t device_minor;
	uint32_t name_bytes;
	uint32_t build_id_bytes;
	uint64_t name;
	uint64_t build_id;
};
#define QUERY_REQUEST _IOWR('f', 17, struct query)

static bool
can_be(const struct vmt_mapping *mapping)
{
	return mapping->inode != 0 && mapping->start % LEAST_HUGE_PAGE_BYTES == 0 &&
	       mapping->end % LEAST_HUGE_PAGE_BYTES == 0;
}

/* False: the kernel can't be asked so. */
static bool
ask(const struct vmt_hugetlb *hugetlb, uint64_t address, uint64_t *page_bytes)
{
	struct query query = {.size = sizeof(query), .address = address};

	*page_bytes = 0;
	switch (vmt_sys_call3(SYS_ioctl, hugetlb->maps_fd, QUERY_REQUEST, &query)) {
	case 0:
		*page_bytes = query.page_bytes;
		return true;
	case -ENOENT:
	case -ESRCH:
		return true;
	default:
		return false;
	}
}

/* One line of smaps: a mapping's own, or a figure of the last mapping. */
static void
take_line(struct vmt_hugetlb *hugetlb, struct vmt_text line, struct vmt_mapping *last)
{
	static const char key[] = "KernelPageSize:";
	uint64_t kib;

	if (!vmt_text_skip_string(&line, key)) {
		struct vmt_mapping mapping = {0};

		if (vmt_procfs_parse_mapping(line.at, vmt_text_length(&line), &mapping))
			*last = mapping;
		return;
	}
	vmt_text_skip_blanks(&line);
	if (!vmt_text_take_decimal(&line, &kib) || kib * 1024 <= hugetlb->page_bytes ||
	    hugetlb->count == sizeof(hugetlb->starts) / sizeof(hugetlb->starts[0]))
		return;
	hugetlb->starts[hugetlb->count++] = last->start;
}

/* Takes whole lines, and says how many bytes of them there were. */
static size_t
take_lines(struct vmt_hugetlb *hugetlb, const char *text, size_t bytes, struct vmt_mapping *last)
{
	const char *at = text;
	const char *end = text + bytes;
	const char *newline;

	while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		take_line(hugetlb, vmt_text_of(at, (size_t)(newline - at)), last);
		at = newline + 1;
	}
	return (size_t)(at - text);
}

static void
list_by_smaps(struct vmt_hugetlb *hugetlb)
{
	struct vmt_mapping last = {0};
	char text[TEXT_BYTES];
	size_t held = 0;
	long got = 1;
	int fd = vmt_procfs_open(hugetlb->pid, "smaps");

	hugetlb->listed = true;
	while (fd >= 0 && got > 0 && held < sizeof(text)) {
		size_t used;

		got = vmt_sys_read(fd, text + held, sizeof(text) - held);
		if (got <= 0)
			break;
		held += (size_t)got;
		used = take_lines(hugetlb, text, held, &last);
		vmt_assert(used <= held);
		memmove(text, text + used, held - used);
		held -= used;
	}
	if (fd >= 0)
		vmt_sys_close(fd);
}

static bool
is_listed(const struct vmt_hugetlb *hugetlb, uint64_t start)
{
	for (uint32_t i = 0; i < hugetlb->count; i++)
		if (hugetlb->starts[i] == start)
			return true;
	return false;
}

bool
vmt_hugetlb_has(struct vmt_hugetlb *hugetlb, const struct vmt_mapping *mapping)
{
	uint64_t page_bytes;

	if (!can_be(mapping))
		return false;
	if (!hugetlb->by_smaps) {
		if (ask(hugetlb, mapping->start, &page_bytes))
			return page_bytes > hugetlb->page_bytes;
		hugetlb->by_smaps = true;
	}
	if (hugetlb->held_bytes == 0)
		return false;
	if (!hugetlb->listed)
		list_by_smaps(hugetlb);
	return is_listed(hugetlb, mapping->start);
}
