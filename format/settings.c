#include "format/settings.h"

#include <stddef.h>

const struct vmt_setting vmt_settings[VMT_SETTINGS] = {
#define VMT_SETTING(name, option, letter, argument, values, fallback, help, manual)                \
	{"VMTRACE_" #name, values, VMT_DEFAULT_VALUE(fallback)},
#include "format/settings.def"
};
