/*
 * Locks all of its memory: lock_all FLAGS [syscall]
 *
 * Prints what mlockall returned, how much the kernel counts as locked then, after a later mapping
 * and a thread, and after munlockall. `syscall`: by libc's syscall().
 */
#include "tests/target/truth.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

static long
locked_kib(void)
{
	static char text[8192];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, text, sizeof(text) - 1);
	char *found;

	close(fd);
	text[length > 0 ? length : 0] = '\0';
	found = strstr(text, "VmLck:");
	return found ? atol(found + sizeof("VmLck:")) : -1;
}

static void *
touch_stack(void *argument)
{
	volatile char bytes[2048];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 1;
	return argument;
}

int
main(int argc, char **argv)
{
	int flags = argc > 1 ? atoi(argv[1]) : 0;
	static char *volatile block;
	pthread_attr_t attributes;
	pthread_t thread;
	int result, error;
	void *later;

	block = malloc(MIB);
	if (block == NULL || pthread_attr_init(&attributes) != 0 ||
	    pthread_attr_setstacksize(&attributes, 256 * KIB) != 0)
		truth_die("set-up");
	memset(block, 1, MIB);
	if (argc > 2)
		result = (int)syscall(SYS_mlockall, flags);
	else
		result = mlockall(flags);
	printf("mlockall %s, locked %ld\n", result == 0 ? "done" : strerror(errno), locked_kib());
	later = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("later %s, locked %ld\n", later == MAP_FAILED ? strerror(errno) : "mapped",
	       locked_kib());
	error = pthread_create(&thread, &attributes, touch_stack, NULL);
	printf("thread %s\n", error == 0 ? "made" : "refused");
	if (error == 0)
		pthread_join(thread, NULL);
	result = munlockall();
	printf("munlockall %d, locked %ld\n", result, locked_kib());
	return 0;
}
