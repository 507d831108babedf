#include "base/pages.h"
#include "format/command.h"
#include "tools/cmd/cmd.h"
#include "tools/cmd/cmd_help.h"
#include "tools/cmd/pager.h"
#include "tools/cmd/shortened_files.h"
#include "tools/cmd/suggest.h"
#include "tools/cmd/version.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* As env and nohup have it: below 125 every status is the recorded program's. */
#define STATUS_RECORD_FAILED 125
#define STATUS_FAILED 2

/* The library, should it be loaded into this process, knows by it that there is nothing to record.
 */
__attribute__((used, aligned(4),
	       section(VMT_COMMAND_SECTION))) static const struct vmt_command_note command_note =
    VMT_COMMAND_NOTE;

static bool
is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* What was printed is data that somebody will use: a full disk must not pass for success. */
static int
close_stdout(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "vmtrace: standard output: %s\n", strerror(errno));
	return status ? status : STATUS_FAILED;
}

static int
run_command(const struct vmt_cmd *command, int argc, char **argv)
{
	struct vmt_err err = {""};
	int result;

	if (argc > 1 && is_help(argv[1])) {
		vmt_cmd_help_print(command);
		return 0;
	}
	result = command->run(argc, argv, &err);
	fflush(stdout);
	vmt_pager_end();
	if (result < 0 || err.text[0])
		fprintf(stderr, "vmtrace: %s\n", err.text[0] ? err.text : strerror(-result));
	if (result == -EINVAL)
		fprintf(stderr, "usage: vmtrace %s %s\n", command->name, command->arguments);
	if (result >= 0)
		return result;
	return command->run == vmt_cmd_record_main ? STATUS_RECORD_FAILED : STATUS_FAILED;
}

static int
unknown_command(const char *word)
{
	static const char *const names[] = {
#define X(name, arguments, summary) #name,
	    VMT_COMMANDS(X)
#undef X
	};
	struct vmt_suggest suggest = vmt_suggest_begin(word, strlen(word));

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		vmt_suggest_offer(&suggest, names[i]);
	fprintf(stderr, "vmtrace: there is no command '%s'; ", word);
	if (suggest.word[0])
		fprintf(stderr, "did you mean %s?\n", suggest.word);
	else
		fprintf(stderr, "see vmtrace help\n");
	return STATUS_FAILED;
}

int
main(int argc, char **argv)
{
	const struct vmt_cmd *command;

	vmt_pages_set_size((uint64_t)sysconf(_SC_PAGESIZE));
	vmt_shortened_files_survive();
	if (argc < 2) {
		fprintf(stderr, "usage: vmtrace COMMAND ...; see vmtrace help\n");
		return STATUS_FAILED;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		vmt_version_print();
		return close_stdout(0);
	}
	command = vmt_cmd_help_find(is_help(argv[1]) ? "help" : argv[1]);
	if (!command) {
		return unknown_command(argv[1]);
	}
	return close_stdout(run_command(command, argc - 1, argv + 1));
}
