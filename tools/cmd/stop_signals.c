#include "tools/cmd/stop_signals.h"

#include <signal.h>
#include <stddef.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t has_come;

static void
note(int signal)
{
	(void)signal;
	has_come = 1;
}

static bool
is_ignored(int signal)
{
	struct sigaction action;

	return sigaction(signal, NULL, &action) != 0 || action.sa_handler == SIG_IGN;
}

static void
set(void (*handler)(int signal))
{
	const struct sigaction action = {.sa_handler = handler};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (!is_ignored(signals[i]))
			sigaction(signals[i], &action, NULL);
}

void
vmt_stop_signals_catch(void)
{
	set(note);
}

void
vmt_stop_signals_let_go(void)
{
	set(SIG_DFL);
}

bool
vmt_stop_signals_came(void)
{
	return has_come != 0;
}

const char *
vmt_stop_signals_hint(void)
{
	return is_ignored(SIGINT) ? "; SIGTERM ends it" : "; Ctrl-C ends it";
}
