#include "tools/startup_pages.h"

#include "base/pages.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/* The last segments first: the first one holds the table that is read here. */
static int
release_file(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	for (int i = info->dlpi_phnum; i-- > 0;) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + segment->p_vaddr;
		uintptr_t page = vmt_pages_down(begin, vmt_page_bytes);

		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
			continue;
		(void)madvise((void *)page, begin - page + segment->p_memsz, MADV_DONTNEED);
	}
	return 0;
}

void
vmt_startup_pages_release(void)
{
	(void)dl_iterate_phdr(release_file, NULL);
}
