#include "collect/title.h"

#include "base/procfs.h"
#include "base/sys.h"
#include "collect/trace_clock.h"

/* 64-bit FNV-1a */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/* Without what pads it: a shorter title leaves NULs or spaces up to the end of the arguments. */
static size_t
trimmed(const char *text, size_t length)
{
	while (length > 0 && (text[length - 1] == '\0' || text[length - 1] == ' '))
		length--;
	return length;
}

/* Never 0. */
static uint64_t
hash_of(const char *text, size_t length)
{
	uint64_t hash = HASH_START;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * HASH_PRIME;
	return hash ? hash : 1;
}

static size_t
read_title(uint32_t pid, char text[VMT_CMDLINE_BYTES])
{
	int fd = vmt_procfs_open(pid, "cmdline");
	long got;

	if (fd < 0)
		return 0;
	got = vmt_procfs_read_once(fd, text, VMT_CMDLINE_BYTES);
	vmt_sys_close(fd);
	return got > 0 ? trimmed(text, (size_t)got) : 0;
}

int
vmt_title_take(const struct vmt_title_job *job, struct vmt_writer *writer)
{
	const struct vmt_head *head = job->head;
	char text[VMT_CMDLINE_BYTES];
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_TITLE};
	uint64_t hash;
	size_t length;

	if (head->cmdline_bytes == 0)
		return 0;
	if (*job->known == 0)
		*job->known = hash_of(head->cmdline, trimmed(head->cmdline, head->cmdline_bytes));
	chunk.time_min = chunk.time_max = vmt_trace_clock_now(job->clock);
	length = read_title(job->pid, text);
	if (!vmt_procfs_is_mapped(job->maps_fd))
		return 0;
	hash = hash_of(text, length);
	if (length == 0 || hash == *job->known)
		return 0;
	*job->known = hash;
	return vmt_writer_append(writer, &chunk, text, length);
}
