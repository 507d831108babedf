/* living.c: see living.h. */
#include "tests/e2e/living.h"

#include "format/head.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_MS 30000

static struct vmt_head *
map_head(const char *trace)
{
	struct stat status;
	int fd = open(trace, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	void *head = MAP_FAILED;

	if (fstat(fd, &status) == 0 && (size_t)status.st_size >= sizeof(struct vmt_head))
		head =
		    mmap(NULL, sizeof(struct vmt_head), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return head != MAP_FAILED ? head : NULL;
}

static bool
is_snapshot_done(const struct vmt_head *head, uint32_t wanted)
{
	return (int32_t)(vmt_atomic_load_acquire(&head->snapshot_done) - wanted) >= 0;
}

static bool
is_collected(const struct vmt_head *head, uint32_t unused)
{
	(void)unused;
	return vmt_atomic_load_acquire(&head->collected_end) != VMT_END_RUNNING;
}

static bool
is_taken_up(const struct vmt_head *head, uint32_t unused)
{
	return vmt_atomic_load_acquire(&head->collector_pid) != 0 || is_collected(head, unused);
}

/* Waits for a trace to fulfil a condition; returns its head, to be unmapped. */
static struct vmt_head *
wait_for(const char *trace, bool (*holds)(const struct vmt_head *head, uint32_t number),
	 uint32_t wanted)
{
	int64_t deadline = now_ms() + LIMIT_MS;
	struct vmt_head *head;

	while ((head = map_head(trace)) == NULL || !holds(head, wanted)) {
		if (head != NULL)
			munmap(head, sizeof(*head));
		if (now_ms() > deadline)
			fail_msg("%s: nothing happened for %d ms", trace, LIMIT_MS);
		poll(NULL, 0, 1);
	}
	return head;
}

void
living_snapshot(const char *trace)
{
	struct vmt_head *head = map_head(trace);

	assert_non_null(head);
	uint32_t wanted = vmt_atomic_add_relaxed(&head->snapshot_wanted, 1) + 1;

	munmap(head, sizeof(*head));
	munmap(wait_for(trace, is_snapshot_done, wanted), sizeof(*head));
}

static pid_t
collector_of(const char *trace)
{
	struct vmt_head *head = map_head(trace);
	pid_t pid = 0;

	if (head == NULL)
		return 0;
	if (memcmp(head->magic, VMT_MAGIC, sizeof(head->magic)) == 0)
		pid = (pid_t)vmt_atomic_load_acquire(&head->collector_pid);
	munmap(head, sizeof(*head));
	return pid;
}

pid_t
living_collector(const char *pattern)
{
	int64_t deadline = now_ms() + LIMIT_MS;
	pid_t pid = 0;

	while (pid == 0) {
		glob_t found;

		if (now_ms() > deadline)
			fail_msg("%s: not collected for %d ms", pattern, LIMIT_MS);
		poll(NULL, 0, 1);
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t i = 0; i < found.gl_pathc && pid == 0; i++)
			pid = collector_of(found.gl_pathv[i]);
		globfree(&found);
	}
	return pid;
}

void
living_wait_end(const char *trace)
{
	munmap(wait_for(trace, is_collected, 0), sizeof(struct vmt_head));
}

static bool
is_named_vmtrace(const char *pid)
{
	char path[300];
	char name[64] = "";

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return false;
	bool got = fgets(name, sizeof(name), file) != NULL;

	fclose(file);
	return got && strcmp(name, "vmtrace\n") == 0;
}

/* Whether a process has a file of this directory mapped. */
static bool
maps_directory(const char *pid, const char *directory)
{
	char path[300];
	char line[4096];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = strstr(line, directory) != NULL;
	fclose(file);
	return found;
}

int
living_count_collectors(const char *directory)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	assert_non_null(processes);
	while ((entry = readdir(processes)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) && is_named_vmtrace(entry->d_name) &&
		    maps_directory(entry->d_name, directory))
			count++;
	closedir(processes);
	return count;
}

void
living_wait_gone(const char *directory)
{
	int64_t deadline = now_ms() + LIMIT_MS;

	while (living_count_collectors(directory) != 0) {
		assert_true(now_ms() < deadline);
		poll(NULL, 0, 1);
	}
}

/* PIDFD_GET_INFO with PIDFD_INFO_EXIT, include/uapi/linux/pidfd.h. */
struct exit_question {
	uint64_t mask;
	uint64_t answers[7];
};

static bool
tells_of_the_reaped(void)
{
	struct exit_question question = {.mask = UINT64_C(1) << 3};
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	assert_int_equal(waitpid(pid, NULL, 0), pid);
	bool told = ioctl(pidfd, _IOWR(0xFF, 11, struct exit_question), &question) == 0 &&
		    (question.mask & UINT64_C(1) << 3) != 0;

	close(pidfd);
	return told;
}

int
living_reap(struct conversation *talk, const char *trace)
{
	siginfo_t ended;
	int status;

	close(talk->to);
	close(talk->from);
	/* Who has taken the process up learns how it ended, later as well where the kernel tells.
	 */
	assert_int_equal(waitid(P_PID, (id_t)talk->pid, &ended, WEXITED | WNOWAIT), 0);
	munmap(wait_for(trace, tells_of_the_reaped() ? is_taken_up : is_collected, 0),
	       sizeof(struct vmt_head));
	assert_int_equal(waitpid(talk->pid, &status, 0), talk->pid);
	living_wait_end(trace);
	return status;
}
