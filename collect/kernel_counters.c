#include "collect/kernel_counters.h"

#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"
#include "format/chunk.h"

#include <string.h>
#include <sys/utsname.h>

#define COUNTERS 3u
#define PAGES_A_THREAD 64u
#define BATCH_LEAST_PAGES 32u
/* More is no figure of a machine, and keeps products in range. */
#define COUNT_MAX (UINT64_C(1) << 24)

uint64_t
vmt_kernel_counters_error_pages(const char *release, uint64_t cpus, uint64_t threads)
{
	struct vmt_text text = vmt_text_of(release, strlen(release));
	uint64_t version, part, batch;

	if (!vmt_text_take_decimal(&text, &version) || !vmt_text_skip(&text, '.') ||
	    !vmt_text_take_decimal(&text, &part))
		return VMT_FIGURE_UNKNOWN;
	if (version < 6 || (version == 6 && part < 2))
		return threads < COUNT_MAX ? PAGES_A_THREAD * threads : VMT_FIGURE_UNKNOWN;
	if (cpus > COUNT_MAX)
		return VMT_FIGURE_UNKNOWN;
	batch = 2 * cpus > BATCH_LEAST_PAGES ? 2 * cpus : BATCH_LEAST_PAGES;
	return COUNTERS * batch * cpus;
}

uint64_t
vmt_kernel_counters_count_cpus(const char *list, size_t length)
{
	struct vmt_text text = vmt_text_of(list, length);
	uint64_t count = 0;

	do {
		uint64_t first, last;

		if (!vmt_text_take_decimal(&text, &first))
			return VMT_FIGURE_UNKNOWN;
		last = first;
		if (vmt_text_skip(&text, '-') && !vmt_text_take_decimal(&text, &last))
			return VMT_FIGURE_UNKNOWN;
		if (last < first || last >= COUNT_MAX)
			return VMT_FIGURE_UNKNOWN;
		count += last - first + 1;
	} while (vmt_text_skip(&text, ','));
	return count;
}

static uint64_t
online_cpus(void)
{
	char text[4096];
	int fd = vmt_sys_open("/sys/devices/system/cpu/online", O_RDONLY, 0);
	long length;

	if (fd < 0)
		return VMT_FIGURE_UNKNOWN;
	length = vmt_procfs_read_once(fd, text, sizeof(text));
	vmt_sys_close(fd);
	return length > 0 ? vmt_kernel_counters_count_cpus(text, (size_t)length)
			  : VMT_FIGURE_UNKNOWN;
}

uint64_t
vmt_kernel_counters_own_error_pages(uint64_t threads)
{
	struct utsname host;

	if (vmt_sys_call1(SYS_uname, &host) < 0)
		return VMT_FIGURE_UNKNOWN;
	return vmt_kernel_counters_error_pages(host.release, online_cpus(), threads);
}
