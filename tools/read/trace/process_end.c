#include "tools/read/trace/process_end.h"

#include "base/procfs.h"
#include "base/ticks.h"

#include <ctype.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
/* No pid is taken anew so soon, and no collector that can still write is silent for so long. */
#define SILENCE_NS UINT64_C(10000000000)
#define STATUS_BYTES 8192u /* of /proc/PID/status: what is looked for stands in its first half */

static int
hex_value(int digit)
{
	return isdigit(digit) ? digit - '0' : tolower(digit) - 'a' + 10;
}

bool
vmt_process_end_is_this_boot(const struct vmt_head *head)
{
	static const unsigned char none[sizeof(head->boot_id)];
	unsigned char id[sizeof(head->boot_id)] = {0};
	char text[64] = "";
	size_t nibbles = 0;
	FILE *file;

	if (memcmp(head->boot_id, none, sizeof(none)) == 0)
		return true;
	file = fopen(BOOT_ID_PATH, "re");
	if (file == NULL)
		return false;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	for (const char *at = text; *at != '\0' && nibbles < 2 * sizeof(id); at++) {
		if (isxdigit((unsigned char)*at)) {
			id[nibbles / 2] =
			    (unsigned char)(id[nibbles / 2] * 16 + hex_value((unsigned char)*at));
			nibbles++;
		}
	}
	return memcmp(id, head->boot_id, sizeof(id)) == 0;
}

/* False for a zombie, too. */
static bool
find_stat(uint32_t pid, struct vmt_procfs_stat *stat)
{
	bool found;
	int fd;

	if (pid == 0)
		return false;
	fd = vmt_procfs_open(pid, "stat");
	if (fd < 0)
		return false;
	found = vmt_procfs_read_stat(fd, stat);
	close(fd);
	return found && stat->state != 'Z' && stat->state != 'X';
}

static bool
is_there(uint32_t pid, uint64_t *start_ticks)
{
	struct vmt_procfs_stat stat;
	bool found = find_stat(pid, &stat);

	*start_ticks = found ? stat.start_ticks : 0;
	return found;
}

/* Whether a kill awaits it, of which it will not come back. */
static bool
is_killed(uint32_t pid)
{
	static const char *const lines[] = {"\nSigPnd:\t", "\nShdPnd:\t"};
	char text[STATUS_BYTES];
	uint64_t pending = 0;
	int fd = vmt_procfs_open(pid, "status");
	long length = fd < 0 ? 0 : vmt_procfs_read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *line = strstr(text, lines[i]);

		if (line != NULL)
			pending |= strtoull(line + strlen(lines[i]), NULL, 16);
	}
	return pending >> (SIGKILL - 1) & 1;
}

/* Who ends collects no more, though it still has its number: taking down its memory takes a while.
 * In the order in which it comes to its end. */
static bool
collects(uint32_t pid)
{
	struct vmt_procfs_stat stat;

	return !is_killed(pid) && find_stat(pid, &stat) && !(stat.flags & VMT_PROCFS_EXITING);
}

bool
vmt_process_end_is_elsewhere(const struct vmt_head *head)
{
	uint64_t own = vmt_procfs_pid_namespace();

	return own != 0 && head->collector_pid_namespace != 0 &&
	       own != head->collector_pid_namespace;
}

/* Another process of this namespace may have the same number and have begun in the same tick. */
static bool
is_alive(const struct vmt_head *head)
{
	uint64_t start_ticks;

	return !vmt_process_end_is_elsewhere(head) && is_there(head->pid, &start_ticks) &&
	       start_ticks == head->start_ticks && vmt_process_end_is_this_boot(head);
}

bool
vmt_process_end_is_hidden(const struct vmt_head *head)
{
	return !vmt_process_end_is_elsewhere(head) && vmt_procfs_is_hidden(head->pid) &&
	       vmt_process_end_is_this_boot(head);
}

/* In the file of a head that lies aside stands the time of the last chunk. */
bool
vmt_process_end_is_uncollected(const struct vmt_head *head)
{
	uint64_t seen_ns = head->heartbeat_ns ? head->heartbeat_ns : head->clock_start.monotonic_ns;
	uint64_t silent_ns = vmt_ticks_monotonic_ns() - seen_ns;

	if (head->heartbeat_ns == 0)
		return silent_ns > SILENCE_NS || (head->notes & VMT_NOTE_NO_COLLECTOR);
	if (silent_ns > SILENCE_NS && !(head->notes & VMT_NOTE_BUFFERED))
		return true;
	return !vmt_process_end_is_elsewhere(head) && !collects(head->collector_pid) &&
	       !vmt_procfs_is_hidden(head->collector_pid);
}

bool
vmt_process_end_is_awaited(const struct vmt_head *head)
{
	uint64_t start_ticks;

	if (head->collected_end != VMT_END_RUNNING || head->heartbeat_ns == 0 ||
	    (head->notes & VMT_NOTE_NOT_IN_PROC) || is_alive(head))
		return false;
	return vmt_ticks_monotonic_ns() - head->heartbeat_ns < SILENCE_NS &&
	       vmt_process_end_is_this_boot(head) &&
	       (vmt_process_end_is_elsewhere(head) || vmt_process_end_is_hidden(head) ||
		is_there(head->collector_pid, &start_ticks));
}

static const char *
end_name(uint32_t end)
{
	switch (end) {
	case VMT_END_EXIT:
		return "exit";
	case VMT_END_SIGNAL:
		return "signal";
	case VMT_END_EXEC:
		return "exec";
	case VMT_END_STOPPED:
		return "stopped";
	default:
		return NULL;
	}
}

const char *
vmt_process_end_find(const struct vmt_head *head, const struct vmt_chunk_end *chunk, int *status)
{
	const struct {
		uint32_t end;
		int32_t status;
	} said[] = {
	    {chunk != NULL ? chunk->end : (uint32_t)VMT_END_RUNNING,
	     chunk != NULL ? chunk->status : 0},
	    {head->collected_end, head->collected_status},
	    {head->end, head->end_status},
	};
	bool may_live = chunk == NULL && head->collected_end == VMT_END_RUNNING;

	*status = 0;
	if (may_live && head->end != VMT_END_EXEC && is_alive(head))
		return "running";
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		const char *name = end_name(said[i].end);

		if (name != NULL) {
			*status = said[i].status;
			return name;
		}
	}
	return may_live && vmt_process_end_is_awaited(head) ? "ending" : "cut";
}

static bool
is_unseen(const struct vmt_head *head)
{
	return vmt_process_end_is_elsewhere(head) || vmt_process_end_is_hidden(head);
}

bool
vmt_process_end_runs(const struct vmt_head *head)
{
	int status;
	const char *end = vmt_process_end_find(head, NULL, &status);

	if (head->notes & VMT_NOTE_SNAPSHOT)
		return false;
	return strcmp(end, "running") == 0 || (strcmp(end, "ending") == 0 && is_unseen(head));
}

bool
vmt_process_end_is_over(const struct vmt_head *head)
{
	int status;
	const char *end = vmt_process_end_find(head, NULL, &status);

	if (head->notes & VMT_NOTE_SNAPSHOT)
		return true;
	return strcmp(end, "running") != 0 && strcmp(end, "ending") != 0 &&
	       !(strcmp(end, "cut") == 0 && is_unseen(head));
}

bool
vmt_process_end_is_short(const struct vmt_head *head)
{
	switch (head->end_status) {
	case VMT_STOP_OWN_TRACE:
	case VMT_STOP_SNAPSHOT:
	case VMT_STOP_DETACHED:
		return false;
	default:
		return head->end == VMT_END_STOPPED;
	}
}

const char *
vmt_process_end_shortage(int stop)
{
	switch (stop) {
	case VMT_STOP_ADDRESS_SPACE:
		return "address space (RLIMIT_AS)";
	case VMT_STOP_DATA:
		return "private memory (RLIMIT_DATA)";
	case VMT_STOP_MAPPINGS:
		return "mappings (vm.max_map_count)";
	default:
		return "memory";
	}
}
