#include "tools/cmd/cmd_help.h"

#include "tools/cmd/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct vmt_cmd commands[] = {
#define X(name, arguments, summary)                                                                \
	{#name, arguments, summary, vmt_cmd_##name##_main, vmt_cmd_##name##_options},
    VMT_COMMANDS(X)
#undef X
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

const struct vmt_option vmt_cmd_help_options[] = {{0}};

const struct vmt_cmd *
vmt_cmd_help_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void
print_option(const struct vmt_option *option)
{
	char left[64];
	size_t used;

	used = option->letter ? (size_t)snprintf(left, sizeof(left), "-%c, ", option->letter)
			      : (size_t)snprintf(left, sizeof(left), "    ");
	snprintf(left + used, sizeof(left) - used, "--%s%s%s", option->name,
		 option->argument ? " " : "", option->argument ? option->argument : "");
	printf("  %-26s %s\n", left, option->help);
}

void
vmt_cmd_help_print(const struct vmt_cmd *command)
{
	printf("vmtrace %s%s%s: %s\n", command->name, *command->arguments ? " " : "",
	       command->arguments, command->summary);
	if (command->options[0].name)
		printf("\n");
	for (const struct vmt_option *option = command->options; option->name; option++)
		print_option(option);
	printf("\nMore: man vmtrace-%s\n", command->name);
}

static void
print_all(void)
{
	printf("vmtrace: which calls reserved memory, which of it became RAM, what came back?\n"
	       "\n"
	       "  vmtrace record -- CMD...    and then    vmtrace report FILE\n"
	       "\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	printf(
	    "\n'vmtrace help CMD' explains one command, 'vmtrace --version' prints the version.\n");
}

int
vmt_cmd_help_main(int argc, char **argv, struct vmt_err *err)
{
	const struct vmt_cmd *command;

	if (argc < 2) {
		print_all();
		return 0;
	}
	if (argc > 2)
		return vmt_err_set(err, EINVAL, "help explains one command; what is '%s'?",
				   argv[2]);
	command = vmt_cmd_help_find(argv[1]);
	if (!command)
		return vmt_err_set(err, EINVAL, "there is no command '%s'", argv[1]);
	vmt_cmd_help_print(command);
	return 0;
}
