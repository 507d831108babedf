/* mounts_child: a child in a mount namespace of its own maps memory. Status 0; 77: no leave to. */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAPPED_BYTES (1u << 20)
#define NO_LEAVE 77

static int
map_memory(void)
{
	void *mapped =
	    mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mapped == MAP_FAILED)
		return 1;
	memset(mapped, 1, MAPPED_BYTES);
	return 0;
}

int
main(void)
{
	int status;
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);

	if (pid < 0)
		return NO_LEAVE;
	if (pid == 0)
		_exit(map_memory());
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}
