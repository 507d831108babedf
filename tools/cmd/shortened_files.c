#include "tools/cmd/shortened_files.h"

#include "inject/file_view.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

/* After the return the same access is made again. */
static void
fill(int signal, siginfo_t *info, void *context)
{
	static const struct sigaction action = {.sa_handler = SIG_DFL};
	int error = errno;

	(void)context;
	if (!vmt_file_view_fill((uint64_t)(uintptr_t)info->si_addr))
		sigaction(signal, &action, NULL);
	errno = error;
}

void
vmt_shortened_files_survive(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO};
	struct sigaction before;

	action.sa_sigaction = fill;
	if (sigaction(SIGBUS, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
		sigaction(SIGBUS, &action, NULL);
}
