#include "tools/cmd/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHELL_LETTERS "|&;<>()$`\\\"' \t\n*?[#~=%"

static pid_t pager; /* 0: there is none */
static int terminal = -1;
static size_t terminal_columns;

static bool
is_installed(const char *name)
{
	const char *path = getenv("PATH");
	char file[4096];

	while (path && *path) {
		size_t length = strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/%s", (int)length, path, name);
		if (access(file, X_OK) == 0)
			return true;
		path += length + (path[length] == ':');
	}
	return false;
}

/* NULL: none. */
static const char *
choose(void)
{
	const char *name = getenv("VMTRACE_PAGER");
	const char *kind = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || !kind || strcmp(kind, "dumb") == 0)
		return NULL;
	if (!name)
		name = getenv("PAGER");
	if (!name)
		name = is_installed("less") ? "less" : "";
	return *name && strcmp(name, "cat") != 0 ? name : NULL;
}

/* In the child. A plain name needs no shell, and says by the pipe where there is no such program.
 */
static void
run(const char *name, int text, int trouble)
{
	char command[8] = "-c";
	char shell[8] = "sh";
	char program[4096];
	char *by_shell[] = {shell, command, program, NULL};
	char *plainly[] = {program, NULL};

	snprintf(program, sizeof(program), "%s", name);
	dup2(text, STDIN_FILENO);
	setenv("LESS", "FRX", 0);
	setenv("LV", "-c", 0);
	if (strpbrk(name, SHELL_LETTERS))
		execv("/bin/sh", by_shell);
	else
		execvp(program, plainly);
	if (write(trouble, "!", 1) != 1)
		_exit(126);
	_exit(127);
}

/* Whether the child has become the pager: then its end of the pipe closed without a word. */
static bool
has_begun(int trouble)
{
	char word;
	ssize_t bytes;

	do
		bytes = read(trouble, &word, 1);
	while (bytes < 0 && errno == EINTR);
	return bytes == 0;
}

/* What is written goes to the pager; its user's ^C is not for this process. */
static void
redirect(int text)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		terminal_columns = size.ws_col;
	fflush(stdout);
	terminal = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(text, STDOUT_FILENO);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
}

void
vmt_pager_begin(void)
{
	const char *name = choose();
	int text[2];
	int trouble[2];

	if (!name || pager || pipe2(text, O_CLOEXEC) < 0)
		return;
	if (pipe2(trouble, O_CLOEXEC) < 0) {
		close(text[0]);
		close(text[1]);
		return;
	}
	pager = fork();
	if (pager == 0)
		run(name, text[0], trouble[1]);
	close(trouble[1]);
	if (pager > 0 && has_begun(trouble[0])) {
		redirect(text[1]);
	} else {
		if (pager > 0)
			waitpid(pager, NULL, 0);
		pager = 0;
	}
	close(trouble[0]);
	close(text[0]);
	close(text[1]);
}

void
vmt_pager_end(void)
{
	if (pager <= 0)
		return;
	fflush(stdout);
	dup2(terminal, STDOUT_FILENO);
	close(terminal);
	while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
		;
	pager = 0;
}

bool
vmt_pager_is_in_use(size_t *columns)
{
	*columns = terminal_columns;
	return pager > 0;
}
