/* One of its threads, not the main one, has a filter that lets all system calls through. Tells
 * "ready", then answers its input with the same. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static sem_t filtered;

static void *
filter(void *unused)
{
	struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
	struct sock_fprog program = {.len = 1, .filter = &allow};

	(void)unused;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(3);
	sem_post(&filtered);
	for (;;)
		pause();
}

int
main(void)
{
	pthread_t thread;
	char line[64];
	ssize_t got;

	sem_init(&filtered, 0, 0);
	if (pthread_create(&thread, NULL, filter, NULL) != 0)
		return 4;
	sem_wait(&filtered);
	puts("ready");
	fflush(stdout);
	while ((got = read(0, line, sizeof(line))) > 0)
		if (write(1, line, (size_t)got) != got)
			return 5;
	_exit(0);
}
