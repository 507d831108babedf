/* What a process can see of itself: to be the same bare and preloaded, byte for byte. */
#include "tests/target/truth.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static struct truth_text text;

/* One line of /proc/self/status, without its name and blanks, as a member called prefix + name. */
static void
add_status(const char *prefix, const char *name)
{
	static char status[8192];
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t length = read(fd, status, sizeof(status) - 1);
	char *line, *end;

	close(fd);
	status[length > 0 ? length : 0] = '\0';
	line = strstr(status, name);
	if (!line)
		truth_die(name);
	line += strlen(name) + 1;
	line += strspn(line, " \t");
	end = strchr(line, '\n');
	truth_add(&text, ",\"%s%s\":\"%.*s\"", prefix, name, (int)(end - line), line);
}

static void
add_descriptors(const char *name)
{
	const char *separator = "";

	truth_add(&text, ",\"%s\":[", name);
	for (int fd = 0; fd < 4096; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		truth_add(&text, "%s%d", separator, fd);
		separator = ",";
	}
	truth_add(&text, "]");
}

static void
add_handlers(void)
{
	const char *separator = "";

	truth_add(&text, ",\"handlers\":[");
	for (int number = 1; number < 65; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_DFL)
			continue;
		truth_add(&text, "%s%d", separator, number);
		separator = ",";
	}
	truth_add(&text, "]");
}

/* Runs in a child that shares the page that `text` is copied to, so that nothing is opened. */
static void
add_child(void)
{
	struct truth_text *shared =
	    mmap(NULL, sizeof(text), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child = fork();
	int status;

	truth_mapped(shared);
	if (child == 0) {
		errno = 0;
		free(malloc(100000));
		truth_add(&text, ",\"child_errno\":%d", errno);
		add_descriptors("child_fds");
		add_status("child_", "Threads");
		truth_add(&text, ",\"child_unshare\":%d", unshare(CLONE_NEWUSER) == 0);
		*shared = text;
		_exit(7);
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		truth_die("child");
	text = *shared;
	munmap(shared, sizeof(text));
	truth_add(&text, ",\"child_status\":%d", WEXITSTATUS(status));
}

int
main(void)
{
	int errno_at_main = errno;
	pthread_key_t key;
	int waited, errno_of_wait;

	errno = 0;
	waited = waitpid(-1, NULL, WNOHANG);
	errno_of_wait = errno;
	truth_add(&text, "{\"errno_at_main\":%d,\"wait\":%d,\"wait_errno\":%d", errno_at_main,
		  waited, errno_of_wait);
	add_status("", "Threads");
	add_status("", "SigBlk");
	add_status("", "SigIgn");
	add_status("", "SigCgt");
	add_status("", "Seccomp");
	add_status("", "CoreDumping");
	add_descriptors("fds");
	add_handlers();
	pthread_key_create(&key, NULL);
	truth_add(&text, ",\"first_key\":%u", key);
	add_child();
	waited = waitpid(-1, NULL, WNOHANG);
	truth_add(&text, ",\"last_wait\":%d,\"descriptor_limit\":%ld}\n", waited,
		  sysconf(_SC_OPEN_MAX));
	if (write(1, text.bytes, text.used) != (ssize_t)text.used)
		return 1;
	truth_stand_still();
	return 0;
}
