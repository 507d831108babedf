/*
 * print_settings.c: what the manual says of the settings, out of settings.def, as scdoc text.
 *
 * Usage: settings options    for vmtrace-record(1)
 *        settings library    for libvmtrace.so(7): the settings as variables, and its own
 *        settings command    for vmtrace(1): the command's own variables
 *
 * The Makefile puts each where a page has a line @settings WHICH@. Exit status 1: another word.
 */
#include "format/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum reader { LIBRARY, COMMAND };

struct setting {
	const char *option;
	char letter;
	const char *argument;
	const char *manual;
	const char *fallback;
};

static const struct setting settings[VMT_SETTINGS] = {
#define VMT_SETTING(name, option, letter, argument, values, fallback, help, manual)                \
	{option, letter, argument, manual, VMT_DEFAULT_IN_MANUAL(fallback)},
#include "format/settings.def"
};

static const struct variable {
	const char *name;
	enum reader reader;
	const char *manual;
} variables[] = {
#define VMT_VARIABLE(name, reader, manual) {"VMTRACE_" #name, reader, manual},
#include "format/settings.def"
};

/* What the value has to be, where the text has no list of words. */
static void
print_bounds(const struct vmt_setting *setting)
{
	const char *wanted = setting->wanted;

	if (setting->kind == VMT_KIND_NUMBER || setting->kind == VMT_KIND_SIZE ||
	    setting->kind == VMT_KIND_SIZE_OR_0)
		printf(" %c%s.", toupper(*wanted), wanted + 1);
}

static void
print_options(void)
{
	for (unsigned i = 0; i < VMT_SETTINGS; i++) {
		const struct setting *setting = &settings[i];

		if (setting->letter)
			printf("*-%c*, ", setting->letter);
		printf("*--%s*", setting->option);
		if (setting->argument)
			printf(" _%s_", setting->argument);
		printf("\n\t%s", setting->manual);
		print_bounds(&vmt_settings[i]);
		printf("%s (%s)\n\n", setting->fallback, vmt_settings[i].variable);
	}
}

static void
print_variables(enum reader reader)
{
	for (unsigned i = 0; reader == LIBRARY && i < VMT_SETTINGS; i++) {
		printf("*%s*\n\t%s", vmt_settings[i].variable, settings[i].manual);
		print_bounds(&vmt_settings[i]);
		printf("%s (*--%s*)\n\n", settings[i].fallback, settings[i].option);
	}
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		if (variables[i].reader == reader)
			printf("*%s*\n\t%s\n\n", variables[i].name, variables[i].manual);
}

int
main(int argc, char **argv)
{
	const char *which = argc == 2 ? argv[1] : "";

	if (strcmp(which, "options") == 0)
		print_options();
	else if (strcmp(which, "library") == 0)
		print_variables(LIBRARY);
	else if (strcmp(which, "command") == 0)
		print_variables(COMMAND);
	else
		return 1;
	return 0;
}
