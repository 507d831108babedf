/*
 * record_settings.h: settings of a recording, from options or their variables.
 *
 * Each option of `vmtrace record` has a variable of libvmtrace.so(7), which counts where the option
 * is not given: format/settings.def. Values point into argv and the environment. Single-threaded.
 */
#ifndef VMT_RECORD_SETTINGS_H
#define VMT_RECORD_SETTINGS_H

#include "format/settings.h"
#include "tools/cmd/options.h"
#include "tools/err.h"

#include <stdint.h>

/* Options that are no settings of the library: they stand behind those. */
enum {
	VMT_RECORD_OPEN = VMT_SETTINGS,
	VMT_RECORD_PACK,
	VMT_RECORD_PID,
	VMT_RECORD_FOR,
	VMT_RECORD_WATCH,
	VMT_RECORD_TREE,
	VMT_RECORD_OPTIONS
};

struct vmt_record_settings {
	struct vmt_options options; /* of vmt_cmd_record_options */
	uint64_t interval_ns;	    /* 0 = the collector's default */
	uint64_t min_rss_bytes;	    /* 0 = traces of all sizes stay */
	uint32_t max_files;	    /* 0 = all finished traces stay */
	uint64_t max_bytes;	    /* of each trace; 0 = any */
	uint32_t residency_source;  /* enum vmt_residency_source; 0 = the best there is */
	uint32_t touch_period;	    /* faults a sample; VMT_PERIOD_OFF, VMT_PERIOD_AUTO */
};

/* What an option, or else its variable, says; NULL where neither does. The text is not checked. */
const char *vmt_record_settings_text(const struct vmt_record_settings *wanted,
				     enum vmt_setting_id id);

/* Whether all can be understood, before anything is run; fills what is not text. 0, or -EINVAL with
 * a message that names the option, or the variable where it came from there. */
int vmt_record_settings_check(struct vmt_record_settings *wanted, struct vmt_err *err);

/* Sets the variables of the library. After vmt_record_settings_check. */
void vmt_record_settings_export(const struct vmt_record_settings *wanted);

#endif
