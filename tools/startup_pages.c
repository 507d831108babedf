#include "tools/startup_pages.h"

#include "base/pages.h"

#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Facts: Linux Documentation/admin-guide/mm/pagemap.rst. */
#define PAGE_OF_FILE (UINT64_C(1) << 61)
#define PAGE_THERE (UINT64_C(3) << 62) /* in RAM, or swapped out */
#define PAGES_AT_ONCE 512u

/* Whether the file has all of it: a debugger's breakpoint, or code that was moved to huge pages,
 * would not come back. */
static bool
is_of_file(int pagemap, uintptr_t page, size_t bytes)
{
	uint64_t words[PAGES_AT_ONCE];
	size_t left = vmt_pages_up(bytes, vmt_page_bytes) / vmt_page_bytes;
	off_t at = (off_t)(page / vmt_page_bytes * sizeof(words[0]));

	while (left > 0) {
		size_t count = left < PAGES_AT_ONCE ? left : PAGES_AT_ONCE;
		size_t wanted = count * sizeof(words[0]);

		if (pread(pagemap, words, wanted, at) != (ssize_t)wanted)
			return false;
		for (size_t i = 0; i < count; i++)
			if ((words[i] & PAGE_THERE) && !(words[i] & PAGE_OF_FILE))
				return false;
		left -= count;
		at += (off_t)wanted;
	}
	return true;
}

/* The last segments first: the first one holds the table that is read here. */
static int
release_file(struct dl_phdr_info *info, size_t size, void *context)
{
	const int *pagemap = context;

	(void)size;
	for (int i = info->dlpi_phnum; i-- > 0;) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + segment->p_vaddr;
		uintptr_t page = vmt_pages_down(begin, vmt_page_bytes);
		size_t bytes = begin - page + segment->p_memsz;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W) &&
		    is_of_file(*pagemap, page, bytes))
			(void)madvise((void *)page, bytes, MADV_DONTNEED);
	}
	return 0;
}

void
vmt_startup_pages_release(void)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (pagemap < 0)
		return;
	(void)dl_iterate_phdr(release_file, &pagemap);
	close(pagemap);
}
