#include "inject/file_view.h"

#include "base/atomic.h"
#include "base/pages.h"
#include "base/sys.h"

#include <sys/mman.h>
#include <sys/stat.h>

/* A length of 0: nobody's. */
static struct view {
	uint64_t start;
	uint64_t length;
} views[VMT_FILE_VIEWS];

static struct view *
find(uint64_t length)
{
	for (uint32_t i = 0; i < VMT_FILE_VIEWS; i++)
		if (views[i].length == length)
			return &views[i];
	return NULL;
}

struct vmt_file
vmt_file_view_open(int fd, uint64_t most)
{
	struct stat status = {.st_size = 0};
	struct view *view = find(0);
	void *bytes;

	if (!view || fd < 0 || vmt_sys_call2(SYS_fstat, fd, &status) < 0 || status.st_size <= 0 ||
	    (uint64_t)status.st_size > most)
		return (struct vmt_file){.length = 0};
	bytes = vmt_sys_mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (vmt_sys_failed(bytes))
		return (struct vmt_file){.length = 0};
	view->start = (uint64_t)bytes;
	vmt_atomic_store_release(&view->length, (uint64_t)status.st_size);
	return (struct vmt_file){bytes, (size_t)status.st_size};
}

void
vmt_file_view_close(const struct vmt_file *file)
{
	if (file->length == 0)
		return;
	for (uint32_t i = 0; i < VMT_FILE_VIEWS; i++)
		if (views[i].start == (uint64_t)(uintptr_t)file->bytes)
			vmt_atomic_store_release(&views[i].length, 0);
	vmt_sys_munmap((void *)(uintptr_t)file->bytes, file->length);
}

bool
vmt_file_view_fill(uint64_t address)
{
	uint64_t page = vmt_pages_down(address, vmt_page_bytes);

	for (uint32_t i = 0; i < VMT_FILE_VIEWS; i++)
		if (address - views[i].start < vmt_atomic_load_acquire(&views[i].length))
			return !vmt_sys_failed(vmt_sys_mmap((void *)page, vmt_page_bytes, PROT_READ,
							    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
							    -1, 0));
	return false;
}
