#include "tools/cmd/cmd_help.h"

#include "tools/cmd/options.h"
#include "tools/cmd/suggest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct vmt_cmd commands[] = {
#define X(name, arguments, summary)                                                                \
	{#name, arguments, summary, vmt_cmd_##name##_main, vmt_cmd_##name##_options},
    VMT_COMMANDS(X){NULL, NULL, NULL, NULL, NULL}, VMT_HIDDEN_COMMANDS(X)
#undef X
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

/* Command lines to begin with, and what each is for; NULL ends them. */
struct example {
	const char *line;
	const char *help;
};

static const struct example record_examples[] = {
    {"vmtrace record -- ./service --port 80", "until it ends; then: vmtrace report FILE"},
    {"vmtrace record -o run.vmt --malloc all -- ./test", "every block, for leaks"},
    {"vmtrace record --touch auto -- ./service", "who touched memory, not only who reserved it"},
    {NULL, NULL},
};
static const struct example snapshot_examples[] = {
    {"vmtrace snapshot 1234", "what process 1234 has in RAM now"},
    {"vmtrace snapshot 1234 -o now.vmt", "a trace: for vmtrace report, and diff with a later one"},
    {"vmtrace snapshot --tree 1234", "with its children, each shared page once"},
    {NULL, NULL},
};
static const struct example top_examples[] = {
    {"vmtrace top 1234", "what grows in process 1234, by call site if it is recorded"},
    {"vmtrace top run.vmt --once --sort reserved", "one reading, as text"},
    {"vmtrace top traces/", "a line for each process that runs"},
    {NULL, NULL},
};
static const struct example report_examples[] = {
    {"vmtrace report run.vmt", "what RSS was made of at its peak"},
    {"vmtrace report run.vmt --at end --by file", "at the end, added up by source file"},
    {"vmtrace report run.vmt --tree --focus parse_", "calls that lead through parse_..."},
    {"vmtrace report run.vmt --sort leaked -n 30", "what malloc's blocks leaked"},
    {"vmtrace report run.vmt --from 10s --to 60s", "what changed in between"},
    {NULL, NULL},
};
static const struct example diff_examples[] = {
    {"vmtrace diff before.vmt after.vmt", "what changed, and where"},
    {"vmtrace diff a.vmt b.vmt --ignore test_", "... without what test_... called"},
    {"vmtrace diff a.vmt b.vmt --fail-over rss=10%", "status 1 if B needs a tenth more"},
    {NULL, NULL},
};
static const struct example dump_examples[] = {
    {"vmtrace dump run.vmt | grep munmap", "every munmap"},
    {"vmtrace dump run.vmt --format json", "one JSON document a line"},
    {NULL, NULL},
};
static const struct example pack_examples[] = {
    {"vmtrace pack run.vmt", "where the program is; the trace can then go anywhere"},
    {"vmtrace pack run.vmt -o packed.vmt", "a packed copy"},
    {NULL, NULL},
};
static const struct example doctor_examples[] = {
    {"vmtrace doctor", "what this host allows"},
    {"vmtrace doctor 1234", "is process 1234 being recorded?"},
    {"vmtrace doctor -- ./service", "can this program be recorded?"},
    {NULL, NULL},
};
static const struct example env_examples[] = {
    {"vmtrace env >> Dockerfile", "then remove what is for the other"},
    {"kubectl get deployment shop -o json | vmtrace env --patch - >patch.yaml", "for a cluster"},
    {"kubectl patch deployment shop --patch-file patch.yaml", "the pods start anew, recorded"},
    {NULL, NULL},
};
static const struct example help_examples[] = {
    {"vmtrace help report", "the same as vmtrace report --help"},
    {NULL, NULL},
};
static const struct example completion_examples[] = {
    {"source <(vmtrace completion bash)", "for this shell alone"},
    {NULL, NULL},
};

static const struct example *const examples[] = {
#define X(name, arguments, summary) name##_examples,
    VMT_COMMANDS(X) NULL, VMT_HIDDEN_COMMANDS(X)
#undef X
};

const struct vmt_option vmt_cmd_help_options[] = {{0}};

const struct vmt_cmd *
vmt_cmd_help_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (commands[i].name && strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

const struct vmt_cmd *
vmt_cmd_help_commands(void)
{
	return commands;
}

static void
print_examples(const struct vmt_cmd *command)
{
	const struct example *example = examples[command - commands];

	printf("\nExamples:\n");
	for (; example->line; example++)
		printf("  %-46s  %s\n", example->line, example->help);
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
	print_examples(command);
	printf("\nMore: man vmtrace%s%s\n", command == vmt_cmd_help_find("completion") ? "" : "-",
	       command == vmt_cmd_help_find("completion") ? "" : command->name);
}

static void
print_all(void)
{
	printf("vmtrace: which calls reserved memory, which of it became RAM, what came back?\n"
	       "\n"
	       "  vmtrace record -- CMD...    and then    vmtrace report FILE\n"
	       "\n");
	for (size_t i = 0; commands[i].name; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	printf(
	    "\n'vmtrace help CMD' explains one command, 'vmtrace --version' prints the version.\n");
}

static int
unknown_command(const char *word, struct vmt_err *err)
{
	struct vmt_suggest suggest = vmt_suggest_begin(word, strlen(word));

	for (size_t i = 0; commands[i].name; i++)
		vmt_suggest_offer(&suggest, commands[i].name);
	return vmt_err_set(err, EINVAL, "there is no command '%s'%s%s%s", word,
			   suggest.word[0] ? "; did you mean " : "", suggest.word,
			   suggest.word[0] ? "?" : "");
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
		return unknown_command(argv[1], err);
	vmt_cmd_help_print(command);
	return 0;
}
