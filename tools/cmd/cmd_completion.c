#include "tools/cmd/cmd.h"
#include "tools/cmd/completion.h"

#include <errno.h>

const struct vmt_option vmt_cmd_completion_options[] = {{0}};

int
vmt_cmd_completion_main(int argc, char **argv, struct vmt_err *err)
{
	static const char *const shells[] = {"bash", "zsh", "fish", NULL};
	static void (*const print[])(FILE *) = {vmt_completion_bash, vmt_completion_zsh,
						vmt_completion_fish};
	int shell;

	if (argc != 2)
		return vmt_err_set(err, EINVAL, "completion needs a shell: bash, zsh or fish");
	shell = vmt_options_choose("completion", argv[1], shells, err);
	if (shell < 0)
		return shell;
	print[shell](stdout);
	return 0;
}
