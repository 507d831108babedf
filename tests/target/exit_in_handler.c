/*
 * exit_in_handler: a signal handler ends the process while main's exit is at work
 *
 * Its exit status is 5, or 3 where main's was faster.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t leaving;

static void
on_alarm(int signal)
{
	(void)signal;
	if (leaving)
		_exit(5);
}

int
main(void)
{
	const struct itimerval often = {{0, 200}, {0, 200}};
	struct sigaction action = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	leaving = 1;
	exit(3);
}
