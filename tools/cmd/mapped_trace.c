#include "tools/cmd/mapped_trace.h"

#include "base/procfs.h"
#include "base/text.h"
#include "format/head.h"
#include "inject/shared_memory.h"
#include "tools/cmd/library.h"
#include "tools/read/trace/process_end.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct search {
	struct vmt_mapped_trace *trace;
	uint32_t pid;
	uint32_t inner_pid; /* as the process itself has it */
};

/* The pid in the innermost namespace: the last of NSpid. Without that line: as it is here. */
static uint32_t
find_inner_pid(uint32_t pid)
{
	char text[8192];
	int fd = vmt_procfs_open(pid, "status");
	long length = fd < 0 ? 0 : vmt_procfs_read(fd, text, sizeof(text) - 1);
	char *line;

	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	line = strstr(text, "\nNSpid:");
	if (!line)
		return pid;
	line++;
	line[strcspn(line, "\n")] = '\0';
	return (uint32_t)strtoul(strrchr(line, '\t') ? strrchr(line, '\t') : "0", NULL, 10);
}

static bool
contains(const struct vmt_mapping *mapping, const char *words)
{
	return memmem(mapping->path, mapping->path_bytes, words, strlen(words)) != NULL;
}

static bool
begins_with(const struct vmt_mapping *mapping, const char *words)
{
	return mapping->path_bytes >= strlen(words) &&
	       memcmp(mapping->path, words, strlen(words)) == 0;
}

/* Whether this is how the library maps a head: from the file's start, shared, to be written. */
static bool
may_be_head(const struct vmt_mapping *mapping)
{
	static const char *const nameless[] = {"/memfd:", "/dev/zero", "/SYSV", "/anon_hugepage"};

	if (!mapping->shared || mapping->protection != (PROT_READ | PROT_WRITE) ||
	    mapping->file_offset != 0 || !begins_with(mapping, "/") ||
	    mapping->path_bytes >= PATH_MAX || mapping->end - mapping->start < VMT_HEAD_MIN_BYTES)
		return false;
	for (size_t i = 0; i < sizeof(nameless) / sizeof(*nameless); i++)
		if (begins_with(mapping, nameless[i]))
			return false;
	return !(contains(mapping, "/.vmtrace") && contains(mapping, ".session"));
}

static void
take(struct search *search, const struct vmt_mapped_trace *found)
{
	struct vmt_mapped_trace *trace = search->trace;
	bool has_library = trace->has_library;
	bool has_nameless_code = trace->has_nameless_code;

	if (found->state <= trace->state)
		return;
	*trace = *found;
	trace->has_library = has_library;
	trace->has_nameless_code = has_nameless_code;
}

/* A head aside: /dev/shm/.vmtrace.PID.ID.head, whose name is gone once it is collected. */
static bool
read_name_aside(const struct vmt_mapping *mapping, uint32_t *pid)
{
	static const char *const places[] = {"/dev/shm/.vmtrace.", "/tmp/.vmtrace."};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		size_t length = strlen(places[i]);
		struct vmt_text rest;
		uint64_t number, random_id;

		if (!begins_with(mapping, places[i]))
			continue;
		rest = vmt_text_of(mapping->path + length, mapping->path_bytes - length);
		if (!vmt_text_take_decimal(&rest, &number) || !vmt_text_skip(&rest, '.') ||
		    !vmt_text_take_decimal(&rest, &random_id) || vmt_text_length(&rest) < 5 ||
		    memcmp(rest.at, ".head", 5) != 0)
			continue;
		*pid = (uint32_t)number;
		return true;
	}
	return false;
}

/* Opens a regular file for reading, anything else not at all: a device may act on it. */
static int
open_regular(const char *path)
{
	char again[64];
	struct stat status;
	int place = open(path, O_PATH | O_CLOEXEC);
	int fd;

	if (place < 0)
		return -errno;
	if (fstat(place, &status) != 0 || !S_ISREG(status.st_mode)) {
		close(place);
		return -EMEDIUMTYPE;
	}
	snprintf(again, sizeof(again), "/proc/self/fd/%d", place);
	fd = open(again, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(place);
	return fd;
}

/* The mapped file itself where the kernel gives leave, else what has its path there. */
static int
open_mapped(const struct search *search, const struct vmt_mapping *mapping)
{
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/map_files/%" PRIx64 "-%" PRIx64,
		 search->pid, mapping->start, mapping->end);
	fd = open_regular(path);
	if (fd >= 0 || fd == -EMEDIUMTYPE)
		return fd;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/root%.*s", search->pid,
		 (int)mapping->path_bytes, mapping->path);
	return open_regular(path);
}

/* How the file is reached from here. */
static void
name_file(struct vmt_mapped_trace *found, const struct search *search,
	  const struct vmt_mapping *mapping, int fd)
{
	struct stat here, there;

	snprintf(found->path, sizeof(found->path), "%.*s", (int)mapping->path_bytes, mapping->path);
	if (fd < 0 || fstat(fd, &there) != 0 || there.st_nlink == 0 ||
	    (stat(found->path, &here) == 0 && here.st_dev == there.st_dev &&
	     here.st_ino == there.st_ino))
		return;
	snprintf(found->path, sizeof(found->path), "/proc/%" PRIu32 "/root%.*s", search->pid,
		 (int)mapping->path_bytes, mapping->path);
}

/* What a file that may be a trace says of itself. */
static enum vmt_mapped_trace_state
read_head(const struct search *search, int fd, struct vmt_mapped_trace *found)
{
	struct vmt_head head = {.pid = 0};
	ssize_t length = pread(fd, &head, sizeof(head), 0);

	found->error = length < 0 ? errno : 0;
	if (length < 0)
		return VMT_MAPPED_TRACE_UNREADABLE;
	if (length < (ssize_t)VMT_HEAD_MIN_BYTES ||
	    memcmp(head.magic, VMT_MAGIC, sizeof(head.magic)) != 0)
		return VMT_MAPPED_TRACE_NONE;
	found->error = EPROTO;
	if (vmt_head_check(&head) != NULL)
		return VMT_MAPPED_TRACE_UNREADABLE;
	found->owner_pid = head.pid;
	if (head.pid != search->inner_pid)
		return VMT_MAPPED_TRACE_OTHER;
	found->is_uncollected = vmt_process_end_is_uncollected(&head);
	return head.end == VMT_END_RUNNING && head.collected_end == VMT_END_RUNNING
		   ? VMT_MAPPED_TRACE_OWN
		   : VMT_MAPPED_TRACE_ENDED;
}

static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	struct search *search = context;
	struct vmt_mapped_trace found = {.state = VMT_MAPPED_TRACE_NONE};
	int fd = -1;

	search->trace->has_library |= contains(mapping, "/" VMT_LIBRARY_NAME);
	search->trace->has_nameless_code |=
	    mapping->path_bytes == 0 && (mapping->protection & PROT_EXEC);
	if (!may_be_head(mapping))
		return true;
	if (read_name_aside(mapping, &found.owner_pid)) {
		found.is_aside = true;
		found.state = found.owner_pid == search->inner_pid ? VMT_MAPPED_TRACE_OWN
								   : VMT_MAPPED_TRACE_OTHER;
	} else {
		fd = open_mapped(search, mapping);
		found.error = -fd;
		if (fd >= 0)
			found.state = read_head(search, fd, &found);
		else if (fd != -EMEDIUMTYPE)
			found.state = VMT_MAPPED_TRACE_UNREADABLE;
	}
	name_file(&found, search, mapping, fd);
	if (fd >= 0)
		close(fd);
	take(search, &found);
	return true;
}

int
vmt_mapped_trace_find(struct vmt_mapped_trace *trace, uint32_t pid)
{
	struct search search = {trace, pid, find_inner_pid(pid)};
	char *buffer;
	int fd = vmt_procfs_open(pid, "maps");
	int result;

	memset(trace, 0, sizeof(*trace));
	if (fd < 0)
		return fd;
	buffer = malloc(VMT_PROCFS_LINE_BYTES);
	result = buffer ? vmt_procfs_walk_maps(fd, buffer, VMT_PROCFS_LINE_BYTES, visit, &search)
			: -ENOMEM;
	free(buffer);
	close(fd);
	return result;
}

/* A fork child has the changed code and what its parent had mapped, the trace among it. Who
 * collects has other processes' traces mapped, too, but no recorder. */
static bool
is_forked(const struct vmt_mapped_trace *trace, uint32_t pid)
{
	return trace->state == VMT_MAPPED_TRACE_OTHER && trace->has_nameless_code &&
	       !vmt_shared_memory_is_there((pid_t)pid);
}

/* The calls of a process whose vmtrace was killed still go to the recorder in it. */
const char *
vmt_mapped_trace_recorder(uint32_t pid)
{
	struct vmt_mapped_trace trace = {.state = VMT_MAPPED_TRACE_NONE};

	if (vmt_mapped_trace_find(&trace, pid) < 0 || trace.has_library)
		return NULL;
	if (is_forked(&trace, pid))
		return "it was forked while its parent was recorded; the recorder is in it until "
		       "that vmtrace ends, or until a restart where it was killed";
	if (trace.state != VMT_MAPPED_TRACE_OWN)
		return NULL;
	return trace.is_uncollected
		   ? "the recorder of a vmtrace that was killed is still in it; a restart ends that"
		   : "another vmtrace records it";
}
