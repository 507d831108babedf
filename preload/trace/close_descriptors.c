#include "preload/trace/close_descriptors.h"

#include "base/sys.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#define LEAST_NUMBERS 1024u
#define MOST_NUMBERS (1u << 20)

/* As the kernel's linux_dirent64. */
struct directory_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

/* Whether it closed any. */
static bool
close_listed(int directory, int first)
{
	_Alignas(8) char buffer[2048];
	bool closed = false;
	long bytes;

	while ((bytes = vmt_sys_call3(SYS_getdents64, directory, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < bytes;) {
			const struct directory_entry *entry = (void *)(buffer + at);
			struct vmt_text name = vmt_text_of(entry->name, strlen(entry->name));
			uint64_t fd;

			if (vmt_text_take_decimal(&name, &fd) && (int)fd != directory &&
			    (int)fd >= first) {
				vmt_sys_close((int)fd);
				closed = true;
			}
			at += entry->bytes;
		}
	}
	return closed;
}

/* Without /proc: all numbers that there can be by the limit, which may have been higher before. */
static void
close_numbers(int first)
{
	struct rlimit limit = {.rlim_cur = 0};

	vmt_sys_call4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	if (limit.rlim_cur < LEAST_NUMBERS || limit.rlim_cur > MOST_NUMBERS)
		limit.rlim_cur = limit.rlim_cur < LEAST_NUMBERS ? LEAST_NUMBERS : MOST_NUMBERS;
	for (uint64_t fd = (uint64_t)first; fd < limit.rlim_cur; fd++)
		vmt_sys_close((int)fd);
}

/* Kernels before 5.9: what /proc/self/fd lists. Closing while listing may skip entries, so again
 * until a pass closes nothing. The first goes before, as there may be none left to open with. */
static void
close_each(int first)
{
	bool closed = true;

	vmt_sys_close(first);
	while (closed) {
		int directory = vmt_sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);

		if (directory < 0) {
			close_numbers(first);
			return;
		}
		closed = close_listed(directory, first);
		vmt_sys_close(directory);
	}
}

void
vmt_close_descriptors_from(int first)
{
	if (vmt_sys_call3(SYS_close_range, first, ~0u, 0) < 0)
		close_each(first);
}
