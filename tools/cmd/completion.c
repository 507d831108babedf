#include "tools/cmd/completion.h"

#include "format/settings.h"
#include "tools/cmd/cmd_help.h"
#include "tools/cmd/compare.h"
#include "tools/cmd/report_formats.h"
#include "tools/export/profile.h"
#include "tools/top/top_table.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define WORDS_BYTES 512u

/* Words that the value of an option is one of, separated by blanks; "" where it is any. */
struct words {
	char text[WORDS_BYTES];
};

static void
add_word(struct words *words, const char *word)
{
	size_t used = strlen(words->text);

	snprintf(words->text + used, sizeof(words->text) - used, "%s%s", used ? " " : "", word);
}

static void
add_list(struct words *words, const char *const *list)
{
	for (size_t i = 0; list[i]; i++)
		add_word(words, list[i]);
}

/* A setting of a recording has "none, exec, fork". The options behind the settings have no words.
 */
static void
add_setting(struct words *words, const char *option)
{
	for (size_t i = 0; i < VMT_SETTINGS; i++) {
		if (strcmp(vmt_cmd_record_options[i].name, option) != 0)
			continue;
		for (const char *text = vmt_settings[i].words; *text; text++) {
			char letter[2] = {*text == ',' ? ' ' : *text, '\0'};
			size_t used = strlen(words->text);

			if (*text != ' ' && used + 1 < sizeof(words->text))
				memcpy(words->text + used, letter, sizeof(letter));
		}
	}
}

static void
add_formats(struct words *words, const struct vmt_cmd *command)
{
	if (strcmp(command->name, "report") == 0 || strcmp(command->name, "snapshot") == 0)
		for (size_t i = 0; vmt_report_formats[i].name; i++)
			add_word(words, vmt_report_formats[i].name);
	else if (strcmp(command->name, "diff") == 0)
		for (size_t i = 0; vmt_compare_formats[i].name; i++)
			add_word(words, vmt_compare_formats[i].name);
	else
		add_word(words, "text json");
}

static struct words
words_of(const struct vmt_cmd *command, const struct vmt_option *option)
{
	static const char *const moments[] = {"peak", "end", NULL};
	static const char *const limits[] = {"committed=", "reserved=", "rss=", "virtual=", NULL};
	static const char *const groups[] = {"title", "exe", NULL};
	static const struct {
		const char *option;
		const char *const *words;
	} lists[] = {{"sort", vmt_rank_words}, {"by", vmt_aggregate_words},
		     {"at", moments},	       {"from", moments},
		     {"to", moments},	       {"metric", vmt_profile_metric_names},
		     {"group", groups},	       {"fail-over", limits}};
	struct words words = {""};

	if (strcmp(command->name, "record") == 0)
		add_setting(&words, option->name);
	else if (strcmp(option->name, "format") == 0)
		add_formats(&words, command);
	else if (strcmp(command->name, "top") == 0 && strcmp(option->name, "sort") == 0)
		add_list(&words, vmt_top_orders);
	else
		for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
			if (strcmp(lists[i].option, option->name) == 0)
				add_list(&words, lists[i].words);
	return words;
}

static bool
takes_file(const struct vmt_option *option)
{
	return option->argument &&
	       (strcmp(option->argument, "FILE") == 0 || strcmp(option->argument, "DIR") == 0);
}

/* What its operands are. */
static bool
runs_programs(const struct vmt_cmd *command)
{
	return strstr(command->arguments, "CMD...") != NULL;
}

static bool
takes_traces(const struct vmt_cmd *command)
{
	return strstr(command->arguments, "FILE") || strstr(command->arguments, "A B");
}

/* Text between single quotes of a shell; of zsh without what its specifications are made of. */
static void
print_quoted(FILE *out, const char *text, const char *escaped)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fprintf(out, "%s%c", strchr(escaped, *text) ? "\\" : "", *text);
	}
}

static void
print_names(FILE *out)
{
	const struct vmt_cmd *commands = vmt_cmd_help_commands();

	for (const struct vmt_cmd *command = commands; command->name; command++)
		fprintf(out, "%s%s", command == commands ? "" : " ", command->name);
}

/* bash: the words of the value of the option before, else options, else files. */
static void
print_bash_command(FILE *out, const struct vmt_cmd *command)
{
	fprintf(out, "\t%s)\n\t\tcase $before in\n", command->name);
	for (const struct vmt_option *option = command->options; option->name; option++) {
		struct words words = words_of(command, option);

		if (!option->argument)
			continue;
		fprintf(out, "\t\t--%s", option->name);
		if (option->letter)
			fprintf(out, " | -%c", option->letter);
		if (takes_file(option))
			fprintf(out, ") files=yes ;;\n");
		else
			fprintf(out, ") values='%s' value=yes ;;\n", words.text);
	}
	fprintf(out, "\t\tesac\n\t\toptions='--help");
	for (const struct vmt_option *option = command->options; option->name; option++)
		fprintf(out, " --%s", option->name);
	fprintf(out, "'\n");
	if (runs_programs(command))
		fprintf(out, "\t\tprograms=yes\n");
	if (strcmp(command->name, "help") == 0) {
		fprintf(out, "\t\tvalues='");
		print_names(out);
		fprintf(out, "' value=yes\n");
	}
	fprintf(out, "\t\t;;\n");
}

void
vmt_completion_bash(FILE *out)
{
	fprintf(out, "# bash completion of vmtrace; made by `vmtrace completion bash`\n"
		     "_vmtrace() {\n"
		     "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} i\n"
		     "\tlocal options= values= value= files= programs= first=\n"
		     "\tCOMPREPLY=()\n"
		     "\t# --name=value is three words\n"
		     "\tif [[ $word == = ]]; then\n"
		     "\t\tword=\n"
		     "\telif [[ $before == = ]]; then\n"
		     "\t\tbefore=${COMP_WORDS[COMP_CWORD-2]}\n"
		     "\tfi\n"
		     "\tif ((COMP_CWORD == 1)); then\n"
		     "\t\tCOMPREPLY=($(compgen -W '");
	print_names(out);
	fprintf(out, " --help --version' -- \"$word\"))\n"
		     "\t\treturn\n"
		     "\tfi\n"
		     "\tcase ${COMP_WORDS[1]} in\n");
	for (const struct vmt_cmd *command = vmt_cmd_help_commands(); command->name; command++)
		print_bash_command(out, command);
	fprintf(out, "\tesac\n"
		     "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
		     "\t\t[[ ${COMP_WORDS[i]} == -- ]] || continue\n"
		     "\t\t((i + 1 == COMP_CWORD)) && first=yes\n"
		     "\t\toptions= values= value= files=yes\n"
		     "\t\tbreak\n"
		     "\tdone\n"
		     "\tif [[ $first && $programs ]]; then\n"
		     "\t\tCOMPREPLY=($(compgen -c -- \"$word\"))\n"
		     "\telif [[ $value ]]; then\n"
		     "\t\tCOMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
		     "\t\t[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
		     "\telif [[ $word == -* && ! $files ]]; then\n"
		     "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
		     "\telse\n"
		     "\t\tcompopt -o default 2>/dev/null\n"
		     "\tfi\n"
		     "\treturn 0\n"
		     "}\n"
		     "complete -F _vmtrace vmtrace\n");
}

static void
print_zsh_option(FILE *out, const struct vmt_cmd *command, const struct vmt_option *option)
{
	struct words words = words_of(command, option);

	fprintf(out, "\t\t\t");
	if (option->letter)
		fprintf(out, "'(-%c --%s)'{-%c%s,--%s%s}'[", option->letter, option->name,
			option->letter, option->argument ? "+" : "", option->name,
			option->argument ? "=" : "");
	else
		fprintf(out, "'--%s%s[", option->name, option->argument ? "=" : "");
	print_quoted(out, option->help, "[]:\\");
	fprintf(out, "]");
	if (option->argument) {
		fprintf(out, ":%s:", option->argument);
		if (takes_file(option))
			fprintf(out, "_files");
		else if (words.text[0])
			fprintf(out, "(%s)", words.text);
	}
	fprintf(out, "' \\\n");
}

static void
print_zsh_command(FILE *out, const struct vmt_cmd *command)
{
	fprintf(out, "\t%s)\n\t\t_arguments -s \\\n", command->name);
	for (const struct vmt_option *option = command->options; option->name; option++)
		print_zsh_option(out, command, option);
	fprintf(out, "\t\t\t'(-)--help[show this help]'");
	if (runs_programs(command))
		fprintf(out, " \\\n\t\t\t'*::program:_normal'");
	else if (takes_traces(command))
		fprintf(out, " \\\n\t\t\t'*:trace:_files'");
	if (strcmp(command->name, "help") == 0) {
		fprintf(out, " \\\n\t\t\t'1:command:(");
		print_names(out);
		fprintf(out, ")'");
	}
	fprintf(out, "\n\t\t;;\n");
}

void
vmt_completion_zsh(FILE *out)
{
	fprintf(out, "#compdef vmtrace\n"
		     "# zsh completion of vmtrace; made by `vmtrace completion zsh`\n"
		     "_vmtrace() {\n"
		     "\tlocal -a commands\n"
		     "\tcommands=(\n");
	for (const struct vmt_cmd *command = vmt_cmd_help_commands(); command->name; command++) {
		fprintf(out, "\t\t'%s:", command->name);
		print_quoted(out, command->summary, ":\\");
		fprintf(out, "'\n");
	}
	fprintf(out, "\t)\n"
		     "\tif ((CURRENT == 2)); then\n"
		     "\t\t_describe command commands\n"
		     "\t\treturn\n"
		     "\tfi\n"
		     "\tlocal command=$words[2]\n"
		     "\tshift words\n"
		     "\t((CURRENT--))\n"
		     "\tcase $command in\n");
	for (const struct vmt_cmd *command = vmt_cmd_help_commands(); command->name; command++)
		print_zsh_command(out, command);
	fprintf(out, "\tesac\n"
		     "}\n"
		     "if [ \"$funcstack[1]\" = _vmtrace ]; then\n"
		     "\t_vmtrace \"$@\"\n"
		     "else\n"
		     "\tcompdef _vmtrace vmtrace\n"
		     "fi\n");
}

static void
print_fish_option(FILE *out, const struct vmt_cmd *command, const struct vmt_option *option)
{
	struct words words = words_of(command, option);

	fprintf(out, "complete -c vmtrace -n '__fish_seen_subcommand_from %s' -l %s", command->name,
		option->name);
	if (option->letter)
		fprintf(out, " -s %c", option->letter);
	if (takes_file(option))
		fprintf(out, " -r -F");
	else if (option->argument)
		fprintf(out, " -x");
	if (words.text[0])
		fprintf(out, " -a '%s'", words.text);
	fprintf(out, " -d '");
	for (const char *at = option->help; *at; at++)
		fprintf(out, "%s%c", *at == '\'' || *at == '\\' ? "\\" : "", *at);
	fprintf(out, "'\n");
}

void
vmt_completion_fish(FILE *out)
{
	fprintf(out,
		"# fish completion of vmtrace; made by `vmtrace completion fish`\n"
		"complete -c vmtrace -n __fish_use_subcommand -f\n"
		"complete -c vmtrace -n __fish_use_subcommand -l version -d 'print the version'\n"
		"complete -c vmtrace -l help -d 'show help'\n");
	for (const struct vmt_cmd *command = vmt_cmd_help_commands(); command->name; command++) {
		fprintf(out, "complete -c vmtrace -n __fish_use_subcommand -a %s -d '%s'\n",
			command->name, command->summary);
		for (const struct vmt_option *option = command->options; option->name; option++)
			print_fish_option(out, command, option);
		if (runs_programs(command))
			fprintf(out,
				"complete -c vmtrace -n '__fish_seen_subcommand_from %s' -x "
				"-a '(__fish_complete_subcommand --fcs-skip=2)'\n",
				command->name);
	}
	fprintf(out, "complete -c vmtrace -n '__fish_seen_subcommand_from help' -x -a '");
	print_names(out);
	fprintf(out, "'\n");
}
