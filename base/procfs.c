#include "base/procfs.h"

#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The first mount namespace has a number of its own (from Linux 6.18 on 0xeffffff8), or the first
 * or second of those that are given out. */
#define LAST_FIRST_NAMESPACE 0xf0000001u

int
vmt_procfs_open(uint32_t pid, const char *name)
{
	char path[64];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));

	vmt_text_put(&out, "/proc/");
	if (pid)
		vmt_text_put_decimal(&out, pid);
	else
		vmt_text_put(&out, "self");
	vmt_text_put(&out, "/");
	vmt_text_put(&out, name);
	return out.overflow ? -ENAMETOOLONG : vmt_sys_open(path, O_RDONLY, 0);
}

uint32_t
vmt_procfs_own_number(void)
{
	char link[16];
	long length = vmt_sys_call4(SYS_readlinkat, AT_FDCWD, "/proc/self", link, sizeof(link));
	struct vmt_text text = vmt_text_of(link, length > 0 ? (size_t)length : 0);
	uint64_t number = 0;

	return vmt_text_take_decimal(&text, &number) ? (uint32_t)number : 0;
}

static uint64_t
inode_of(const char *path)
{
	struct stat status;

	return vmt_sys_call4(SYS_newfstatat, AT_FDCWD, path, &status, 0) == 0 ? status.st_ino : 0;
}

void
vmt_procfs_boot_id(unsigned char id[16])
{
	char text[64];
	int fd = vmt_sys_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
	long length = fd < 0 ? 0 : vmt_procfs_read_once(fd, text, sizeof(text));
	unsigned digits = 0;

	memset(id, 0, 16);
	if (fd >= 0)
		vmt_sys_close(fd);
	for (long i = 0; i < length && digits < 32; i++) {
		int digit = vmt_text_hex_digit(text[i]);

		if (digit < 0)
			continue;
		id[digits / 2] = (unsigned char)(id[digits / 2] << 4 | digit);
		digits++;
	}
}

uint64_t
vmt_procfs_pid_namespace(void)
{
	return inode_of("/proc/self/ns/pid");
}

bool
vmt_procfs_is_own_namespace(void)
{
	uint64_t ours = inode_of("/proc/self/ns/mnt");
	uint64_t first = inode_of("/proc/1/ns/mnt");

	return first != 0 ? ours != first : ours > LAST_FIRST_NAMESPACE;
}

bool
vmt_procfs_shares_users(uint32_t pid)
{
	struct vmt_text_out out;
	uint64_t ours = inode_of("/proc/self/ns/user");
	char path[64];

	out = vmt_text_out_begin(path, sizeof(path));
	vmt_text_put(&out, "/proc/");
	vmt_text_put_decimal(&out, pid);
	vmt_text_put(&out, "/ns/user");
	return ours != 0 && ours == inode_of(path);
}

bool
vmt_procfs_is_hidden(uint32_t pid)
{
	int fd = vmt_procfs_open(pid, "stat");
	long result = fd == -ENOENT && pid <= INT32_MAX ? vmt_sys_call2(SYS_kill, pid, 0) : -ESRCH;

	if (fd >= 0)
		vmt_sys_close(fd);
	return result == 0 || result == -EPERM;
}

void
vmt_procfs_watch(struct vmt_procfs_watch *watch, uint32_t pid)
{
	watch->stat_fd = vmt_procfs_open(pid, "stat");
	watch->pidfd = (int)vmt_sys_call2(SYS_pidfd_open, pid, 0);
	watch->maps_fd = vmt_procfs_open(pid, "maps");
	watch->pagemap_fd = vmt_procfs_open(pid, "pagemap");
	watch->statm_fd = vmt_procfs_open(pid, "statm");
	watch->rollup_fd = vmt_procfs_open(pid, "smaps_rollup");
}

long
vmt_procfs_read_once(int fd, char *buffer, size_t length)
{
	long got;

	do {
		got = vmt_sys_pread(fd, buffer, length, 0);
	} while (got == -EINTR);
	return got;
}

long
vmt_procfs_read(int fd, char *buffer, size_t length)
{
	size_t filled = 0;

	while (filled < length) {
		long got = vmt_sys_pread(fd, buffer + filled, length - filled, filled);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return got;
		if (got == 0)
			break;
		filled += (size_t)got;
	}
	return (long)filled;
}

bool
vmt_procfs_is_mapped(int maps_fd)
{
	char byte;

	return vmt_sys_pread(maps_fd, &byte, 1, 0) > 0;
}

static bool
take_protection(struct vmt_text *line, struct vmt_mapping *mapping)
{
	struct vmt_text flags;

	if (!vmt_text_take_word(line, &flags) || vmt_text_length(&flags) != 4)
		return false;
	mapping->protection =
	    (uint8_t)((flags.at[0] == 'r' ? PROT_READ : 0) | (flags.at[1] == 'w' ? PROT_WRITE : 0) |
		      (flags.at[2] == 'x' ? PROT_EXEC : 0));
	mapping->shared = flags.at[3] == 's';
	return true;
}

static bool
take_device(struct vmt_text *line, struct vmt_mapping *mapping)
{
	uint64_t major_number, minor_number;

	vmt_text_skip_blanks(line);
	if (!vmt_text_take_hex(line, &major_number) || !vmt_text_skip(line, ':') ||
	    !vmt_text_take_hex(line, &minor_number))
		return false;
	mapping->device = (uint32_t)(major_number << 20 | (minor_number & 0xfffff));
	return true;
}

bool
vmt_procfs_parse_mapping(const char *text, size_t length, struct vmt_mapping *mapping)
{
	struct vmt_text line = vmt_text_of(text, length);

	if (!vmt_text_take_hex(&line, &mapping->start) || !vmt_text_skip(&line, '-') ||
	    !vmt_text_take_hex(&line, &mapping->end) || mapping->end <= mapping->start)
		return false;
	if (!take_protection(&line, mapping))
		return false;
	vmt_text_skip_blanks(&line);
	if (!vmt_text_take_hex(&line, &mapping->file_offset) || !take_device(&line, mapping))
		return false;
	vmt_text_skip_blanks(&line);
	if (!vmt_text_take_decimal(&line, &mapping->inode))
		return false;
	vmt_text_skip_blanks(&line);
	if (vmt_text_length(&line) > UINT16_MAX)
		return false;
	mapping->path = line.at;
	mapping->path_bytes = (uint16_t)vmt_text_length(&line);
	return true;
}

/* As vmt_procfs_each_mapping; *stopped says whether visit asked for it. */
static size_t
visit_lines(const char *text, size_t length, bool (*visit)(void *, const struct vmt_mapping *),
	    void *context, bool *stopped)
{
	const char *at = text;
	const char *end = text + length;
	const char *newline;

	*stopped = false;
	while (!*stopped && (newline = vmt_text_find_byte(at, (size_t)(end - at), '\n'))) {
		struct vmt_mapping mapping;

		if (vmt_procfs_parse_mapping(at, (size_t)(newline - at), &mapping))
			*stopped = !visit(context, &mapping);
		at = newline + 1;
	}
	return (size_t)(at - text);
}

size_t
vmt_procfs_each_mapping(const char *text, size_t length,
			bool (*visit)(void *context, const struct vmt_mapping *mapping),
			void *context)
{
	bool stopped;

	return visit_lines(text, length, visit, context, &stopped);
}

int
vmt_procfs_walk_maps(int fd, char *buffer, size_t length,
		     bool (*visit)(void *context, const struct vmt_mapping *mapping), void *context)
{
	size_t filled = 0;
	bool stopped = false;

	while (!stopped) {
		long got = vmt_sys_read(fd, buffer + filled, length - filled);
		size_t used;

		if (got == -EINTR)
			continue;
		if (got <= 0)
			return (int)got;
		filled += (size_t)got;
		used = visit_lines(buffer, filled, visit, context, &stopped);
		if (used == 0 && filled == length)
			return -EOVERFLOW;
		memmove(buffer, buffer + used, filled - used);
		filled -= used;
	}
	return 0;
}

bool
vmt_procfs_parse_statm(const char *text, size_t length, struct vmt_procfs_statm *statm)
{
	struct vmt_text line = vmt_text_of(text, length);

	if (!vmt_text_take_decimal(&line, &statm->virtual_pages) || !vmt_text_skip(&line, ' ') ||
	    !vmt_text_take_decimal(&line, &statm->resident_pages) || !vmt_text_skip(&line, ' '))
		return false;
	return vmt_text_take_decimal(&line, &statm->shared_pages);
}

/* A process may name itself ") R 1": the last parenthesis ends the name. */
static bool
take_name(struct vmt_text *line, char *name)
{
	const char *from = vmt_text_find_byte(line->at, vmt_text_length(line), '(');
	const char *to = line->end;
	size_t length;

	while (to > line->at && to[-1] != ')')
		to--;
	if (!from || to <= from + 1)
		return false;
	length = (size_t)(to - 1 - (from + 1));
	if (length > VMT_PROCFS_NAME_BYTES - 1)
		length = VMT_PROCFS_NAME_BYTES - 1;
	memset(name, 0, VMT_PROCFS_NAME_BYTES);
	memcpy(name, from + 1, length);
	line->at = to;
	return true;
}

/* Where a field goes; NULL: nowhere. Numbers as in proc(5), from 1. */
static uint64_t *
stat_field(struct vmt_procfs_stat *stat, unsigned field)
{
	switch (field) {
	case 4:
		return &stat->parent_pid;
	case 9:
		return &stat->flags;
	case 10:
		return &stat->minor_faults;
	case 11:
		return &stat->children_faults;
	case 12:
		return &stat->major_faults;
	case 20:
		return &stat->threads;
	case 22:
		return &stat->start_ticks;
	case 28:
		return &stat->stack_start;
	case 52:
		return &stat->exit_code;
	default:
		return NULL;
	}
}

bool
vmt_procfs_parse_stat(const char *text, size_t length, struct vmt_procfs_stat *stat)
{
	struct vmt_text line = vmt_text_of(text, length);
	struct vmt_text word;

	if (length && text[length - 1] == '\n')
		line.end--;
	if (!take_name(&line, stat->name) || !vmt_text_take_word(&line, &word))
		return false;
	stat->state = *word.at;
	stat->exit_code = stat->stack_start = 0;
	for (unsigned field = 4; field <= 52; field++) {
		uint64_t *number = stat_field(stat, field);

		if (!vmt_text_take_word(&line, &word))
			return field > 22;
		if (number && !vmt_text_take_decimal(&word, number))
			return false;
	}
	return true;
}

static uint64_t
kilobytes(struct vmt_text text, const char *key)
{
	uint64_t number = 0;

	return vmt_text_find_figure(text, key, &number) ? number * 1024 : 0;
}

static uint64_t
known_kilobytes(struct vmt_text text, const char *key)
{
	uint64_t number;

	return vmt_text_find_figure(text, key, &number) ? number * 1024 : VMT_PROCFS_UNKNOWN;
}

/* The sum of two lines; not known where one is missing. */
static uint64_t
known_sum(struct vmt_text text, const char *key, const char *other_key)
{
	uint64_t one = known_kilobytes(text, key);
	uint64_t other = known_kilobytes(text, other_key);

	return one == VMT_PROCFS_UNKNOWN || other == VMT_PROCFS_UNKNOWN ? VMT_PROCFS_UNKNOWN
									: one + other;
}

bool
vmt_procfs_parse_rollup(const char *text, size_t length, struct vmt_procfs_rollup *rollup)
{
	struct vmt_text whole = vmt_text_of(text, length);
	uint64_t rss_kib;

	if (!vmt_text_find_figure(whole, "Rss", &rss_kib))
		return false;
	rollup->rss_bytes = rss_kib * 1024;
	rollup->lazyfree_bytes = kilobytes(whole, "LazyFree");
	rollup->huge_bytes = kilobytes(whole, "AnonHugePages") +
			     kilobytes(whole, "ShmemPmdMapped") + kilobytes(whole, "FilePmdMapped");
	rollup->swap_bytes = kilobytes(whole, "Swap");
	rollup->proportional_bytes = known_kilobytes(whole, "Pss");
	rollup->proportional_anonymous_bytes = known_kilobytes(whole, "Pss_Anon");
	rollup->private_bytes = known_sum(whole, "Private_Clean", "Private_Dirty");
	rollup->shared_bytes = known_sum(whole, "Shared_Clean", "Shared_Dirty");
	rollup->anonymous_huge_bytes = known_kilobytes(whole, "AnonHugePages");
	rollup->locked_rss_bytes = known_kilobytes(whole, "Locked");
	return true;
}

/* The last of four numbers: real, effective, saved, and that of opened files. */
static uint64_t
file_user(struct vmt_text whole)
{
	struct vmt_text line;
	uint64_t user = VMT_PROCFS_UNKNOWN;

	while (vmt_text_take_line(&whole, &line)) {
		if (!vmt_text_skip_string(&line, "Uid:"))
			continue;
		for (unsigned i = 0; i < 4; i++) {
			vmt_text_skip_blanks(&line);
			if (!vmt_text_take_decimal(&line, &user))
				return VMT_PROCFS_UNKNOWN;
		}
		return user;
	}
	return VMT_PROCFS_UNKNOWN;
}

bool
vmt_procfs_parse_status(const char *text, size_t length, struct vmt_procfs_status *status)
{
	struct vmt_text whole = vmt_text_of(text, length);

	status->swap_bytes = known_kilobytes(whole, "VmSwap");
	status->hugetlb_bytes = known_kilobytes(whole, "HugetlbPages");
	status->anonymous_bytes = known_kilobytes(whole, "RssAnon");
	status->file_bytes = known_kilobytes(whole, "RssFile");
	status->shared_memory_bytes = known_kilobytes(whole, "RssShmem");
	status->page_table_bytes = known_kilobytes(whole, "VmPTE");
	status->locked_bytes = known_kilobytes(whole, "VmLck");
	status->peak_rss_bytes = known_kilobytes(whole, "VmHWM");
	if (!vmt_text_find_figure(whole, "Threads", &status->threads))
		status->threads = VMT_PROCFS_UNKNOWN;
	status->file_user = file_user(whole);
	return length > 0;
}

bool
vmt_procfs_read_statm(int fd, struct vmt_procfs_statm *statm)
{
	char text[256];
	long length = vmt_procfs_read_once(fd, text, sizeof(text));

	return length > 0 && vmt_procfs_parse_statm(text, (size_t)length, statm);
}

bool
vmt_procfs_read_stat(int fd, struct vmt_procfs_stat *stat)
{
	char text[2048];
	long length = vmt_procfs_read_once(fd, text, sizeof(text));

	return length > 0 && vmt_procfs_parse_stat(text, (size_t)length, stat);
}

bool
vmt_procfs_read_rollup(int fd, struct vmt_procfs_rollup *rollup)
{
	char text[4096];
	long length = vmt_procfs_read_once(fd, text, sizeof(text));

	return length > 0 && vmt_procfs_parse_rollup(text, (size_t)length, rollup);
}

bool
vmt_procfs_read_status(int fd, struct vmt_procfs_status *status)
{
	char text[8192];
	long length = vmt_procfs_read_once(fd, text, sizeof(text));

	return vmt_procfs_parse_status(text, length > 0 ? (size_t)length : 0, status);
}
