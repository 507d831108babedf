/*
 * leaves_mounts.c: a child enters a mount namespace, opens a terminal in there, and leaves it again
 *
 * Usage: leaves_mounts DIRECTORY WAY END. The first child enters the namespace by WAY (unshare,
 * syscall, setns; clone makes it in there), maps memory, opens a terminal, enters another root and
 * leaves for new namespaces of mounts and processes. A second child, in there, reads what path the
 * terminal has: none but its name, where nothing holds the namespace that it was opened in.
 * Meanwhile the first one waits or has left (END). Namespaces of another user than the first:
 * mounts in there keep their places as long as any of them is held. Status 0: as expected, 1:
 * another path, 77: no leave for a step.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAPPED_BYTES (1u << 20)

enum { AS_EXPECTED = 0, ANOTHER = 1, NO_LEAVE = 77 };

static void
need(long result)
{
	if (result < 0)
		_exit(NO_LEAVE);
}

static void
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	need(fd);
	need(write(fd, text, strlen(text)));
	close(fd);
}

static void
become_another_user(void)
{
	char users[32], groups[32];

	snprintf(users, sizeof(users), "0 %u 1\n", getuid());
	snprintf(groups, sizeof(groups), "0 %u 1\n", getgid());
	need(unshare(CLONE_NEWUSER | CLONE_NEWNS));
	write_text("/proc/self/uid_map", users);
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/gid_map", groups);
}

/* Another process has made it, which ends. */
static void
enter_by_setns(void)
{
	int ready[2], fd;
	char path[64], byte;
	pid_t maker;

	need(pipe(ready));
	maker = fork();
	need(maker);
	if (maker == 0) {
		need(unshare(CLONE_NEWNS));
		need(write(ready[1], "", 1));
		for (;;)
			pause();
	}
	need(read(ready[0], &byte, 1) - 1);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)maker);
	fd = open(path, O_RDONLY);
	need(fd);
	need(setns(fd, CLONE_NEWNS));
	close(fd);
	kill(maker, SIGKILL);
	need(waitpid(maker, NULL, 0));
}

static void
enter_mounts(const char *way)
{
	if (strcmp(way, "setns") == 0)
		enter_by_setns();
	else if (strcmp(way, "syscall") == 0)
		need(syscall(SYS_unshare, CLONE_NEWNS));
	else if (strcmp(way, "unshare") == 0)
		need(unshare(CLONE_NEWNS));
	need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

static void
enter_root(const char *directory)
{
	need(mount("tmpfs", directory, "tmpfs", 0, NULL));
	need(chdir(directory));
	need(mkdir("proc", 0755));
	need(chroot("."));
}

static void
map_memory(void)
{
	void *mapped =
	    mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(mapped == MAP_FAILED ? -1 : 0);
	memset(mapped, 1, MAPPED_BYTES);
}

static int
wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return NO_LEAVE;
	return WEXITSTATUS(status);
}

static int
second_child(int terminal, const char *name)
{
	char link[64], path[256] = "";

	need(mount("proc", "/proc", "proc", 0, NULL));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", terminal);
	need(readlink(link, path, sizeof(path) - 1));
	printf("%s for %s\n", path, strrchr(name, '/'));
	return strcmp(path, strrchr(name, '/')) == 0 ? AS_EXPECTED : ANOTHER;
}

static int
first_child(char **arguments, const char *name, int pids)
{
	int terminal;
	pid_t pid;

	enter_mounts(arguments[2]);
	map_memory();
	terminal = open(name, O_RDWR | O_NOCTTY);
	need(terminal);
	enter_root(arguments[1]);
	need(unshare(CLONE_NEWNS | CLONE_NEWPID));
	pid = fork();
	need(pid);
	if (pid == 0)
		exit(second_child(terminal, name));
	if (strcmp(arguments[3], "waits") == 0)
		return wait_for(pid);
	need(write(pids, &pid, sizeof(pid)));
	return 0;
}

int
main(int argc, char **argv)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	int pids[2], status;
	pid_t pid;

	if (argc != 4 || terminal < 0 || unlockpt(terminal) < 0 || pipe(pids) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return NO_LEAVE;
	become_another_user();
	if (strcmp(argv[2], "clone") == 0)
		pid = (pid_t)syscall(SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
	else
		pid = fork();
	need(pid);
	if (pid == 0)
		_exit(first_child(argv, ptsname(terminal), pids[1]));
	status = wait_for(pid);
	if (status != 0 || strcmp(argv[3], "waits") == 0)
		return status;
	need(read(pids[0], &pid, sizeof(pid)));
	return wait_for(pid);
}
