#include "format/settings.h"
#include "tools/cmd/cmd.h"
#include "tools/cmd/library.h"
#include "tools/cmd/options.h"
#include "tools/cmd/pod_patch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { OPTION_PATCH, OPTION_CONTAINER, OPTION_IMAGE, OPTION_MUSL };

const struct vmt_option vmt_cmd_env_options[] = {
    {"patch", 0, "FILE", "a patch for a workload of Kubernetes (kubectl get -o json; -: stdin)"},
    {"container", 0, "NAME", "... that records this container alone"},
    {"image", 0, "IMAGE", "... by this image, which has vmtrace-install"},
    {"musl", 0, NULL, "... of containers whose C library is musl (Alpine)"},
    {0},
};

#define DEFAULT_IMAGE "vmtrace-install:latest"

#define LIBRARY "/usr/local/lib/libvmtrace.so"
#define TRACES "/var/trace"

/* The same for every installation, and word for word in docs/howto-containers.md: in an image the
 * library may as well lie where the manual has it. LD_PRELOAD comes after RUN, which it would
 * record. */
static void
print_lines(void)
{
	const struct vmt_setting *output = &vmt_settings[VMT_SETTING_OUTPUT];

	printf("COPY libvmtrace.so /usr/local/lib/\n"
	       "RUN mkdir -p " TRACES " && chmod 1777 " TRACES "\n"
	       "VOLUME " TRACES "\n"
	       "ENV LD_PRELOAD=" LIBRARY "\n"
	       "ENV %s=" TRACES "/%s\n\n",
	       output->variable, output->fallback);
	printf("# Pod: the image holds the library, the volume outlives the container.\n"
	       "spec:\n"
	       "  containers:\n"
	       "    - name: service\n"
	       "      env:\n"
	       "        - {name: LD_PRELOAD, value: " LIBRARY "}\n"
	       "        - {name: %s, value: " TRACES "/%s}\n"
	       "      volumeMounts:\n"
	       "        - {name: trace, mountPath: " TRACES "}\n"
	       "  volumes:\n"
	       "    - {name: trace, emptyDir: {}}\n\n",
	       output->variable, output->fallback);
}

/* What most often matters for a service; what each does is in settings.def. */
static void
print_optional(void)
{
	static const enum vmt_setting_id ids[] = {VMT_SETTING_ONLY, VMT_SETTING_MALLOC,
						  VMT_SETTING_CMDLINE};

	puts("# Optional, set as the variable above is (all of them: man libvmtrace.so):");
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		printf("#   %s=%s: %s\n", vmt_settings[ids[i]].variable,
		       vmt_cmd_record_options[ids[i]].argument,
		       vmt_cmd_record_options[ids[i]].help);
}

static int
print_patch(const struct vmt_options *options, struct vmt_err *err)
{
	const char *image = options->values[OPTION_IMAGE];
	const struct vmt_pod_patch patch = {.container = options->values[OPTION_CONTAINER],
					    .image = image ? image : DEFAULT_IMAGE,
					    .is_musl = options->values[OPTION_MUSL] != NULL,
					    .notes = stderr};
	const char *path = options->values[OPTION_PATCH];
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *in = is_stdin ? stdin : fopen(path, "re");
	int result;

	if (!in)
		return vmt_err_set(err, errno, "%s: %s", path, strerror(errno));
	result = vmt_pod_patch_write(&patch, in, stdout, err);
	if (!is_stdin)
		fclose(in);
	return result;
}

/* What belongs to --patch alone. */
static int
check_options(const struct vmt_options *options, struct vmt_err *err)
{
	if (options->operand_count)
		return vmt_err_set(err, EINVAL, "env takes no operands");
	for (int i = OPTION_CONTAINER; i <= OPTION_MUSL; i++)
		if (options->values[i] && !options->values[OPTION_PATCH])
			return vmt_err_set(err, EINVAL, "--%s goes with --patch",
					   vmt_cmd_env_options[i].name);
	return 0;
}

int
vmt_cmd_env_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options = {.operand_count = 0};
	char library[PATH_MAX];
	int result;

	result = vmt_options_parse(&options, vmt_cmd_env_options, argc, argv, false, err);
	if (result == 0)
		result = check_options(&options, err);
	if (result < 0)
		return result;
	if (options.values[OPTION_PATCH])
		return print_patch(&options, err);
	result = vmt_library_find(library, err);
	if (result < 0)
		return result;
	printf("# In the build context (COPY takes files only from there):\n"
	       "#   cp %s .\n",
	       library);
	print_lines();
	print_optional();
	return 0;
}
